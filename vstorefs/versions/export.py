"""Copies what a store shows, or showed at a moment, to a plain directory or bucket: for those who leave, or share."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors, files
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Entry,
    EntryKind,
    Key,
)
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.past import as_entry
from vstorefs.versions import metadata
from vstorefs.versions.history.points import version_of

ROOT = Key("")
_AT_ONCE = 8
_PARTIAL = ".vstorefs-part"


@dataclass(frozen=True, slots=True)
class Exported:
    """One name that was exported; `bytes_sent` is 0 for what was there already."""

    path: Key
    bytes_sent: int


def heads(store: Store, directory: Key = ROOT) -> Iterator[Entry]:
    """Everything in force below a directory, directories before what is in them. Raises: a StoreError."""
    waiting = [directory]
    while waiting:
        for page in store.list(waiting.pop()):
            for entry in page.entries:
                yield entry
                if entry.kind is EntryKind.DIRECTORY:
                    waiting.append(entry.key)


def export(store: Store, entries: Iterator[Entry], target: Path) -> Iterator[Exported]:
    """Write entries below a directory, many at a time; tells of each that is done.

    A file that is there with the same size and time is taken for done, so that an export can go on
    where it stopped; any other is not touched.
    Raises: AlreadyExists; a StoreError; OSError.
    """
    folders: list[tuple[Path, Entry]] = []
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = []
        for entry in entries:
            path = target / entry.key
            if entry.kind is EntryKind.DIRECTORY:
                files.change("export.make", path.mkdir, parents=True, exist_ok=True)
                folders.append((path, entry))
            else:
                files.change("export.make", path.parent.mkdir, parents=True, exist_ok=True)
                waiting.append(pool.submit(_write, store, entry, path))
        for one in waiting:
            yield one.result()
    # Last, and from below: what is written into a directory changes its time.
    for path, entry in reversed(folders):
        mode = entry.mode if entry.mode is not None else DEFAULT_FOLDER_MODE
        files.change("export.mode", path.chmod, mode)
        if entry.mtime_ns:
            files.change("export.time", os.utime, path, ns=(entry.mtime_ns, entry.mtime_ns))


def export_to_bucket(store: Store, entries: Iterator[Entry], target: Bucket) -> Iterator[Exported]:
    """Put files into a bucket under their own names, many at a time; tells of each that is done.

    Directories and links have no place there. A name that is taken is left alone: with equal size it counts as
    done. Raises: AlreadyExists; a StoreError.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [
            pool.submit(_send, store, entry, target)
            for entry in entries
            if entry.kind is EntryKind.FILE
        ]
        for one in waiting:
            yield one.result()


def _send(store: Store, entry: Entry, target: Bucket) -> Exported:
    try:
        present = target.stat(entry.key)
    except errors.NotFound:
        present = None
    if present is not None:
        if present.size == entry.size:
            return Exported(entry.key, 0)
        raise errors.AlreadyExists(
            "there is another object of that name; export to an empty prefix",
            store=target.spec.alias,
            key=entry.key,
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        _fetch(store, entry, path)
        target.put(entry.key, path, metadata={}, content_type=metadata.content_type(entry.key))
    return Exported(entry.key, entry.size)


def _fetch(store: Store, entry: Entry, path: Path) -> None:
    with files.change("export.create", path.open, "wb") as file:
        for block in store.read(entry.key, entry.token, 0, entry.size, version=entry.version):
            files.change("export.write", file.write, block)
    if path.stat().st_size != entry.size:
        raise errors.Corrupt(
            f"{path.stat().st_size} bytes came of {entry.size}", key=entry.key, operation="export"
        )


def _write(store: Store, entry: Entry, path: Path) -> Exported:
    if entry.kind is EntryKind.SYMLINK:
        if not path.is_symlink():
            files.change("export.link", path.symlink_to, entry.target or "")
        return Exported(entry.key, 0)
    # Stores may keep coarser times than the disk, never finer ones.
    if path.exists():
        about = path.lstat()
        if (about.st_size, about.st_mtime_ns) == (entry.size, entry.mtime_ns):
            return Exported(entry.key, 0)
        raise errors.AlreadyExists(
            f"{path} is there already and differs; export to an empty directory", key=entry.key
        )
    partial = path.with_name(path.name[:200] + _PARTIAL)
    _fetch(store, entry, partial)
    mode = entry.mode if entry.mode is not None else DEFAULT_FILE_MODE
    files.change("export.mode", partial.chmod, mode)
    files.change("export.time", os.utime, partial, ns=(entry.mtime_ns, entry.mtime_ns))
    files.change("export.rename", partial.rename, path)
    return Exported(entry.key, entry.size)


def one_version(store: Store, key: Key, wanted: str) -> Entry:
    """One version of a file, by its id or the first characters of it. Raises: NotFound."""
    found = version_of(key, store.history(key), wanted)
    if not found.token:
        raise errors.NotFound(f"version {wanted} has no content in the store", key=key)
    return as_entry(found)
