"""Listings in the cache, beside the chunks and under the same limit.

A listing shows a directory as it was at some moment after the store was asked. One that is kept only after a change was
made may be from before it; so whoever changes a directory leaves a mark in the place of its listing, and what the store
was asked for before that moment is not kept. Nor does an older listing take the place of a newer one.
"""

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


@dataclass(frozen=True, slots=True)
class _Forgotten:
    """In the place of a listing: what was asked for until then may not show what was changed. Times as above."""

    forgotten_at: float
    boot: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(CachedListing).decode
_decode_forgotten = msgspec.msgpack.Decoder(_Forgotten).decode


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
        listing = _read(data) if data is not None else None
        if not isinstance(listing, CachedListing):
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
        """Keep a listing instead of the one before, unless it is no newer than that, or than a change."""
        listing = CachedListing(entries, listed_at, self._boot, complete, unshown)
        key = listing_key(store, directory, self._scope)
        self._chunks.put(
            key, _encode(listing), replaces=lambda data: self._is_older(data, listed_at)
        )
        return listing

    def forget(self, store: StoreId, directory: Key, now_s: float) -> None:
        """Something has changed the directory, by now: in seconds since boot."""
        key = listing_key(store, directory, self._scope)
        mark = _encode(_Forgotten(now_s, self._boot))
        if not self._chunks.put(key, mark, replaces=lambda data: self._is_older(data, now_s)):
            self._chunks.drop(key)

    def _is_older(self, data: bytes, moment_s: float) -> bool:
        """Whether what is in the place of a listing says nothing of a moment."""
        there = _read(data)
        if there is None or there.boot != self._boot:
            return True
        if isinstance(there, _Forgotten):
            return there.forgotten_at < moment_s
        return there.listed_at <= moment_s


def _read(data: bytes) -> CachedListing | _Forgotten | None:
    """None for what another version of the software has written."""
    try:
        return _decode(data)
    except msgspec.MsgspecError:
        pass
    try:
        return _decode_forgotten(data)
    except msgspec.MsgspecError:
        return None
