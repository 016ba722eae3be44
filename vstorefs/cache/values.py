"""How a value of the cache is written, so that any part of it can be checked wherever it comes from.

    8 bytes                     xxh3 of the key, the payload's length and the sums below: the value's checksum
    8 bytes a block             xxh3 of each block of 64 KiB of the payload
    the rest                    the payload

A reader checks the blocks that it gives away each time, for a page that comes from disk again may be another one than
the one that was written; no more than those, for most reads are an eighth of a chunk. The key is in the checksum, so
that a value which a damaged page of the database leads to is not taken for another.
"""

from __future__ import annotations

import xxhash

FORMAT = "2"
"""Written beside the database. A cache of another format is started anew."""

_BLOCK_BYTES = 64 << 10
_SUM_BYTES = 8


def encode(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """The value of a key."""
    sums = _sums(memoryview(data))
    return b"".join((_checksum(key, len(data), sums), sums, data))


def checksum(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """The checksum that the value of a key has when its payload is `data`: 8 bytes."""
    return _checksum(key, len(data), _sums(memoryview(data)))


class Value:
    """A value as it lies in the map; valid as long as that is."""

    __slots__ = ("_key", "_sums", "checksum", "data")

    def __init__(self, key: bytes, value: memoryview) -> None:
        blocks = -(-(len(value) - _SUM_BYTES) // (_BLOCK_BYTES + _SUM_BYTES))
        head = _SUM_BYTES * (1 + blocks)
        self._key = key
        self._sums = bytes(value[_SUM_BYTES:head])
        self.checksum = bytes(value[:_SUM_BYTES])
        self.data = value[head:]

    def is_sound(self, start: int = 0, end: int | None = None) -> bool:
        """Whether bytes [start, end) are what was put; reads all blocks that hold some of them."""
        if _checksum(self._key, len(self.data), self._sums) != self.checksum:
            return False
        first, last = (
            start // _BLOCK_BYTES,
            -(-(len(self.data) if end is None else end) // _BLOCK_BYTES),
        )
        part = self.data[first * _BLOCK_BYTES : last * _BLOCK_BYTES]
        return _sums(part) == self._sums[first * _SUM_BYTES : last * _SUM_BYTES]


def _checksum(key: bytes, length: int, sums: bytes) -> bytes:
    return xxhash.xxh3_64_digest(key + length.to_bytes(8, "big") + sums)


def _sums(data: memoryview) -> bytes:
    return b"".join(
        xxhash.xxh3_64_digest(data[at : at + _BLOCK_BYTES])
        for at in range(0, len(data), _BLOCK_BYTES)
    )
