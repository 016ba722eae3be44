"""Versions of everything at or below a path in a mount, asked for in batches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from vstorefs import errors, units
from vstorefs.cli.progress import Progress
from vstorefs.state import control, mounts
from vstorefs.state.mounts import MountRecord

_REQUEST_BYTES = 40_000
_PATHS = 50


@dataclass(frozen=True, slots=True)
class Below:
    """Files at or below a path, relative to their mount, and the stores that they are in."""

    record: MountRecord
    paths: tuple[str, ...]
    stores: tuple[str, ...]


def below(path: str, *, to_purge: bool) -> Below:
    """What is at or below a path, deleted files too. Raises: VstorefsError where nothing ever was."""
    record = control.mount_of(path)
    request = {"op": "paths", "path": mounts.inside(record, path), "to_purge": to_purge}
    answer = control.answer(record, request, timeout_s=None)
    if not answer["paths"]:
        raise errors.VstorefsError(
            f"{path} has no versions: no such file or directory, now or earlier"
        )
    return Below(record, tuple(answer["paths"]), tuple(answer["stores"]))


def versions(found: Below, request: dict[str, Any]) -> list[dict[str, Any]]:
    """The versions of all files that a request chooses, as the mount tells of them."""
    rows: list[dict[str, Any]] = []
    looked = 0
    with Progress(lambda: f"{looked} of {units.count(len(found.paths), 'file')} checked"):
        for paths in batches(found.paths, _PATHS):
            asked = request | {"op": "chosen", "paths": paths}
            rows += control.answer(found.record, asked, timeout_s=None)["versions"]
            looked += len(paths)
    return rows


def batches(items: Sequence[Any], most: int) -> Iterator[list[Any]]:
    """Items in lists of so many at most, each short enough for one request."""
    batch: list[Any] = []
    size = 0
    for item in items:
        length = len(json.dumps(item)) + 2
        if batch and (len(batch) == most or size + length > _REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch
