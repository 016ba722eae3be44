"""Attributes of what lies in a `file` store's directory."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from vstorefs import files
from vstorefs.model import Entry, Key, Write
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.entries import to_entry
from vstorefs.stores.local.names import Identity
from vstorefs.stores.local.root import Root
from vstorefs.stores.local.versions import PathVersions


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
            before = path.lstat()
            identity = names.identify(path, before, key, versions.folder)
            try:
                about = _changed(path, write, identity, versions)
            except OSError:
                # An identity holds for one time only: with another, the file would be taken for another program's.
                with suppress(OSError):
                    times = (before.st_atime_ns, before.st_mtime_ns)
                    files.change("file.time", os.utime, path, ns=times)
                raise
        return _must(to_entry(path, about, key, versions.folder))


def _changed(
    path: Path, write: Write, identity: Identity, versions: PathVersions
) -> os.stat_result:
    """Give a file its attributes, and an identity that fits them."""
    apply(path, write)
    about = path.lstat()
    kept = replace(
        identity,
        mtime_ns=about.st_mtime_ns,
        mode=stat.S_IMODE(about.st_mode),
        time_ns=versions.head_time_ns(identity),
    )
    names.stamp(path, versions.folder, kept)
    return about


def _must(entry: Entry | None) -> Entry:
    assert entry is not None
    return entry


def apply(path: Path, write: Write) -> None:
    """Set on a file, directory or link the attributes that `write` has."""
    if write.uid is not None or write.gid is not None:
        own(path, write.uid, write.gid)
    if write.mode is not None and not path.is_symlink():
        files.change("file.mode", path.chmod, write.mode)
    if write.mtime_ns is not None:
        times = (write.mtime_ns, write.mtime_ns)
        files.change("file.time", os.utime, path, ns=times, follow_symlinks=False)


def own(target: int | Path, uid: int | None, gid: int | None) -> None:
    """Give an open file, or what is at a path, to a user and a group; None: leave it."""
    numbers = (-1 if uid is None else uid, -1 if gid is None else gid)
    if isinstance(target, int):
        files.change("file.own", os.fchown, target, *numbers)
    else:
        files.change("file.own", os.lchown, target, *numbers)
