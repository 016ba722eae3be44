"""What goes when the cache is full: the least recently used, in small steps, inside the transaction that adds.

database   key                    value
`chunks`   chunk key              checksums, then the payload (values.py)
`meta`     chunk key              tick, 8 bytes big-endian (0: pinned), then the cost in bytes, 8
bytes
`lru`      tick                   chunk key; the first one goes first
`pinned`   owner, NUL, chunk key  empty; such chunks are in no other order and never go
`info`     `used`, `held`, `tick` 8 bytes big-endian

Every chunk is in `chunks` and `meta`, and in exactly one of `lru` and `pinned`; `used` is the sum
of the costs, `held` the sum of those of pinned chunks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any


class Index:
    """What one open cache holds, and in which order it goes; every method works in its caller's transaction."""

    def __init__(self, env: Any, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self.chunks = env.open_db(b"chunks")
        self.meta = env.open_db(b"meta")
        self.lru = env.open_db(b"lru")
        self.pinned = env.open_db(b"pinned")
        self.info = env.open_db(b"info")

    def add(self, txn: Any, key: bytes, cost_bytes: int, owner: str | None) -> None:
        """Enter a chunk into the indexes."""
        tick = 0 if owner is not None else self._tick(txn)
        txn.put(key, tick.to_bytes(8, "big") + cost_bytes.to_bytes(8, "big"), db=self.meta)
        if owner is not None:
            txn.put(_pin(owner, key), b"", db=self.pinned)
            self._count(txn, b"held", cost_bytes)
        else:
            txn.put(tick.to_bytes(8, "big"), key, db=self.lru)
        self._count(txn, b"used", cost_bytes)

    def make_room(self, txn: Any, bytes_needed: int) -> bool:
        """Evict until so many bytes fit; False, and nothing is evicted, if what is pinned leaves too little."""
        if self._sum(txn, b"held") + bytes_needed > self.capacity_bytes:
            return False
        with txn.cursor(db=self.lru) as cursor:
            while self.used_bytes(txn) + bytes_needed > self.capacity_bytes:
                if not cursor.first():
                    return False
                self.remove(txn, bytes(cursor.value()))
        return True

    def remove(self, txn: Any, key: bytes) -> None:
        """Drop one chunk from everywhere; one that is gone is fine."""
        about = txn.pop(key, db=self.meta)
        if about is None:
            return
        tick, cost_bytes = about[:8], int.from_bytes(about[8:], "big")
        if tick != bytes(8):
            txn.delete(tick, db=self.lru)
        else:
            self._count(txn, b"held", -cost_bytes)
        txn.delete(key, db=self.chunks)
        self._count(txn, b"used", -cost_bytes)

    def clear(self, txn: Any) -> None:
        """Drop everything."""
        for database in (self.chunks, self.meta, self.lru, self.pinned, self.info):
            txn.drop(database, delete=False)

    def touch(self, txn: Any, keys: Iterable[bytes]) -> None:
        """These were used just now."""
        for key in keys:
            about = txn.get(key, db=self.meta)
            if about is not None and about[:8] != bytes(8):
                txn.delete(about[:8], db=self.lru)
                self._to_lru(txn, key, about)

    def pin(self, txn: Any, owner: str, key: bytes) -> bool:
        """Keep a chunk that is there from eviction; False where it is not."""
        about = txn.get(key, db=self.meta)
        if about is None:
            return False
        if about[:8] != bytes(8):
            txn.delete(about[:8], db=self.lru)
            txn.put(key, bytes(8) + about[8:], db=self.meta)
            txn.put(_pin(owner, key), b"", db=self.pinned)
            self._count(txn, b"held", int.from_bytes(about[8:], "big"))
        return True

    def pins(self, txn: Any, owner: str, prefix: bytes) -> Iterator[bytes]:
        """The pinned chunks of an owner whose keys begin so."""
        start = _pin(owner, prefix)
        with txn.cursor(db=self.pinned) as cursor:
            there = cursor.set_range(start)
            while there and bytes(cursor.key()).startswith(start):
                yield bytes(cursor.key())[-20:]
                there = cursor.next()

    def release(self, txn: Any, owner: str, keys: Iterable[bytes]) -> None:
        """These need not be kept any more."""
        for key in keys:
            if txn.delete(_pin(owner, key), db=self.pinned):
                self._unpin(txn, key)

    def release_all(self, txn: Any) -> None:
        """Nothing need be kept any more."""
        with txn.cursor(db=self.pinned) as cursor:
            there = cursor.first()
            while there:
                self._unpin(txn, bytes(cursor.key())[-20:])
                # Deleting moves on; behind the last one the key is empty.
                there = cursor.delete() and bool(cursor.key())
        txn.delete(b"held", db=self.info)

    def used_bytes(self, txn: Any) -> int:
        """What all chunks cost."""
        return self._sum(txn, b"used")

    def _unpin(self, txn: Any, key: bytes) -> None:
        about = txn.get(key, db=self.meta)
        if about is not None and about[:8] == bytes(8):
            self._to_lru(txn, key, about)
            self._count(txn, b"held", -int.from_bytes(about[8:], "big"))

    def _to_lru(self, txn: Any, key: bytes, about: bytes) -> None:
        tick = self._tick(txn).to_bytes(8, "big")
        txn.put(tick, key, db=self.lru)
        txn.put(key, tick + about[8:], db=self.meta)

    def _sum(self, txn: Any, name: bytes) -> int:
        return int.from_bytes(txn.get(name, b"", db=self.info), "big")

    def _count(self, txn: Any, name: bytes, change_bytes: int) -> None:
        # A cache of an older version did not count what it held.
        total = max(0, self._sum(txn, name) + change_bytes)
        txn.put(name, total.to_bytes(8, "big"), db=self.info)

    def _tick(self, txn: Any) -> int:
        tick = int.from_bytes(txn.get(b"tick", b"", db=self.info), "big") + 1
        txn.put(b"tick", tick.to_bytes(8, "big"), db=self.info)
        return tick


def _pin(owner: str, key: bytes) -> bytes:
    return owner.encode() + b"\0" + key
