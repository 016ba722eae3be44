"""Writing what a journal holds into a directory: contents as files, and a list of all changes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from vstorefs import errors
from vstorefs.model import Key, name_of
from vstorefs.moments import to_text
from vstorefs.state.changes import Change
from vstorefs.state.staging import Ranges, missing
from vstorefs.versions.plaintree import PlainTree

LIST_NAME = "changes.json"
_NAME_BYTES = 255
_MODE = 0o600
_BLOCK_BYTES = 1 << 20


def write_all(found: Sequence[Change], target: Path) -> list[str]:
    """Write what was found below a new or an empty directory; gives what could not be written whole, a line each.

    Raises: UsageError where the directory has something in it; VstorefsError where it cannot be written.
    """
    try:
        tree = PlainTree(target)
        try:
            if any(target.iterdir()):
                raise errors.UsageError(f"{target} is not empty; choose a new directory")
            problems = [problem for one in found for problem in _write(one, tree)]
            listed = json.dumps([about(one) for one in found], indent=2, sort_keys=True).encode()
            tree.make_file(Key(LIST_NAME), iter([listed]), len(listed), _MODE)
        finally:
            tree.close()
    except OSError as error:
        raise errors.VstorefsError(f"cannot write to {target}: {error.strerror}") from error
    return problems


def about(change: Change) -> dict[str, Any]:
    """What programs are told of a change."""
    entry = change.entry
    told: dict[str, Any] = {
        "id": change.id,
        "state": change.state,
        "time": to_text(change.time_ns),
        "size": change.size,
        "file": file_name(change) if change.file is not None else None,
    }
    if entry is not None:
        told |= {
            "operation": entry.operation.value,
            "store": entry.store,
            "path": entry.path,
            "target": entry.target,
            "link": entry.link,
            "mode": entry.write.mode,
            "mtime_ns": entry.write.mtime_ns,
            "error": entry.error,
            "set_aside": to_text(entry.aside_ns) if entry.aside_ns is not None else None,
        }
    return told


def file_name(change: Change) -> str:
    """The name of its content in the directory: its id, and what the file was called."""
    if change.entry is None:
        return change.id
    name = f"{change.id}-{name_of(change.entry.path)}"
    return name.encode("utf-8", "surrogateescape")[:_NAME_BYTES].decode("utf-8", "ignore")


def _write(change: Change, tree: PlainTree) -> list[str]:
    if change.file is None:
        return []
    staged = change.entry.staged if change.entry is not None else None
    present = staged.present if staged is not None else ((0, change.size),)
    size = staged.size if staged is not None else change.size
    name = file_name(change)
    try:
        with change.file.open("rb") as source:
            tree.make_file(Key(name), _blocks(source, present, size), size, _MODE)
    except FileNotFoundError:
        return [f"{name}: its content is gone"]
    gaps = sum(end - start for start, end in missing(present, 0, size))
    if gaps:
        return [f"{name}: {gaps:,} bytes are only in the version that it was written over"]
    return []


def _blocks(source: BinaryIO, present: Ranges, size: int) -> Iterator[bytes]:
    """What a staging file has of a content; zeros for what it has not."""
    for at in range(0, size, _BLOCK_BYTES):
        block = bytearray(min(_BLOCK_BYTES, size - at))
        for start, end in present:
            low, high = max(start, at), min(end, at + len(block))
            if low < high:
                source.seek(low)
                data = source.read(high - low)
                block[low - at : low - at + len(data)] = data
        yield bytes(block)
