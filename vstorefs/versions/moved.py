"""What the rename of a directory is to each thing in it: its new path, and the identity of its version there.

A directory moves as one entry of the journal. Each file in it gets a version of its own under its new path, whose
write id follows from the entry's and the old path: so every retry sends the same one, and who writes to the file
meanwhile can say what he comes after. Pure.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from vstorefs.model import JournalEntry, Key, Operation, VersionId, Write, WriteId

_ID = 26


def moves_directory(entry: JournalEntry) -> bool:
    """Whether an entry is the rename of a directory."""
    return entry.operation is Operation.RENAME and entry.source is None and entry.link is None


def moved(key: Key, source: Key, target: Key) -> Key:
    """The path of something in a directory, once that has its new name."""
    return Key(target + key[len(source) :])


def moved_write(rename: WriteId, key: Key) -> WriteId:
    """The write that makes the version of a file under its new path; `key` is the old one."""
    return WriteId(_digest(rename, key)[:_ID])


def derived(write: Write, key: Key) -> Write:
    """The identity of one file's part in a directory's rename: the same at every try."""
    return replace(
        write,
        write_id=moved_write(write.write_id, key),
        version=VersionId(_digest(write.write_id, key)[_ID : 2 * _ID]),
        base=None,
        mode=None,
        mtime_ns=None,
    )


def carried(rename: JournalEntry, entry: JournalEntry) -> JournalEntry:
    """A content that was synced before a directory moved, under its new path; any other entry as it is."""
    assert rename.target is not None
    if not entry.path.startswith(f"{rename.path}/"):
        return entry
    write = entry.write
    if write.base is not None or write.after is not None:
        write = replace(write, base=None, after=moved_write(rename.write.write_id, entry.path))
    return replace(entry, path=moved(entry.path, rename.path, rename.target), write=write)


def _digest(write: WriteId, key: Key) -> str:
    return hashlib.sha256(f"{write}\0{key}".encode("utf-8", "surrogateescape")).hexdigest()
