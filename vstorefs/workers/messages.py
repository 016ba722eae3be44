"""What the front and a worker say to each other: typed values, versioned together with the code.

Framing is in `channel.py`. The front sends `Ask` (a numbered request) and `Tell` (a note about one
that is under way); the worker answers each ask with any number of `Progress` and then exactly one
`Answer` or `Failure`. Content travels through the cache, never through here, except where the cache
cannot take it (`Arrived.data`).
"""

from __future__ import annotations

import msgspec

from vstorefs.ledger.ledger import Note
from vstorefs.ledger.manifest import ChangeWarning, Run, RunStatus
from vstorefs.model import (
    Capabilities,
    Content,
    Entry,
    Hashes,
    JournalEntry,
    Key,
    Purger,
    RunId,
    SessionId,
    StoreId,
    StoreSpec,
    Unshown,
    Version,
    VersionId,
)
from vstorefs.project import Project
from vstorefs.versions.history.points import Point
from vstorefs.versions.history.restore import Step, Wanted
from vstorefs.versions.history.selection import Selection
from vstorefs.versions.locked import Lock


class Start(msgspec.Struct, frozen=True, tag=True):
    """The first message to a worker: everything it needs to work."""

    project: Project
    cache_dir: str
    state_dir: str
    cache_bytes: int
    session: SessionId
    log_level: int
    lock: Lock | None = None

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The project's stores."""
        return self.project.stores


# --- requests: front -> worker


class Check(msgspec.Struct, frozen=True, tag=True):
    """Does this store answer, and what can it do? Answer: Checked."""

    store: StoreId


class Fetch(msgspec.Struct, frozen=True, tag=True):
    """Bring chunks [first, last) of a content into the cache. Progress: Arrived, in order. Answer: Fetched.

    `pin`: keep them from eviction until the hashing of this content released them. `keep`: False
    for content with a token that is not trusted; then every chunk travels in `Arrived.data`.
    `anew`: what the cache holds of these chunks is damaged; drop it first.
    """

    content: Content
    first: int
    last: int
    pin: bool
    keep: bool = True
    anew: bool = False


class ListDirectory(msgspec.Struct, frozen=True, tag=True):
    """One directory, from the cache or the store. Answer: Listed.

    The cache serves what was listed at or after `not_before` (seconds since boot).

    If the store is unavailable, a cached listing of any age is answered, with `stale` set.
    """

    store: StoreId
    directory: Key
    not_before: float


class Past(msgspec.Struct, frozen=True, tag=True):
    """One directory as it was at a moment. Answer: Listed, which then does not change."""

    store: StoreId
    directory: Key
    moment_ns: int


class Moment(msgspec.Struct, frozen=True, tag=True):
    """What a text calls a moment. Answer: MomentFound."""

    text: str


class Find(msgspec.Struct, frozen=True, tag=True):
    """One name of a directory whose listing is not complete. Answer: Found."""

    store: StoreId
    key: Key


class Hash(msgspec.Struct, frozen=True, tag=True):
    """Own the hashing of one content. Progress: Hashed. Answer: HashDone.

    The front tells `Available` as chunks arrive in the cache. `sums`: tell the checksums of the chunks too.
    """

    content: Content
    available: int
    sums: bool = False


class Record(msgspec.Struct, frozen=True, tag=True):
    """Put entries into the journal in this order, in one synced transaction. Answer: Recorded.

    `drop` are sequence numbers of entries that end in the same transaction (scratch content that
    was renamed or removed).
    """

    entries: tuple[JournalEntry, ...]
    drop: tuple[int, ...] = ()


class Publish(msgspec.Struct, frozen=True, tag=True):
    """Carry out one journal entry in its store, then take it out of the journal. Answer: Published.

    Asked again after a failure or a dead worker with `look` set: then the store is looked at first.
    `overdue`: taken over from a dead session, or waiting for over 60 s; such content never goes on
    top of a head that is not its base.
    """

    entry: JournalEntry
    look: bool
    overdue: bool = False


class History(msgspec.Struct, frozen=True, tag=True):
    """All versions of a path. Answer: Versions."""

    store: StoreId
    key: Key


class HistoryNames(msgspec.Struct, frozen=True, tag=True):
    """Names in a directory that have, or had, versions. Answer: Names."""

    store: StoreId
    directory: Key


class Log(msgspec.Struct, frozen=True, tag=True):
    """All versions of everything at or below a path, or the newest `limit`. Progress: Rows, oldest first.

    Answer: Surveyed.
    """

    store: StoreId
    path: Key
    limit: int | None = None


class Compare(msgspec.Struct, frozen=True, tag=True):
    """What differs at or below a path between two points. Progress: Rows. Answer: Surveyed."""

    store: StoreId
    path: Key
    one: Point
    other: Point


class PlanRestore(msgspec.Struct, frozen=True, tag=True):
    """What a restore of what is at or below a path has to do. Progress: Planned. Answer: Surveyed.

    `to` is where it comes back in the same store; None for a place outside, where nothing is known to be.
    """

    store: StoreId
    path: Key
    to: Key | None
    wanted: Wanted
    delete: bool


class Cost(msgspec.Struct, frozen=True, tag=True):
    """What the history of everything at or below a path costs. Progress: Rows. Answer: Surveyed.

    `purges`: what each of these would free, were it done now.
    """

    store: StoreId
    path: Key
    depth: int
    purges: tuple[Selection, ...] = ()


class PathsBelow(msgspec.Struct, frozen=True, tag=True):
    """Files at or below a path that have, or had, versions. Answer: Paths."""

    store: StoreId
    path: Key


class Histories(msgspec.Struct, frozen=True, tag=True):
    """All versions of several paths. Answer: Versions, path after path."""

    store: StoreId
    keys: tuple[Key, ...]


class Purge(msgspec.Struct, frozen=True, tag=True):
    """Remove versions' bytes for good. Answer: Purged.

    What is a head is refused. Asked again, it finishes what it has begun.
    """

    store: StoreId
    versions: tuple[tuple[Key, VersionId], ...]
    purger: Purger


class Verify(msgspec.Struct, frozen=True, tag=True):
    """Read versions of a path from the store and compare hashes. Progress: Read. Answer: Verified."""

    store: StoreId
    key: Key
    ids: tuple[VersionId, ...]


class Adopt(msgspec.Struct, frozen=True, tag=True):
    """Take over the journal entries of dead sessions for these stores. Answer: Adopted."""

    stores: tuple[StoreId, ...]


class NoteRecency(msgspec.Struct, frozen=True, tag=True):
    """Recency of chunks that were read (keys as `cache.keys.chunk_key` makes them).

    Answer: Noted.
    """

    chunks: tuple[bytes, ...]


class Release(msgspec.Struct, frozen=True, tag=True):
    """Chunks [first, last) of a content need not be kept from eviction any more. Answer: Noted."""

    content: Content
    first: int
    last: int


class Known(msgspec.Struct, frozen=True, tag=True):
    """Has this content been hashed on a first read on this host? Answer: HashesKnown."""

    content: Content


class BeginRun(msgspec.Struct, frozen=True, tag=True):
    """A run begins; told again, it takes its place above what came in since. Answer: RunBegun."""

    run: Run


class NoteUses(msgspec.Struct, frozen=True, tag=True):
    """What runs did with inputs. Answer: Warned."""

    notes: tuple[Note, ...]


class EndRun(msgspec.Struct, frozen=True, tag=True):
    """A run ends, and its manifest is made. Answer: RunEnded."""

    run: RunId
    status: RunStatus
    exit_status: int | None = None


class EndAbandoned(msgspec.Struct, frozen=True, tag=True):
    """Close the runs of mounts that died. Answer: RunsClosed."""


class Checkpoint(msgspec.Struct, frozen=True, tag=True):
    """Let other hosts see how far a run is. `number` counts its checkpoints. Answer: Noted."""

    run: RunId
    number: int


class ExchangeLedger(msgspec.Struct, frozen=True, tag=True):
    """Send what waits, then take in what other hosts have written; `whole`: whatever its age. Answer: Exchanged."""

    whole: bool


class FindWarnings(msgspec.Struct, frozen=True, tag=True):
    """The warnings that hold of a path, or with `below` of all paths below it. Answer: Warned."""

    store: StoreId
    path: Key
    below: bool


class CheckInputs(msgspec.Struct, frozen=True, tag=True):
    """Compare inputs of a run with what the stores have now. Progress: Compared. Answer: Warned.

    `paths`: only what is at or below these, where any are given, as pairs of store and path.
    """

    run: RunId
    paths: tuple[tuple[StoreId, Key], ...]


class Accept(msgspec.Struct, frozen=True, tag=True):
    """Accept what a path has now, or what is warned of below it. Answer: Accepted."""

    store: StoreId
    path: Key
    why: str
    user: str


# --- notes about a request under way: front -> worker


class Available(msgspec.Struct, frozen=True, tag=True):
    """Chunks [0, until) of the content being hashed have been in the cache."""

    until: int


class Abandon(msgspec.Struct, frozen=True, tag=True):
    """Nobody needs this any more; finish soon."""


# --- progress and answers: worker -> front


class Arrived(msgspec.Struct, frozen=True, tag=True):
    """A chunk is in the cache, or here where the cache could not take it."""

    chunk: int
    data: bytes | None = None


class Hashed(msgspec.Struct, frozen=True, tag=True):
    """Chunks [0, until) are hashed and no longer kept from eviction."""

    until: int


class Rows(msgspec.Struct, frozen=True, tag=True):
    """Some more rows of an answer, as they go to the command line: a list in JSON."""

    rows: bytes


class Planned(msgspec.Struct, frozen=True, tag=True):
    """Some more steps of a restore."""

    steps: tuple[Step, ...]


class Read(msgspec.Struct, frozen=True, tag=True):
    """So many bytes more came from the store."""

    size: int


class Checked(msgspec.Struct, frozen=True, tag=True):
    """Answer to Check."""

    capabilities: Capabilities


class Fetched(msgspec.Struct, frozen=True, tag=True):
    """Answer to Fetch: bytes that came from the store."""

    downloaded: int


class Listed(msgspec.Struct, frozen=True, tag=True):
    """Answer to ListDirectory; `listed_at` (boottime seconds) is when the store was asked.

    `why`: where it is `stale`, what stood in the way of a new one.
    """

    entries: tuple[Entry, ...]
    listed_at: float
    stale: bool = False
    why: str = ""
    complete: bool = True
    unshown: tuple[Unshown, ...] = ()


class Found(msgspec.Struct, frozen=True, tag=True):
    """Answer to Find; None where there is nothing of that name."""

    entry: Entry | None


class MomentFound(msgspec.Struct, frozen=True, tag=True):
    """Answer to Moment; None for what is no time, or in the future."""

    moment_ns: int | None


class HashDone(msgspec.Struct, frozen=True, tag=True):
    """Answer to Hash.

    `hashes` is None when it was abandoned. `reread` bytes had to be downloaded again. `warnings` follow from
    what the hashes, or their absence, tell. `sums`: the xxh3 of each chunk, 8 bytes each, where asked for.
    """

    hashes: Hashes | None
    reread: int = 0
    mismatch: bool = False
    warnings: tuple[ChangeWarning, ...] = ()
    sums: bytes = b""


class Recorded(msgspec.Struct, frozen=True, tag=True):
    """Answer to Record: the sequence numbers given, in order."""

    seqs: tuple[int, ...]


class Published(msgspec.Struct, frozen=True, tag=True):
    """Answer to Publish.

    `version` is the head that the entry made (or the head as it was, with `unchanged`, where the
    content is equal); None for operations without one. `removed` is the tombstone of a removal or
    rename. `entries` are fresh attributes, where set.
    """

    version: Version | None = None
    unchanged: bool = False
    removed: Version | None = None
    late: bool = False


class Versions(msgspec.Struct, frozen=True, tag=True):
    """Answer to History, oldest first, hashes filled in where this host knows them."""

    versions: tuple[Version, ...]


class Names(msgspec.Struct, frozen=True, tag=True):
    """Answer to HistoryNames: names (not keys), sorted."""

    names: tuple[str, ...]


class Surveyed(msgspec.Struct, frozen=True, tag=True):
    """Answer to Log, Compare, PlanRestore, Cost: how many files were looked at."""

    files: int


class Paths(msgspec.Struct, frozen=True, tag=True):
    """Answer to PathsBelow, sorted."""

    keys: tuple[Key, ...]


class PurgeOutcome(msgspec.Struct, frozen=True):
    """What became of one version: `error` is why it is still there, `kept` who needs the same bytes."""

    key: Key
    id: VersionId
    error: str = ""
    kept: str = ""


class Purged(msgspec.Struct, frozen=True, tag=True):
    """Answer to Purge, in the order of its versions."""

    outcomes: tuple[PurgeOutcome, ...]


class VerifyOutcome(msgspec.Struct, frozen=True):
    """What reading one version has shown: `problem` is empty where it is as recorded.

    `recorded`: nobody had its hashes, and this host has them from now on.
    """

    id: VersionId
    size: int
    problem: str = ""
    recorded: bool = False


class Verified(msgspec.Struct, frozen=True, tag=True):
    """Answer to Verify."""

    outcomes: tuple[VerifyOutcome, ...]


class Adopted(msgspec.Struct, frozen=True, tag=True):
    """Answer to Adopt, in sequence order; they belong to the asking session now."""

    entries: tuple[JournalEntry, ...]
    held: int = 0


class Noted(msgspec.Struct, frozen=True, tag=True):
    """Answer to Note."""


class HashesKnown(msgspec.Struct, frozen=True, tag=True):
    """Answer to Known. `read`: they were taken from a first read on this host."""

    hashes: Hashes | None
    read: bool


class RunBegun(msgspec.Struct, frozen=True, tag=True):
    """Answer to BeginRun."""

    run: Run


class Warned(msgspec.Struct, frozen=True, tag=True):
    """Answer to NoteUses, FindWarnings and CheckInputs."""

    warnings: tuple[ChangeWarning, ...]


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """Answer to Accept: how many paths were accepted, and how many warnings that ended."""

    paths: int
    ended: int


class RunEnded(msgspec.Struct, frozen=True, tag=True):
    """Answer to EndRun; None where there was nothing to keep."""

    run: Run | None
    warnings: tuple[ChangeWarning, ...] = ()


class RunsClosed(msgspec.Struct, frozen=True, tag=True):
    """Answer to EndAbandoned."""

    runs: tuple[Run, ...]


class Exchanged(msgspec.Struct, frozen=True, tag=True):
    """Answer to ExchangeLedger.

    `waiting` objects are kept on this host only, with why in `why`. `skewed`: hosts with wrong clocks, and by how many
    seconds they are ahead of the store's.
    """

    runs: int = 0
    waiting: int = 0
    why: str = ""
    skewed: tuple[tuple[str, int], ...] = ()


class Compared(msgspec.Struct, frozen=True, tag=True):
    """So many inputs of a run have been compared, of how many."""

    done: int
    of: int


class Failure(msgspec.Struct, frozen=True, tag=True):
    """A request failed with an error of our family, whose class is `kind`, or a "Bug"."""

    kind: str
    message: str
    store: str = ""
    key: str = ""
    operation: str = ""


Question = Check | ListDirectory | Find | History | HistoryNames | PathsBelow | Histories
Request = (
    Question
    | Fetch
    | Past
    | Moment
    | Hash
    | Record
    | Publish
    | Log
    | Compare
    | PlanRestore
    | Cost
    | Purge
    | Verify
    | Adopt
    | NoteRecency
    | Release
    | Known
    | BeginRun
    | NoteUses
    | EndRun
    | EndAbandoned
    | Checkpoint
    | ExchangeLedger
    | FindWarnings
    | CheckInputs
    | Accept
)
Survey = Log | Compare | PlanRestore | Cost
Remark = Available | Abandon
Report = Arrived | Hashed | Rows | Planned | Compared | Read
Answer = (
    Checked
    | Fetched
    | Listed
    | Found
    | MomentFound
    | HashDone
    | Recorded
    | Published
    | Versions
    | Names
    | Surveyed
    | Paths
    | Purged
    | Verified
    | Adopted
    | Noted
    | HashesKnown
    | RunBegun
    | Warned
    | Accepted
    | RunEnded
    | RunsClosed
    | Exchanged
    | Failure
)


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A numbered request."""

    number: int
    request: Request


class Tell(msgspec.Struct, frozen=True, tag=True):
    """A note about request `number`."""

    number: int
    remark: Remark


class Progress(msgspec.Struct, frozen=True, tag=True):
    """Something about request `number` before its answer."""

    number: int
    report: Report


class Reply(msgspec.Struct, frozen=True, tag=True):
    """The one answer to request `number`."""

    number: int
    answer: Answer


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """A record for the mount's log, from a worker; `exception` is its traceback, empty where there is none."""

    logger: str
    level: int
    text: str
    exception: str = ""


ToWorker = Start | Ask | Tell
ToFront = Progress | Reply | LogLine
