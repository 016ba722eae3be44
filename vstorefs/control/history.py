"""Asking a mount for histories, and to bring back what was. Paths are relative to the mount point."""

from __future__ import annotations

import msgspec

from vstorefs.control.protocol import Paged, Request
from vstorefs.versions.history.comparison import Change
from vstorefs.versions.history.points import Point
from vstorefs.versions.history.texts import VersionItem


class Versions(msgspec.Struct, frozen=True):
    """All versions of one path, oldest first."""

    versions: tuple[VersionItem, ...]


class ShowHistory(Request[Versions], frozen=True, tag="history"):
    """Which versions does a path have? Empty for one that never was a file."""

    path: str


class Searched(msgspec.Struct, frozen=True):
    """How many files were looked at."""

    files: int


class LogRow(VersionItem, frozen=True, kw_only=True):
    """One version of a path; paths in rows are relative to the one that was asked for, empty for that itself."""

    path: str


class ShowLog(Paged[LogRow, Searched], frozen=True, tag="log"):
    """The versions of everything at or below a path, oldest first; only the newest `limit`."""

    path: str
    limit: int | None = None


class Side(msgspec.Struct, frozen=True):
    """The version of one side of a difference."""

    id: str
    time: str
    size: int
    sha256: str | None


class DiffRow(msgspec.Struct, frozen=True):
    """One path that differs; not `certain` where sizes are equal and no hashes are known."""

    path: str
    change: Change
    certain: bool
    before: Side | None
    after: Side | None


class ShowDiff(Paged[DiffRow, Searched], frozen=True, tag="diff"):
    """What differs at or below a path between two points?"""

    path: str
    one: Point
    other: Point


class CostRow(msgspec.Struct, frozen=True):
    """What is at or below a path takes; `freed` is what each of the purges would free."""

    path: str
    files: int
    deleted: int
    versions: int
    head_bytes: int
    history_bytes: int
    freed: tuple[int, ...]


class ShowCost(Paged[CostRow, Searched], frozen=True, tag="cost"):
    """What does the history at or below a path take, in parts down to `depth` levels?

    `purges` are written as `vstorefs purge --versions` takes them.
    """

    path: str
    depth: int
    purges: tuple[str, ...] = ()


class RestoreRow(msgspec.Struct, frozen=True, kw_only=True):
    """What was done to one path: `outcome` is an action's word, or `failed`, with the `error`."""

    path: str
    action: str
    id: str | None
    time: str | None
    size: int | None
    outcome: str
    error: str | None


class Restored(msgspec.Struct, frozen=True):
    """How many files were looked at; `counts` by outcome."""

    files: int
    counts: dict[str, int]
    bytes: int


class Restore(Paged[RestoreRow, Restored], frozen=True, tag="restore"):
    """Bring back a version of a file, or what was there at a moment, on behalf of process `pid`.

    `to` is null where the command copies the content itself, to a place outside this store; then nothing is done here.
    """

    path: str
    to: str | None
    version: str | None
    at: Point | None
    delete: bool
    dry_run: bool
    pid: int
