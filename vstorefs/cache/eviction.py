"""What goes when the cache is full: the least recently used, in small steps, inside the transaction that adds.

database   key                    value
`chunks`   chunk key              8 bytes xxh3 of the payload, then the payload
`meta`     chunk key              tick, 8 bytes big-endian (0: pinned), then the cost in bytes, 8
bytes
`lru`      tick                   chunk key; the first one goes first
`pinned`   owner, NUL, chunk key  empty; such chunks are in no other order and never go
`info`     `used`, `held`, `tick` 8 bytes big-endian

Every chunk is in `chunks` and `meta`, and in exactly one of `lru` and `pinned`; `used` is the sum
of the costs, `held` the sum of those of pinned chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vstorefs.cache.env import Cache


def add(cache: Cache, txn: Any, key: bytes, cost_bytes: int, owner: str | None) -> None:
    """Enter a chunk into the indexes."""
    tick = 0 if owner is not None else _tick(cache, txn)
    txn.put(key, tick.to_bytes(8, "big") + cost_bytes.to_bytes(8, "big"), db=cache.meta)
    if owner is not None:
        txn.put(_pin(owner, key), b"", db=cache.pinned)
        _count(cache, txn, b"held", cost_bytes)
    else:
        txn.put(tick.to_bytes(8, "big"), key, db=cache.lru)
    _count(cache, txn, b"used", cost_bytes)


def make_room(cache: Cache, txn: Any, bytes_needed: int) -> bool:
    """Evict until so many bytes fit; False, and nothing is evicted, if what is pinned leaves too little."""
    if _sum(cache, txn, b"held") + bytes_needed > cache.capacity_bytes:
        return False
    with txn.cursor(db=cache.lru) as cursor:
        while used(cache, txn) + bytes_needed > cache.capacity_bytes:
            if not cursor.first():
                return False
            remove(cache, txn, bytes(cursor.value()))
    return True


def remove(cache: Cache, txn: Any, key: bytes) -> None:
    """Drop one chunk from everywhere; one that is gone is fine."""
    about = txn.pop(key, db=cache.meta)
    if about is None:
        return
    tick, cost_bytes = about[:8], int.from_bytes(about[8:], "big")
    if tick != bytes(8):
        txn.delete(tick, db=cache.lru)
    else:
        _count(cache, txn, b"held", -cost_bytes)
    txn.delete(key, db=cache.chunks)
    _count(cache, txn, b"used", -cost_bytes)


def touch(cache: Cache, txn: Any, keys: Iterable[bytes]) -> None:
    """These were used just now."""
    for key in keys:
        about = txn.get(key, db=cache.meta)
        if about is not None and about[:8] != bytes(8):
            txn.delete(about[:8], db=cache.lru)
            tick = _tick(cache, txn).to_bytes(8, "big")
            txn.put(tick, key, db=cache.lru)
            txn.put(key, tick + about[8:], db=cache.meta)


def release(cache: Cache, txn: Any, owner: str, keys: Iterable[bytes]) -> None:
    """These need not be kept any more."""
    for key in keys:
        if txn.delete(_pin(owner, key), db=cache.pinned):
            _to_lru(cache, txn, key)


def release_all(cache: Cache, txn: Any) -> None:
    """Nothing need be kept any more."""
    with txn.cursor(db=cache.pinned) as cursor:
        there = cursor.first()
        while there:
            _to_lru(cache, txn, bytes(cursor.key())[-20:])
            # Deleting moves on; behind the last one the key is empty.
            there = cursor.delete() and bool(cursor.key())
    txn.delete(b"held", db=cache.info_db)


def used(cache: Cache, txn: Any) -> int:
    """What all chunks cost, in bytes."""
    return _sum(cache, txn, b"used")


def _to_lru(cache: Cache, txn: Any, key: bytes) -> None:
    about = txn.get(key, db=cache.meta)
    if about is not None and about[:8] == bytes(8):
        tick = _tick(cache, txn).to_bytes(8, "big")
        txn.put(tick, key, db=cache.lru)
        txn.put(key, tick + about[8:], db=cache.meta)
        _count(cache, txn, b"held", -int.from_bytes(about[8:], "big"))


def _sum(cache: Cache, txn: Any, name: bytes) -> int:
    return int.from_bytes(txn.get(name, b"", db=cache.info_db), "big")


def _count(cache: Cache, txn: Any, name: bytes, change_bytes: int) -> None:
    # A cache of an older version did not count what it held.
    total = max(0, _sum(cache, txn, name) + change_bytes)
    txn.put(name, total.to_bytes(8, "big"), db=cache.info_db)


def _tick(cache: Cache, txn: Any) -> int:
    tick = int.from_bytes(txn.get(b"tick", b"", db=cache.info_db), "big") + 1
    txn.put(b"tick", tick.to_bytes(8, "big"), db=cache.info_db)
    return tick


def _pin(owner: str, key: bytes) -> bytes:
    return owner.encode() + b"\0" + key
