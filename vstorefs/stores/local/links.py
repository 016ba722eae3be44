"""Symlinks of a `file` store: real ones, without versions, so that a newer one takes the place of an older."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import replace
from pathlib import Path

from vstorefs import files
from vstorefs.model import Key, Version, Write
from vstorefs.stores.base import replaces
from vstorefs.stores.local import names
from vstorefs.stores.local.attributes import apply, own
from vstorefs.stores.local.disk import rename_absent, translated
from vstorefs.stores.local.entries import link_token, link_version
from vstorefs.stores.local.root import Root


class Links:
    """Makes and removes links."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def make(self, key: Key, target: str, write: Write) -> Version:
        """Make a link, over another only if `write` replaces one.

        A link to the same is taken for this one: who made it is written nowhere. Raises: AlreadyExists.
        """
        path = self._root.path / key
        with translated(self._root.alias, key, "symlink"):
            if path.is_symlink() and not replaces(write):
                if str(path.readlink()) != target:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                return link_version(path, key, write)
            return self.put(key, target, write)

    def put(self, key: Key, target: str, write: Write) -> Version:
        """Put a link at a path, over one that is there. Raises: OSError."""
        path = self._root.path / key
        fresh = self._root.path / names.HIDDEN / f"{write.version}.link"
        files.change("file.make-hidden", fresh.parent.mkdir, exist_ok=True)
        files.change("file.clear", fresh.unlink, missing_ok=True)
        try:
            files.change("file.create-link", fresh.symlink_to, target)
            # Who may not give a link away keeps it.
            with contextlib.suppress(PermissionError):
                own(fresh, write.uid, write.gid)
            apply(fresh, replace(write, uid=None, gid=None))
            # The old link is there until the new one is: a disk that refuses one costs nothing.
            _name(fresh, path)
        finally:
            with contextlib.suppress(OSError):
                files.change("file.clear", fresh.unlink, missing_ok=True)
        files.sync_folder(path.parent)
        return link_version(path, key, write)

    @staticmethod
    def remove(path: Path, write: Write) -> None:
        """Remove a link, unless a later one than its remover saw; who made a link is written nowhere."""
        if write.after is not None or write.base == link_token(path):
            files.change("file.remove-link", path.unlink)
            files.sync_folder(path.parent)


def _name(fresh: Path, path: Path) -> None:
    """Give a link its name, in place of another one only. Raises: OSError."""
    if path.is_symlink():
        files.change("file.rename", fresh.rename, path)
    else:
        rename_absent(fresh, path)
