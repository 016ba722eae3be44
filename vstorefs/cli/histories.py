"""Versions of everything at or below a path in a mount, asked for in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from vstorefs import errors, units
from vstorefs.cli.progress import ProgressLine
from vstorefs.control import client
from vstorefs.control.maintenance import ChooseVersions, ChosenVersion, FindPaths
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.selection import Selection

_REQUEST_BYTES = 40_000
_PATHS = 50

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Below:
    """Files at or below a path, relative to their mount, and the stores that they are in."""

    record: MountRecord
    paths: tuple[str, ...]
    stores: tuple[str, ...]


def below(path: str, *, to_purge: bool) -> Below:
    """What is at or below a path, deleted files too. Raises: VstorefsError where nothing ever was."""
    record = mounts.mount_of(path)
    answer = client.ask(
        record, FindPaths(mounts.inside(record, path), to_purge=to_purge), timeout_s=None
    )
    if not answer.paths:
        raise errors.VstorefsError(
            f"{path} has no versions: no such file or directory, now or earlier"
        )
    return Below(record, answer.paths, answer.stores)


def versions(found: Below, selection: Selection | None = None) -> list[ChosenVersion]:
    """The versions of all files that a selection chooses; without one, all that have content."""
    rows: list[ChosenVersion] = []
    looked = 0
    with ProgressLine(lambda: f"{looked} of {units.count(len(found.paths), 'file')} checked"):
        for paths in batches(found.paths, _PATHS):
            request = ChooseVersions(tuple(paths), selection)
            rows += client.ask(found.record, request, timeout_s=None).versions
            looked += len(paths)
    return rows


def batches(items: Sequence[Item], most: int) -> Iterator[list[Item]]:
    """Items in lists of so many at most, each short enough for one request."""
    batch: list[Item] = []
    size = 0
    for item in items:
        length = len(msgspec.json.encode(item)) + 1
        if batch and (len(batch) == most or size + length > _REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += length
    if batch:
        yield batch
