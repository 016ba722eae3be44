"""Chunks that pass the cache on their way to the front: a hash in the same worker takes them here.

Only contents that are being hashed have any, and all together a bounded number: the one that came first goes first.
What a hash misses here it reads again, so nothing here is ever waited for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vstorefs.cache.keys import PREFIX_BYTES

_LIMIT = 64


class Passing:
    """The chunks of one worker, by their keys; safe from all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._hashed: set[bytes] = set()
        self._chunks: dict[bytes, bytes] = {}

    @contextmanager
    def wanted(self, prefix: bytes) -> Iterator[None]:
        """While a content, by the prefix of its keys, is hashed."""
        with self._lock:
            self._hashed.add(prefix)
        try:
            yield
        finally:
            with self._lock:
                self._hashed.discard(prefix)
                for key in [key for key in self._chunks if key[:PREFIX_BYTES] == prefix]:
                    del self._chunks[key]

    def offer(self, key: bytes, data: bytes) -> None:
        """A chunk passes, at most 1 MiB."""
        with self._lock:
            if key[:PREFIX_BYTES] not in self._hashed:
                return
            self._chunks[key] = data
            if len(self._chunks) > _LIMIT:
                del self._chunks[next(iter(self._chunks))]

    def take(self, key: bytes) -> bytes | None:
        """A chunk that has passed; None where it has not, or is gone."""
        with self._lock:
            return self._chunks.pop(key, None)
