"""Chunks that pass the cache on their way to the front: a hash in the same worker takes them here.

Only contents that are being hashed have any, and of them what the hash has not passed. The front sees that they are
not too many: it asks for no more before the hash gets on (`mount/reading/handover.py`). So none is lost here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vstorefs.cache.keys import PREFIX_BYTES


class Passing:
    """The chunks of one worker, by their keys; safe from all its threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Of each content that is being hashed, the last key that its hash has passed: keys come in the order of chunks.
        self._passed: dict[bytes, bytes] = {}
        self._chunks: dict[bytes, bytes] = {}

    @contextmanager
    def wanted(self, prefix: bytes) -> Iterator[None]:
        """While a content, by the prefix of its keys, is hashed."""
        with self._lock:
            self._passed[prefix] = b""
        try:
            yield
        finally:
            with self._lock:
                del self._passed[prefix]
                for key in [key for key in self._chunks if key[:PREFIX_BYTES] == prefix]:
                    del self._chunks[key]

    def offer(self, key: bytes, data: bytes) -> None:
        """A chunk passes, at most 1 MiB."""
        with self._lock:
            passed = self._passed.get(key[:PREFIX_BYTES])
            if passed is not None and key > passed:
                self._chunks[key] = data

    def take(self, key: bytes) -> bytes | None:
        """A chunk that has passed; None where it has not. The hash goes on behind it."""
        with self._lock:
            if key[:PREFIX_BYTES] in self._passed:
                self._passed[key[:PREFIX_BYTES]] = key
            return self._chunks.pop(key, None)
