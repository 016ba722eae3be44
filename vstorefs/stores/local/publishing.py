"""A new version of a file: written beside its versions, stamped with what it is, then made the head."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vstorefs import files
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
        files.change("file.make-hidden", versions.folder.mkdir, parents=True, exist_ok=True)
        files.change("file.make-parent", versions.plain.parent.mkdir, parents=True, exist_ok=True)
        scratch = versions.folder / f"{write.version}.tmp"
        new = versions.folder / f"{write.version}{names.NEW}"
        files.change("file.clear", scratch.unlink, missing_ok=True)
        try:
            identity = self._fill(scratch, key, source, write)
        except OSError:
            with suppress(OSError):
                files.change("file.clear", scratch.unlink, missing_ok=True)
            raise
        self._root.step("ready")
        with versions.locked(exclusive=True):
            # A retry of the same write whose first try stopped before the exchange.
            versions.finish()
            files.change("file.clear", new.unlink, missing_ok=True)
            rename_absent(scratch, new)
            self._root.step("locked")
            try:
                return versions.publish(new, identity, write, overdue=overdue)
            except OSError:
                own = names.carried(new, versions.folder)
                if own is not None and own.id == write.version:
                    # Not exchanged yet: it is nobody's content but this write's, which may never be tried again.
                    with suppress(OSError):
                        files.change("file.clear", new.unlink, missing_ok=True)
                raise

    def _fill(self, path: Path, key: Key, source: int, write: Write) -> Identity:
        mode = write.mode if write.mode is not None else self._default_mode(key)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        number = files.change("file.create", os.open, path, flags, 0o600)
        try:
            self._root.step("create")
            copy_file(source, number, write.size)
            if write.uid is not None or write.gid is not None:
                own(number, write.uid, write.gid)
            files.change("file.mode", os.fchmod, number, mode)
            if write.mtime_ns is not None:
                times = (write.mtime_ns, write.mtime_ns)
                files.change("file.time", os.utime, number, ns=times)
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
            files.change("file.sync", os.fsync, number)
        finally:
            os.close(number)
        return identity

    def _default_mode(self, key: Key) -> int:
        try:
            return stat.S_IMODE((self._root.path / key).lstat().st_mode)
        except OSError:
            return DEFAULT_FILE_MODE
