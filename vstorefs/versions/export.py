"""Copies what a store shows, or showed at a moment, to a plain directory or bucket: for those who leave, or share."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

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
from vstorefs.stores.compared import Reading
from vstorefs.stores.past import as_entry
from vstorefs.versions import metadata
from vstorefs.versions.history.points import version_of
from vstorefs.versions.plaintree import PlainTree, fill

ROOT = Key("")
_AT_ONCE = 8
_OF_ONE_NAME = {
    errno.ELOOP,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EEXIST,
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Exported:
    """One name that was exported; `bytes_sent` is 0 for what was there already. `problem`: why it was not."""

    path: Key
    bytes_sent: int = 0
    problem: str = ""


Missed = Callable[[Key, errors.StoreError], None]
"""Told of a directory that cannot be listed."""


def heads(store: Store, missed: Missed, directory: Key = ROOT) -> Iterator[Entry]:
    """Everything in force below a directory, directories before what is in them. Raises: Throttled, Unavailable."""
    waiting = [directory]
    while waiting:
        listed = waiting.pop()
        try:
            for page in store.list(listed):
                for entry in page.entries:
                    yield entry
                    if entry.kind is EntryKind.DIRECTORY:
                        waiting.append(entry.key)
        except errors.RETRIED:
            raise
        except errors.StoreError as error:
            missed(listed, error)


def export(store: Store, entries: Iterator[Entry], target: Path) -> Iterator[Exported]:
    """Write entries below a directory, many at a time; tells of each that is done, or cannot be.

    A file that is there with the same size and time is taken for done, so that an export can go on
    where it stopped; any other is not touched.
    Raises: Throttled, Unavailable; OSError where nothing more can be written.
    """
    tree = PlainTree(target)
    folders: list[Entry] = []
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            waiting = []
            for entry in entries:
                if entry.kind is EntryKind.DIRECTORY:
                    folders.append(entry)
                    yield from _problems(_tried(_write, store, entry, tree))
                else:
                    waiting.append(pool.submit(_tried, _write, store, entry, tree))
            for one in waiting:
                yield one.result()
        # Last, and from below: what is written into a directory changes its time.
        for entry in reversed(folders):
            yield from _problems(_tried(_finish, store, entry, tree))
    finally:
        tree.close()


def _problems(done: Exported) -> Iterator[Exported]:
    if done.problem:
        yield done


def _tried(do: Callable[[Store, Entry, T], int], store: Store, entry: Entry, to: T) -> Exported:
    """One entry; what cannot be helped by stopping is told, and the others go on."""
    try:
        return Exported(entry.key, do(store, entry, to))
    except errors.RETRIED:
        raise
    except errors.StoreError as error:
        return Exported(entry.key, problem=error.message)
    except OSError as error:
        if error.errno not in _OF_ONE_NAME:
            raise
        return Exported(entry.key, problem=_words(error))


def _words(error: OSError) -> str:
    if error.errno in {errno.ELOOP, errno.ENOTDIR}:
        return "a directory above it is a link or a file there, which is not followed"
    return error.strerror or str(error)


def export_to_bucket(store: Store, entries: Iterator[Entry], target: Bucket) -> Iterator[Exported]:
    """Put files into a bucket under their own names, many at a time; tells of each that is done, or cannot be.

    Directories and links have no place there. A name that is taken is left alone: with equal size it counts as
    done. Raises: Throttled, Unavailable.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = [
            pool.submit(_tried, _send, store, entry, target)
            for entry in entries
            if entry.kind is EntryKind.FILE
        ]
        for one in waiting:
            yield one.result()


def _send(store: Store, entry: Entry, target: Bucket) -> int:
    try:
        present = target.stat(entry.key)
    except errors.NotFound:
        present = None
    if present is not None:
        if present.size == entry.size:
            return 0
        raise errors.AlreadyExists(
            "there is another object of that name; export to an empty prefix",
            store=target.spec.alias,
            key=entry.key,
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "content"
        number = files.change("export.create", os.open, path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            _reading(store, entry).twice(lambda blocks: fill(number, entry.key, blocks, entry.size))
        finally:
            os.close(number)
        target.put(entry.key, path, metadata={}, content_type=metadata.content_type(entry.key))
    return entry.size


def _reading(store: Store, entry: Entry) -> Reading:
    return Reading(store, entry.key, entry.token, entry.size, version=entry.version)


def _write(store: Store, entry: Entry, tree: PlainTree) -> int:
    if entry.kind is EntryKind.DIRECTORY:
        tree.make_directory(entry.key)
        return 0
    if entry.kind is EntryKind.SYMLINK:
        tree.make_link(entry.key, entry.target or "")
        return 0
    if tree.has_file(entry.key, entry.size, entry.mtime_ns):
        return 0
    mode = entry.mode if entry.mode is not None else DEFAULT_FILE_MODE
    _reading(store, entry).twice(
        lambda blocks: tree.make_file(entry.key, blocks, entry.size, mode, entry.mtime_ns)
    )
    return entry.size


def _finish(store: Store, entry: Entry, tree: PlainTree) -> int:
    del store
    mode = entry.mode if entry.mode is not None else DEFAULT_FOLDER_MODE
    tree.finish_directory(entry.key, mode, entry.mtime_ns)
    return 0


def one_version(store: Store, key: Key, wanted: str) -> Entry:
    """One version of a file, by its id or the first characters of it. Raises: NotFound."""
    found = version_of(key, store.history(key), wanted)
    if not found.token:
        raise errors.NotFound(f"version {wanted} has no content in the store", key=key)
    return as_entry(found)
