"""Chunks in the cache: views for the front, writes for the workers.

Any failure of the cache is no failure of the file system: readers get CacheError and go to the
store; a writer that cannot keep a chunk says so and the bytes travel another way.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import lmdb

from vstorefs import errors
from vstorefs.cache.env import Cache, cost
from vstorefs.cache.eviction import Index
from vstorefs.cache.values import Value, encode

log = logging.getLogger(__name__)

_TRIES = 6
_BATCH = 512


def _remove_all(index: Index, txn: Any, keys: Iterable[bytes]) -> None:
    for key in keys:
        index.remove(txn, key)


class ChunkView:
    """One chunk in the map, valid until `close`, which ends its read transaction."""

    __slots__ = ("_txn", "checksum", "data", "is_sound")

    def __init__(self, txn: Any, value: Value) -> None:
        self._txn = txn
        self.checksum = value.checksum
        self.data = value.data
        self.is_sound = value.is_sound

    def close(self) -> None:
        """End the transaction; `data` must not be used after it."""
        self._txn.abort()

    def __enter__(self) -> ChunkView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ChunkReader:
    """Looks up chunks; cheap enough for the front's loop."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache

    def find(self, key: bytes) -> ChunkView | None:
        """The chunk, if the cache has it. Raises: CacheError when the cache cannot be read."""
        try:
            txn = self._cache.reading()
            value = txn.get(key, db=self._cache.index.chunks)
        except lmdb.Error as error:
            raise errors.CacheError(str(error)) from error
        if value is None or len(value) < 8:
            txn.abort()
            return None
        return ChunkView(txn, Value(key, value))


class ChunkWriter:
    """Adds and keeps chunks; for workers' threads."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._index = cache.index

    def has(self, key: bytes) -> bool:
        """Whether the cache has a chunk."""
        try:
            with self._cache.reading() as txn:
                return txn.get(key, db=self._index.meta) is not None
        except lmdb.Error:
            return False

    def read(self, key: bytes) -> bytes | None:
        """A copy of a chunk whose checksum holds, None if there is none."""
        try:
            with self._cache.reading() as txn:
                value = txn.get(key, db=self._index.chunks)
                found = Value(key, value) if value is not None else None
                return bytes(found.data) if found is not None and found.is_sound() else None
        except lmdb.Error:
            return None

    def put(
        self,
        key: bytes,
        data: bytes | bytearray | memoryview,
        *,
        pinned_by: str | None = None,
        replaces: Callable[[bytes], bool] | None = None,
    ) -> bool:
        """Add a chunk, evicting what it displaces; False if the cache cannot take it now.

        What is there stays, unless `replaces` says of it, in the same transaction, that this is to take its place.
        """
        value = encode(key, data)
        needed = cost(len(value))
        extra = 0
        for _ in range(_TRIES):
            try:
                with self._cache.writing() as txn:
                    if not self._makes_way(txn, key, replaces):
                        if pinned_by is not None:
                            self._index.pin(txn, pinned_by, key)
                        return True
                    if not self._index.make_room(txn, needed + extra):
                        return self._cannot("what is being hashed fills it")
                    if not extra:
                        txn.put(key, value, db=self._index.chunks)
                        self._index.add(txn, key, needed, pinned_by)
                        return True
                # Pages freed by this transaction can be used from the next one on.
                extra = 0
            except lmdb.MapFullError:
                extra = max(4 * needed, self._index.capacity_bytes // 16)
            except (lmdb.Error, OSError) as error:
                return self._cannot(str(error))
        return self._cannot("it is full")

    def _makes_way(self, txn: Any, key: bytes, replaces: Callable[[bytes], bool] | None) -> bool:
        """Whether nothing has a key, or nothing any more."""
        if txn.get(key, db=self._index.meta) is None:
            return True
        if replaces is None:
            return False
        value = txn.get(key, db=self._index.chunks)
        there = Value(key, value) if value is not None else None
        if there is not None and there.is_sound() and not replaces(bytes(there.data)):
            return False
        self._index.remove(txn, key)
        return True

    def note(self, keys: Sequence[bytes]) -> None:
        """These were read: they go last when room is needed."""
        for first in range(0, len(keys), _BATCH):
            self._change(
                lambda txn, first=first: self._index.touch(txn, keys[first : first + _BATCH])
            )

    def release(self, owner: str, keys: Iterable[bytes]) -> None:
        """These may be evicted from now on."""
        self._change(lambda txn: self._index.release(txn, owner, keys))

    def pin(self, key: bytes, owner: str) -> bool:
        """Keep a chunk that the cache has from eviction; False where it has none."""
        if not self.has(key):
            return False
        try:
            with self._cache.writing() as txn:
                return self._index.pin(txn, owner, key)
        except (lmdb.Error, OSError) as error:
            return self._cannot(str(error))

    def release_content(self, owner: str, prefix: bytes) -> None:
        """What is left pinned of a content, by the prefix of its keys, may be evicted from now on."""
        try:
            with self._cache.reading() as txn:
                keys = list(self._index.pins(txn, owner, prefix))
        except lmdb.Error as error:
            self._cannot(str(error))
            return
        if keys:
            self.release(owner, keys)

    def drop(self, key: bytes) -> None:
        """Forget a chunk, because it is damaged."""
        self._change(lambda txn: self._index.remove(txn, key))

    def drop_all(self, keys: Iterable[bytes]) -> None:
        """Forget many chunks, because their content was purged."""
        batch = list(itertools.islice(iterator := iter(keys), _BATCH))
        while batch:
            self._change(lambda txn, batch=batch: _remove_all(self._index, txn, batch))
            batch = list(itertools.islice(iterator, _BATCH))

    def _change(self, change: Any) -> None:
        try:
            with self._cache.writing() as txn:
                change(txn)
        except (lmdb.Error, OSError) as error:
            self._cannot(str(error))

    def _cannot(self, why: str) -> bool:
        if not self._cache.told_full:
            self._cache.told_full = True
            log.warning("the cache cannot take more (%s); going on without it", why)
        return False
