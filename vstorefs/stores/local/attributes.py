"""Attributes of what lies in a `file` store's directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from vstorefs.model import Entry, Key, Write
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.entries import to_entry
from vstorefs.stores.local.root import Root


def set_attributes(root: Root, key: Key, write: Write) -> Entry:
    """Set those that `write` has.

    A file's identity is written again, so that it goes on holding. Raises: NotFound.
    """
    path = root.path / key
    with translated(root.alias, key, "attributes"):
        if not stat.S_ISREG(path.lstat().st_mode):
            apply(path, write)
            return _must(to_entry(path, path.lstat(), key, names.folder_of(root.path, key)))
        versions = root.versions(key)
        with versions.locked(exclusive=True):
            identity = names.identify(path, path.lstat(), key, versions.folder)
            apply(path, write)
            about = path.lstat()
            time_ns = versions.head_time_ns(identity)
            kept = replace(
                identity,
                mtime_ns=about.st_mtime_ns,
                mode=stat.S_IMODE(about.st_mode),
                time_ns=time_ns,
            )
            names.stamp(path, versions.folder, kept)
        return _must(to_entry(path, about, key, versions.folder))


def _must(entry: Entry | None) -> Entry:
    assert entry is not None
    return entry


def apply(path: Path, write: Write) -> None:
    """Set on a file, directory or link the attributes that `write` has."""
    if write.uid is not None or write.gid is not None:
        own(path, write.uid, write.gid)
    if write.mode is not None and not path.is_symlink():
        path.chmod(write.mode)
    if write.mtime_ns is not None:
        os.utime(path, ns=(write.mtime_ns, write.mtime_ns), follow_symlinks=False)


def own(target: int | Path, uid: int | None, gid: int | None) -> None:
    """Give an open file, or what is at a path, to a user and a group; None: leave it."""
    change: Callable[..., None] = os.fchown if isinstance(target, int) else os.lchown
    change(target, -1 if uid is None else uid, -1 if gid is None else gid)
