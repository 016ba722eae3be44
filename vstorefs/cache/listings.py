"""Listings in the cache, beside the chunks and under the same limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec

from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import listing_key
from vstorefs.model import Entry, Key, StoreId, Unshown


@dataclass(frozen=True, slots=True)
class CachedListing:
    """One directory as a store listed it.

    `listed_at` in seconds since boot, when the store was asked, in boot `boot`.
    """

    entries: tuple[Entry, ...]
    listed_at: float
    boot: str
    complete: bool = True
    unshown: tuple[Unshown, ...] = ()


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CachedListing).decode


class Listings:
    """Cached listings; for workers' threads. Those of another `scope` are not seen."""

    def __init__(self, cache: Cache, boot: str, scope: str = "") -> None:
        self._chunks = ChunkWriter(cache)
        self._boot = boot
        self._scope = scope

    def get(self, store: StoreId, directory: Key) -> CachedListing | None:
        """The last listing of a directory.

        One of an earlier boot is older than anything of this one.
        """
        data = self._chunks.read(listing_key(store, directory, self._scope))
        if data is None:
            return None
        try:
            listing = _decode(data)
        except msgspec.MsgspecError:
            # Written by another version of the software.
            return None
        if listing.boot != self._boot:
            return replace(listing, listed_at=float("-inf"))
        return listing

    def put(
        self,
        store: StoreId,
        directory: Key,
        entries: tuple[Entry, ...],
        listed_at: float,
        *,
        complete: bool = True,
        unshown: tuple[Unshown, ...] = (),
    ) -> CachedListing:
        """Keep a listing instead of the one before."""
        listing = CachedListing(entries, listed_at, self._boot, complete, unshown)
        key = listing_key(store, directory, self._scope)
        self._chunks.drop(key)
        self._chunks.put(key, _encode(listing))
        return listing

    def forget(self, store: StoreId, directory: Key) -> None:
        """This mount changed the directory."""
        self._chunks.drop(listing_key(store, directory, self._scope))
