"""What is asked about versions: what there was, what differs, what goes, whether it is what it should be."""

from __future__ import annotations

import msgspec

from vstorefs.model import Key, Purger, StoreId, Version, VersionId
from vstorefs.versions.history.points import Point
from vstorefs.versions.history.restore import Step, Wanted
from vstorefs.versions.history.selection import Selection
from vstorefs.workers.messages.read import Listed
from vstorefs.workers.messages.request import Request


class Past(Request[Listed], frozen=True, tag=True):
    """One directory as it was at a moment. Answer: Listed, which then does not change."""

    store: StoreId
    directory: Key
    moment_ns: int


class MomentFound(msgspec.Struct, frozen=True, tag=True):
    """Answer to Moment; None for what is no time, or in the future."""

    moment_ns: int | None


class Moment(Request[MomentFound], frozen=True, tag=True):
    """What a text calls a moment. Answer: MomentFound."""

    text: str


class Versions(msgspec.Struct, frozen=True, tag=True):
    """Answer to History, oldest first, hashes filled in where this host knows them."""

    versions: tuple[Version, ...]


class History(Request[Versions], frozen=True, tag=True):
    """All versions of a path. Answer: Versions."""

    store: StoreId
    key: Key


class Histories(Request[Versions], frozen=True, tag=True):
    """All versions of several paths. Answer: Versions, path after path."""

    store: StoreId
    keys: tuple[Key, ...]


class Names(msgspec.Struct, frozen=True, tag=True):
    """Answer to HistoryNames: names (not keys), sorted."""

    names: tuple[str, ...]


class HistoryNames(Request[Names], frozen=True, tag=True):
    """Names in a directory that have, or had, versions. Answer: Names."""

    store: StoreId
    directory: Key


class Paths(msgspec.Struct, frozen=True, tag=True):
    """Answer to PathsBelow, sorted."""

    keys: tuple[Key, ...]


class PathsBelow(Request[Paths], frozen=True, tag=True):
    """Files at or below a path that have, or had, versions. Answer: Paths."""

    store: StoreId
    path: Key


class Rows(msgspec.Struct, frozen=True, tag=True):
    """Some more rows of an answer, as they go to the command line: a list in JSON."""

    rows: bytes


class Planned(msgspec.Struct, frozen=True, tag=True):
    """Some more steps of a restore."""

    steps: tuple[Step, ...]


class Surveyed(msgspec.Struct, frozen=True, tag=True):
    """Answer to Log, Compare, PlanRestore, Cost: how many files were looked at."""

    files: int


class Log(Request[Surveyed], frozen=True, tag=True):
    """All versions of everything at or below a path, or the newest `limit`. Progress: Rows, oldest first.

    Answer: Surveyed.
    """

    store: StoreId
    path: Key
    limit: int | None = None


class Compare(Request[Surveyed], frozen=True, tag=True):
    """What differs at or below a path between two points. Progress: Rows. Answer: Surveyed."""

    store: StoreId
    path: Key
    one: Point
    other: Point


class PlanRestore(Request[Surveyed], frozen=True, tag=True):
    """What a restore of what is at or below a path has to do. Progress: Planned. Answer: Surveyed.

    `to` is where it comes back in the same store; None for a place outside, where nothing is known to be.
    """

    store: StoreId
    path: Key
    to: Key | None
    wanted: Wanted
    delete: bool


class Cost(Request[Surveyed], frozen=True, tag=True):
    """What the history of everything at or below a path costs. Progress: Rows. Answer: Surveyed.

    `purges`: what each of these would free, were it done now.
    """

    store: StoreId
    path: Key
    depth: int
    purges: tuple[Selection, ...] = ()


class PurgeOutcome(msgspec.Struct, frozen=True):
    """What became of one version: `error` is why it is still there, `kept` who needs the same bytes."""

    key: Key
    id: VersionId
    error: str = ""
    kept: str = ""


class Purged(msgspec.Struct, frozen=True, tag=True):
    """Answer to Purge, in the order of its versions."""

    outcomes: tuple[PurgeOutcome, ...]


class Purge(Request[Purged], frozen=True, tag=True):
    """Remove versions' bytes for good. Answer: Purged.

    What is a head is refused. Asked again, it finishes what it has begun.
    """

    store: StoreId
    versions: tuple[tuple[Key, VersionId], ...]
    purger: Purger


class Read(msgspec.Struct, frozen=True, tag=True):
    """So many bytes more came from the store."""

    size: int


class VerifyOutcome(msgspec.Struct, frozen=True):
    """What reading one version has shown: `problem` is empty where it is as recorded.

    `recorded`: nobody had its hashes, and this host has them from now on. `corrected`: this host had those of a damaged
    read, and has the right ones from now on.
    """

    id: VersionId
    size: int
    problem: str = ""
    recorded: bool = False
    corrected: bool = False


class Verified(msgspec.Struct, frozen=True, tag=True):
    """Answer to Verify."""

    outcomes: tuple[VerifyOutcome, ...]


class Verify(Request[Verified], frozen=True, tag=True):
    """Read versions of a path from the store and compare hashes. Progress: Read. Answer: Verified."""

    store: StoreId
    key: Key
    ids: tuple[VersionId, ...]


Survey = Log | Compare | PlanRestore | Cost
