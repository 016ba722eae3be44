"""The words of the design as frozen values. Imports nothing of ours; every package may import it.

These values also travel between processes and lie in the journal, so each field is a type that
msgspec encodes: str, int, bool, bytes, None, tuples, enums and other values of this module.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import NewType

StoreId = NewType("StoreId", str)
"""Identity of a store: 32 hex digits of a hash of normalised URL + endpoint + account."""
Key = NewType("Key", str)
"""A name inside a store, relative to its prefix: `a/b.txt`; the root is the empty key."""
Token = NewType("Token", str)
"""What the store calls one content: an id or an ETag. Equal tokens of a key mean equal bytes."""
VersionId = NewType("VersionId", str)
"""What the store calls one version of a key."""
WriteId = NewType("WriteId", str)
"""Marks one intended write; every retry of it carries the same one."""
RunId = NewType("RunId", str)
"""One run of the ledger: 26 characters; people may give the first few."""
SessionId = NewType("SessionId", str)
"""One run of one front process, owner of journal entries."""

DEFAULT_FILE_MODE = 0o644
"""Permission bits of a file whose store says nothing of them."""
DEFAULT_FOLDER_MODE = 0o755
"""The same for a directory."""
CHUNK_BYTES = 1 << 20
"""Size of a chunk; the last one of a version may be shorter."""

HIDDEN_FOLDER = ".vstorefs"
"""The directory at a store's root that holds our own objects and never shows in a mount."""
VERSIONS_FOLDER = ".versions"
"""The name by which every directory of a mount shows its history."""


def join(directory: Key, name: str) -> Key:
    """The key of `name` in `directory`."""
    return Key(f"{directory}/{name}" if directory else name)


def parent_of(key: Key) -> Key:
    """The directory that holds `key`; the root for a name at the top."""
    return Key(key.rpartition("/")[0])


def name_of(key: Key) -> str:
    """The last component of a key."""
    return key.rpartition("/")[2]


class EntryKind(Enum):
    """What a name in a store is."""

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"


class VersionKind(Enum):
    """What a version says about its path."""

    CONTENT = "content"
    TOMBSTONE = "tombstone"


class Mark(Enum):
    """What a version is marked with; values are shown to people."""

    LATE = "late"
    INTERRUPTED = "interrupted"
    OLDER_HEAD = "made from an older head"
    REPLACED_OUTSIDE = "replaced outside"
    CHANGED_AFTER = "changed after it was superseded"
    OUTSIDE = "made by another program"
    RACE = "written at the same time as another"
    DELETED_WHILE_WRITTEN = "deleted while it was written"
    DAMAGED = "its record is damaged"
    FOREIGN = "its record is of another store"
    PURGED = "purged"
    PURGING = "its purge is not finished"


@dataclass(frozen=True, slots=True)
class Hashes:
    """Hex digests of one content."""

    md5: str
    sha1: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One name as a listing or a stat shows it.

    `mode` holds permission bits only, None where the store keeps none (as are `uid`, `gid`).
    `token` is empty for directories. `strong` is False where the token comes from size and times.
    `version` is known where the store said it (an S3 listing does not).
    """

    key: Key
    kind: EntryKind
    size: int = 0
    mtime_ns: int = 0
    token: Token = Token("")
    strong: bool = True
    version: VersionId | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Unshown:
    """A name in a store that no directory can show, written so that it can be printed, and why."""

    key: str
    why: str


@dataclass(frozen=True, slots=True)
class Content:
    """Where the bytes of one immutable content are: enough to read them, whatever is head now."""

    store: StoreId
    key: Key
    token: Token
    size: int
    version: VersionId | None = None
    strong: bool = True


@dataclass(frozen=True, slots=True)
class Write:
    """The identity of one intended version, fixed before its first request.

    `base` is the token of the head that the writer started from, None where there was none. `after`
    is the write that was still on its way when this one began, and so its base too once it has
    happened. `hashes` are those of the new content, None until the staged content is complete.
    `mtime_set`: a program chose the time, rather than that of its last write. `record` is the name
    under which the store gets it, once that was chosen: it never changes after. `run` is the run that
    makes it.
    """

    write_id: WriteId
    version: VersionId
    time_ns: int
    base: Token | None
    after: WriteId | None = None
    size: int = 0
    mode: int | None = None
    mtime_ns: int | None = None
    uid: int | None = None
    gid: int | None = None
    hashes: Hashes | None = None
    marks: tuple[Mark, ...] = ()
    mtime_set: bool = False
    record: str | None = None
    run: RunId | None = None


@dataclass(frozen=True, slots=True)
class Purger:
    """Who removes bytes for good, and when."""

    by: str
    time_ns: int


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a path, as its history shows it. Newest last in every list of versions.

    `run` made it; `uses` is how many runs used it, as far as this host knows.
    `token` is empty where there are no bytes; `purged` is set where they were purged.
    """

    key: Key
    id: VersionId
    kind: VersionKind
    time_ns: int
    token: Token = Token("")
    strong: bool = True
    size: int = 0
    mtime_ns: int = 0
    mode: int | None = None
    base: Token | None = None
    write_id: WriteId | None = None
    hashes: Hashes | None = None
    marks: tuple[Mark, ...] = ()
    is_head: bool = False
    run: RunId | None = None
    uses: int = 0
    purged: Purger | None = None

    def content(self, store: StoreId) -> Content:
        """Where its bytes are, in the store that it is a version in."""
        return Content(store, self.key, self.token, self.size, self.id, self.strong)


class Operation(Enum):
    """What a journal entry does to its path."""

    PUT = "put"
    REMOVE = "remove"
    RENAME = "rename"
    COPY = "copy"
    MAKE_DIRECTORY = "mkdir"
    REMOVE_DIRECTORY = "rmdir"
    ATTRIBUTES = "attributes"
    SYMLINK = "symlink"


class Promise(Enum):
    """What was said to the program about a journal entry's content."""

    CLOSED = "closed"
    SYNCED = "synced"
    SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class Staged:
    """Content being written, in a staging file.

    `present` are the [start, end) ranges that the staging file holds, sorted and disjoint;
    the rest of `size` bytes comes from `base` (zeros beyond its end). `name` is relative to the
    staging directory.
    """

    name: str
    size: int
    present: tuple[tuple[int, int], ...]
    base: Content | None


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One promised change, in a strict queue per path.

    `seq` orders all entries of a state; 0 until the journal gave it one. `target` is the new path
    of a rename or a copy (a copy's may be its own path: an old version comes back), `link` the text
    of a symlink that is made or renamed. `source` is the content that a copy or the rename of a file
    takes; its token is empty where the content was still on its way, then `removal.after` names its
    write. `aside_ns` is when it was set aside, with the reason in `error`; None for one that is on its way.
    A rename with neither `source` nor `link` moves a directory. `removal` is the identity of
    the tombstone that a rename leaves.
    """

    seq: int
    session: SessionId
    store: StoreId
    operation: Operation
    path: Key
    write: Write
    promise: Promise = Promise.CLOSED
    target: Key | None = None
    link: str | None = None
    staged: Staged | None = None
    source: Content | None = None
    removal: Write | None = None
    attempts: int = 0
    adopted: bool = False
    error: str | None = None
    aside_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store was found to do; never assumed.

    `writable` is False with the reason in `why_read_only`, one line for people. `note` is what they
    should know of how its versions are kept, empty where there is nothing to say. `layout` names how
    they are kept. `path_bytes` is the length of the longest path that can be sure of its place, with its
    versions; 0 where that is not known. `part_bytes`: what each part of a path takes besides.
    """

    writable: bool
    why_read_only: str = ""
    note: str = ""
    layout: str = ""
    path_bytes: int = 0
    part_bytes: int = 0

    def has_room_for(self, path: str) -> bool:
        """Whether a path can be sure of its place, as far as is known. Pure."""
        parts = path.count("/") + 1
        return not 0 < self.path_bytes < len(path.encode()) + parts * self.part_bytes


@dataclass(frozen=True, slots=True)
class StoreSpec:
    """One store of a project as a worker needs it. Holds no credentials.

    `concurrency` is how many requests may wait for the store at once. `files` are single addresses
    with the name that each is shown under, for a store that is a list of them.
    """

    id: StoreId
    alias: str
    url: str
    read_only: bool = False
    listing_seconds: float = 60.0
    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    proxy: str | None = None
    ca_bundle: str | None = None
    concurrency: int = 40
    files: tuple[tuple[str, str], ...] = ()
