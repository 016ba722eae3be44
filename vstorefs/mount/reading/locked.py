"""Checks the contents of a locked mount: no byte is given before its whole content was found to be the lock file's.

A content is read and hashed once in a mount, through the cache, before its first byte is given, whatever is known of
it. The checksum of each of its chunks is kept from that pass; a chunk that has to be read again later must have the
same. Touched by the front's loop only.
"""

from __future__ import annotations

from collections.abc import Iterable

import trio

from vstorefs import errors
from vstorefs.cache.keys import content_prefix
from vstorefs.model import Content, Hashes
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.versions.locked import Lock


class Locked:
    """The contents of one locked mount."""

    def __init__(self, lock: Lock, hashing: Hashing) -> None:
        self._source = lock.source
        self._wanted = dict(_wanted(lock))
        self._hashing = hashing
        self._sums: dict[bytes, bytes] = {}
        self._refused: dict[bytes, str] = {}
        self._checking: dict[bytes, trio.Lock] = {}

    async def check(self, transfer: Transfer, path: str) -> None:
        """See that a content is the lock file's. Raises: Corrupt; a StoreError where it cannot be had."""
        prefix = transfer.prefix
        if prefix in self._sums:
            transfer.sums = self._sums[prefix]
            return
        async with self._checking.setdefault(prefix, trio.Lock()):
            if prefix in self._sums:
                transfer.sums = self._sums[prefix]
                return
            if prefix in self._refused:
                # The kernel asks again after an error, and the content will not be another one.
                raise errors.Corrupt(self._refused[prefix], key=path)
            wanted = self._wanted.get(prefix)
            done = await self._hashing.verify(transfer)
            if wanted is not None and done.hashes is not None and done.hashes != wanted:
                why = (
                    f"its content is not that of {self._source}: sha256 is {done.hashes.sha256}, "
                    f"and should be {wanted.sha256}"
                )
                self._refused[prefix] = why
                raise errors.Corrupt(why, key=path)
            damage = transfer.spoilt.message if transfer.spoilt is not None else done.damaged
            if done.hashes is None and damage:
                why = f"its content is not that of {self._source}: {damage}"
                self._refused[prefix] = why
                raise errors.Corrupt(why, key=path)
            if done.hashes is None:
                raise errors.Unavailable("it could not be read to its end to be checked", key=path)
            transfer.sums = self._sums[prefix] = done.sums


def _wanted(lock: Lock) -> Iterable[tuple[bytes, Hashes | None]]:
    for one in lock.inputs:
        yield content_prefix(Content(one.store, one.path, one.token, one.size)), one.hashes
