"""Writing what a journal holds into a directory: contents as files, and a list of all changes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vstorefs import errors, files
from vstorefs.model import name_of
from vstorefs.moments import to_text
from vstorefs.state.changes import Change
from vstorefs.state.staging import missing

LIST_NAME = "changes.json"
_NAME_BYTES = 255
# Nothing that is there is followed or overwritten.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def write_all(found: Sequence[Change], target: Path) -> list[str]:
    """Write what was found below a new or an empty directory; gives what could not be written whole, a line each.

    Raises: UsageError where the directory has something in it; VstorefsError where it cannot be written.
    """
    try:
        files.change("export.make", target.mkdir, parents=True, exist_ok=True)
        if any(target.iterdir()):
            raise errors.UsageError(f"{target} is not empty; choose a new directory")
        problems = [problem for one in found for problem in _write(one, target)]
        _create(target / LIST_NAME, json.dumps([about(one) for one in found], indent=2).encode())
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


def _write(change: Change, target: Path) -> list[str]:
    if change.file is None:
        return []
    staged = change.entry.staged if change.entry is not None else None
    present = staged.present if staged is not None else ((0, change.size),)
    size = staged.size if staged is not None else change.size
    try:
        source = os.open(change.file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return [f"{file_name(change)}: its content is gone"]
    number = files.change("export.create", os.open, target / file_name(change), _NEW, 0o600)
    try:
        for start, end in present:
            files.copy("export.write", source, number, start, end)
        files.change("export.size", os.ftruncate, number, size)
    finally:
        os.close(source)
        os.close(number)
    gaps = sum(end - start for start, end in missing(present, 0, size))
    if gaps:
        return [
            f"{file_name(change)}: {gaps:,} bytes are only in the version that it was written over"
        ]
    return []


def _create(path: Path, data: bytes) -> None:
    number = files.change("export.create", os.open, path, _NEW, 0o600)
    try:
        files.write_all("export.write", number, data, 0)
    finally:
        os.close(number)
