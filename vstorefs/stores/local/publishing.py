"""A new version of a file: written beside its versions, stamped with what it is, then made the head."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from pathlib import Path

from vstorefs.model import DEFAULT_FILE_MODE, Key, Token, Version, Write
from vstorefs.stores.local import names
from vstorefs.stores.local.attributes import own
from vstorefs.stores.local.contents import Contents, identity_of
from vstorefs.stores.local.disk import copy_file, rename_absent
from vstorefs.stores.local.names import Identity
from vstorefs.stores.local.root import Root


class Publishing:
    """Makes versions of open files and of what the store has already."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._contents = Contents(root)

    def copy(self, key: Key, token: Token, target: Key, write: Write) -> Version:
        """Make the content that `token` names the head of `target`."""
        number = self._contents.open(key, token)
        try:
            about = os.fstat(number)
            identity = identity_of(number, about, key, self._root.versions(key).folder)
            mode = identity.mode if identity.mode is not None else stat.S_IMODE(about.st_mode)
            full = replace(
                write,
                size=about.st_size,
                hashes=write.hashes or identity.hashes,
                mode=mode if write.mode is None else write.mode,
                mtime_ns=about.st_mtime_ns if write.mtime_ns is None else write.mtime_ns,
            )
            return self.publish(target, number, full, overdue=False)
        finally:
            os.close(number)

    def publish(self, key: Key, source: int, write: Write, *, overdue: bool) -> Version:
        """Make the content of an open file the head, or file it beside one that is not its base, if `overdue`."""
        versions = self._root.versions(key)
        versions.folder.mkdir(parents=True, exist_ok=True)
        versions.plain.parent.mkdir(parents=True, exist_ok=True)
        scratch = versions.folder / f"{write.version}.tmp"
        new = versions.folder / f"{write.version}{names.NEW}"
        scratch.unlink(missing_ok=True)
        identity = self._fill(scratch, key, source, write)
        self._root.step("ready")
        with versions.locked(exclusive=True):
            # A retry of the same write whose first try stopped before the exchange.
            versions.finish()
            new.unlink(missing_ok=True)
            rename_absent(scratch, new)
            self._root.step("locked")
            return versions.publish(new, identity, write, overdue=overdue)

    def _fill(self, path: Path, key: Key, source: int, write: Write) -> Identity:
        mode = write.mode if write.mode is not None else self._default_mode(key)
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._root.step("create")
            copy_file(source, number, write.size)
            if write.uid is not None or write.gid is not None:
                own(number, write.uid, write.gid)
            os.fchmod(number, mode)
            if write.mtime_ns is not None:
                os.utime(number, ns=(write.mtime_ns, write.mtime_ns))
            about = os.fstat(number)
            identity = Identity(
                write.version,
                write.time_ns,
                about.st_size,
                about.st_mtime_ns,
                key,
                mode=mode,
                base=write.base,
                write_id=write.write_id,
                hashes=write.hashes,
                marks=write.marks,
                run=write.run,
            )
            names.stamp(number, path.parent, identity)
            self._root.step("written")
            os.fsync(number)
        finally:
            os.close(number)
        return identity

    def _default_mode(self, key: Key) -> int:
        try:
            return stat.S_IMODE((self._root.path / key).lstat().st_mode)
        except OSError:
            return DEFAULT_FILE_MODE
