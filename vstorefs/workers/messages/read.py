"""What is asked about contents and names: are they there, bring them in, hash them."""

from __future__ import annotations

import msgspec

from vstorefs.checksums import Claims
from vstorefs.errors import Origin
from vstorefs.ledger.manifest import ChangeWarning
from vstorefs.model import Capabilities, Content, Entry, Hashes, Key, StoreId, Unshown
from vstorefs.workers.messages.request import Noted, Request


class Checked(msgspec.Struct, frozen=True, tag=True):
    """Answer to Check."""

    capabilities: Capabilities


class Check(Request[Checked], frozen=True, tag=True):
    """Does this store answer, and what can it do? Answer: Checked."""

    store: StoreId


class Look(Request[Noted], frozen=True, tag=True):
    """Does this store answer, and is it the one that was mounted? One small request. Answer: Noted."""

    store: StoreId


class Listed(msgspec.Struct, frozen=True, tag=True):
    """Answer to ListDirectory; `listed_at` (boottime seconds) is when the store was asked.

    `why`: where it is `stale`, what stood in the way of a new one, and `origin` where that lies.
    """

    entries: tuple[Entry, ...]
    listed_at: float
    stale: bool = False
    why: str = ""
    origin: Origin = Origin.KEY
    complete: bool = True
    unshown: tuple[Unshown, ...] = ()


class ListDirectory(Request[Listed], frozen=True, tag=True):
    """One directory, from the cache or the store. Answer: Listed.

    The cache serves what was listed at or after `not_before` (seconds since boot).

    If the store is unavailable, a cached listing of any age is answered, with `stale` set.
    """

    store: StoreId
    directory: Key
    not_before: float


class Found(msgspec.Struct, frozen=True, tag=True):
    """Answer to Find; None where there is nothing of that name."""

    entry: Entry | None


class Find(Request[Found], frozen=True, tag=True):
    """One name of a directory whose listing is not complete. Answer: Found."""

    store: StoreId
    key: Key


class Arrived(msgspec.Struct, frozen=True, tag=True):
    """A chunk is in the cache, or here where the cache could not take it."""

    chunk: int
    data: bytes | None = None


class Fetched(msgspec.Struct, frozen=True, tag=True):
    """Answer to Fetch: bytes that came from the store."""

    downloaded: int


class Fetch(Request[Fetched], frozen=True, tag=True):
    """Bring chunks [first, last) of a content into the cache. Progress: Claimed; Arrived, in order. Answer: Fetched.

    Where they are the whole content, none arrives before it was compared with what is known of it.

    `pin`: keep them until the hashing of this content has passed them. `keep`: False for content with a
    token that is not trusted, and where the cache is too small for what is read at once; then every chunk travels in
    `Arrived.data`, and where it is to be pinned, the hash of this content, in the same worker, takes it as it passes.
    `anew`: what the cache holds of these chunks is damaged; drop it first.
    """

    content: Content
    first: int
    last: int
    pin: bool
    keep: bool = True
    anew: bool = False

    @property
    def store(self) -> StoreId:
        """The store of its content."""
        return self.content.store


class Claimed(msgspec.Struct, frozen=True, tag=True):
    """What a store has said of the whole content that it gave bytes of."""

    claims: Claims


class Available(msgspec.Struct, frozen=True, tag=True):
    """Chunks [0, until) of the content being hashed have been in the cache."""

    until: int


class Passed(msgspec.Struct, frozen=True, tag=True):
    """One chunk of the content being hashed, at most 1 MiB, which the cache did not take."""

    chunk: int
    data: bytes


class Hashed(msgspec.Struct, frozen=True, tag=True):
    """Chunks [0, until) are hashed and no longer kept from eviction."""

    until: int


class HashDone(msgspec.Struct, frozen=True, tag=True):
    """Answer to Hash.

    `hashes` is None when it was abandoned, and where the store gives something else than the content. `reread` bytes
    had to be downloaded again. `damaged`: how the bytes that came first are not the content; readers may have got some
    of them. `warnings` follow from what the hashes, or their absence, tell. `sums`: the checksum that each chunk has in
    the cache, 8 bytes each, where asked for.
    """

    hashes: Hashes | None
    reread: int = 0
    damaged: str = ""
    warnings: tuple[ChangeWarning, ...] = ()
    sums: bytes = b""


class Hash(Request[HashDone], frozen=True, tag=True):
    """Own the hashing of one content. Progress: Hashed. Answer: HashDone.

    The front tells `Available` as chunks arrive in the cache, before that `Passed` of those that it refused, and
    `Claimed` when a store has said something of the content; `claims` is what it has said before. `sums`: tell the
    checksums of the chunks too.
    """

    content: Content
    available: int
    sums: bool = False
    claims: Claims = ()


class HashesKnown(msgspec.Struct, frozen=True, tag=True):
    """Answer to Known. `read`: they were taken from a first read on this host."""

    hashes: Hashes | None
    read: bool


class Known(Request[HashesKnown], frozen=True, tag=True):
    """Has this content been hashed on a first read on this host? Answer: HashesKnown."""

    content: Content


class Release(Request[Noted], frozen=True, tag=True):
    """Chunks [first, last) of a content need not be kept from eviction any more. Answer: Noted."""

    content: Content
    first: int
    last: int


class NoteRecency(Request[Noted], frozen=True, tag=True):
    """Recency of chunks that were read (keys as `cache.keys.chunk_key` makes them).

    Answer: Noted.
    """

    chunks: tuple[bytes, ...]
