"""Chunks are kept for the hasher of their content until it has passed them, so that none comes from the store twice.

What is asked for in line while a content is hashed is pinned in the cache, or, where it passes the cache, kept in the
memory of the hasher's worker (`workers/jobs/passing.py`). What the cache was to keep and refuses, the front hands to
the hasher itself (`Passed`). Both places have a bound over all contents, kept by letting fetches wait: a slow hasher
slows its readers, and costs no second transfer. Only what is read at random is not kept; the hasher reads it again.

Who waits for whom, so that what waits is always given back, in this order:

1. room: a fetch waits for its own hasher only, and only while that one gets on without it: it has something to go
   through, or the chunk that it needs next is on its way in another fetch (which waits for nothing but 2). A fetch of
   what the hasher needs next goes in any case, past the cache where its pins have no room. A hasher lets go of what it
   has passed, and says so, before it waits. No read waits for an eviction;
2. what a hasher has to go through: it reads the cache, its memory and, what is gone, the store, and waits for no fetch;
3. worker threads: a hash has a thread of its own, so none that fetches is occupied by one that waits;
4. requests in flight: a fetch takes its place at the store after it has waited for 1, and its worker waits for the
   store only.

Touched by the front's loop only.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import trio

from vstorefs.mount.reading.transfer import Transfer

_IN_MEMORY = 64
_UNHASHED_PASSING = 4


class Kept(enum.Enum):
    """Where chunks are kept for the hasher."""

    NOT = "nowhere: there is none, or it has passed them, or they are read at random"
    IN_CACHE = "pinned in the cache"
    IN_MEMORY = "in the memory of its worker, past the cache"


class Handover:
    """What is kept for hashers, over all contents of a mount."""

    def __init__(self, cache_chunks: int) -> None:
        self._pinned = max(1, cache_chunks // 2)
        self._backlog = max(8, cache_chunks // 4)
        self._hashed: set[Transfer] = set()
        self._moved = trio.Event()

    def holds_up(self, transfer: Transfer, chunks: Sequence[int], past: bool) -> bool:
        """Whether a fetch of these chunks, in rising order, is to wait; to be asked again whenever something moves."""
        return self._gets_on(transfer, chunks) and self._is_full(transfer, len(chunks), past)

    async def moved(self) -> None:
        """Return when a hasher, or what it waits for, has got on."""
        await self._moved.wait()

    def note_move(self) -> None:
        """Something has arrived, was given up, or was passed by a hasher."""
        self._moved.set()
        self._moved = trio.Event()

    def keep(self, transfer: Transfer, chunks: Sequence[int], past: bool) -> Kept:
        """Where these are kept for their hasher, from now until it has passed them."""
        if transfer.hasher is None or chunks[-1] < transfer.hashed:
            return Kept.NOT
        self._hashed.add(transfer)
        wanted = [chunk for chunk in chunks if chunk >= transfer.hashed]
        if not past and self._held() + len(wanted) <= self._pinned:
            transfer.held.update(wanted)
            return Kept.IN_CACHE
        if self._handed() + len(wanted) <= _IN_MEMORY or chunks[0] <= transfer.frontier:
            transfer.handed.update(wanted)
            return Kept.IN_MEMORY
        return Kept.NOT

    def refused(self, transfer: Transfer, chunk: int) -> bool:
        """The cache did not take a chunk that it was to keep; whether the hasher needs it."""
        if transfer.hasher is None or chunk not in transfer.held:
            return False
        transfer.held.discard(chunk)
        transfer.handed.add(chunk)
        return True

    def passed(self, transfer: Transfer, until: int) -> None:
        """The hasher has gone through chunks [0, until)."""
        transfer.hashed = until
        self._forget(
            transfer, {chunk for chunk in transfer.held | transfer.handed if chunk < until}
        )

    def failed(self, transfer: Transfer, chunks: Sequence[int]) -> None:
        """These do not come."""
        self._forget(transfer, set(chunks))

    def _forget(self, transfer: Transfer, chunks: set[int]) -> None:
        transfer.held -= chunks
        transfer.handed -= chunks
        if not transfer.held and not transfer.handed:
            self._hashed.discard(transfer)
        self.note_move()

    def _gets_on(self, transfer: Transfer, chunks: Sequence[int]) -> bool:
        """Whether the hasher gets on without these."""
        if transfer.hasher is None:
            return False
        is_coming = transfer.frontier < chunks[0] and transfer.frontier in transfer.in_flight
        return is_coming or transfer.unhashed > 0

    def _is_full(self, transfer: Transfer, count: int, past: bool) -> bool:
        if past:
            behind = transfer.unhashed >= _UNHASHED_PASSING
            return behind or self._handed() + count > _IN_MEMORY
        unhashed = sum(one.unhashed for one in self._hashed)
        return unhashed > self._backlog or self._held() + count > self._pinned

    def _held(self) -> int:
        return sum(len(one.held) for one in self._hashed)

    def _handed(self) -> int:
        return sum(len(one.handed) for one in self._hashed)
