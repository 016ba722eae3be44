"""Contents, from the cache or from their store, and whether their bytes are what is known of them.

What this host has recorded of a content, what its record says and what its store says are claims (`checksums.py`). What
contradicts them is dropped from the cache, and read from the store once more.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator

from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.checksums import (
    Claim,
    Claimant,
    Claims,
    Comparison,
    Judgement,
    Told,
    claims_of_hashes,
    judge,
)
from vstorefs.model import CHUNK_BYTES, Content, StoreId
from vstorefs.state.fingerprints import Fingerprints
from vstorefs.state.staging import Ranges
from vstorefs.stores.base import Store
from vstorefs.stores.compared import Reading

_ONE_BYTE = 1


class Contents:
    """The contents that one worker reads; safe from all its threads."""

    def __init__(
        self,
        store_of: Callable[[StoreId], Store],
        chunks: ChunkWriter,
        fingerprints: Fingerprints,
    ) -> None:
        self._store_of = store_of
        self._chunks = chunks
        self._fingerprints = fingerprints

    def read(self, content: Content, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) of a content, from the cache where it has them, compared with nothing.

        Raises: a StoreError.
        """
        prefix = content_prefix(content)
        at = start
        while at < end:
            number = at // CHUNK_BYTES
            stop = min(end, (number + 1) * CHUNK_BYTES)
            data = self._chunks.read(chunk_key(prefix, number))
            if data is not None:
                yield data[at - number * CHUNK_BYTES : stop - number * CHUNK_BYTES]
            else:
                yield from self._past_cache(content, at, stop)
            at = stop

    def _past_cache(
        self, content: Content, start: int, end: int, told: Told | None = None
    ) -> Iterator[bytes]:
        store = self._store_of(content.store)
        return store.read(
            content.key, content.token, start, end, version=content.version, told=told
        )

    def recorded(self, content: Content) -> Claims:
        """What this host claims of a content. A weak token may name another content than it did."""
        return self.noted(content) if content.strong else ()

    def noted(self, content: Content) -> Claims:
        """What this host has noted of a content by its token, however weak."""
        known = self._fingerprints.get(content.store, content.key, content.token)
        return claims_of_hashes(Claimant.HOST, known.hashes if known is not None else None)

    def claims(self, content: Content) -> Claims:
        """What this host claims of a content; where it knows nothing, its store is asked, with one byte of it.

        Raises: a StoreError.
        """
        recorded = self.recorded(content)
        if recorded or not content.size:
            return recorded
        answer = Comparison()
        for _ in self._past_cache(content, 0, _ONE_BYTE, answer.told):
            pass
        return answer.claims

    def reading(
        self, content: Content, told: Told | None = None, known: Claims | None = None
    ) -> Reading:
        """A content to be read from its store, whole, and compared: with `known`, else with what this host claims."""
        return Reading(
            self._store_of(content.store),
            content.key,
            content.token,
            content.size,
            version=content.version,
            known=self.recorded(content) if known is None else known,
            told=told,
        )

    def drop(self, content: Content) -> None:
        """Forget what the cache holds of it."""
        prefix = content_prefix(content)
        chunks = range(-(-content.size // CHUNK_BYTES))
        self._chunks.drop_all(chunk_key(prefix, chunk) for chunk in chunks)

    # --- parts of a content that go into another

    def parts(self, content: Content, parts: Ranges) -> Iterator[tuple[int, bytes]]:
        """Parts of a content, each block with where it begins; what comes later for a place is what counts.

        They are compared: with the whole of it, where they are half of it or more, else with the same parts read once
        more, past the cache, which is less than the whole. Where nothing is known of the content, with nothing.
        Raises: Corrupt where the store does not give the content; a StoreError.
        """
        claims = self.claims(content)
        if not claims:
            for start, end in parts:
                yield from _placed(self.read(content, start, end), start)
            return
        if 2 * sum(end - start for start, end in parts) >= content.size:
            judgement = yield from self._from_whole(content, parts, claims)
        else:
            judgement = yield from self._read_twice(content, parts)
        if judgement.is_wrong:
            self.drop(content)
            yield from _within(self.reading(content).again(judgement), parts)

    def _from_whole(
        self, content: Content, parts: Ranges, claims: Claims
    ) -> Generator[tuple[int, bytes], None, Judgement]:
        comparison = Comparison(claims)
        yield from _within(comparison.through(self.read(content, 0, content.size)), parts)
        return comparison.judged()

    def _read_twice(
        self, content: Content, parts: Ranges
    ) -> Generator[tuple[int, bytes], None, Judgement]:
        first, second = hashlib.sha256(), hashlib.sha256()
        for start, end in parts:
            for at, block in _placed(self.read(content, start, end), start):
                first.update(block)
                yield at, block
            for block in self._past_cache(content, start, end):
                second.update(block)
        again = Claim(Claimant.AGAIN, "sha256", second.hexdigest())
        return judge((again,), {"sha256": first.hexdigest()})


def _placed(blocks: Iterable[bytes], start: int) -> Iterator[tuple[int, bytes]]:
    for block in blocks:
        yield start, block
        start += len(block)


def _within(blocks: Iterable[bytes], parts: Ranges) -> Iterator[tuple[int, bytes]]:
    """Of all the blocks of a content, what lies in its parts."""
    passed = 0
    for at, block in _placed(blocks, 0):
        until = at + len(block)
        while passed < len(parts) and parts[passed][1] <= at:
            passed += 1
        for start, end in itertools.islice(parts, passed, None):
            if start >= until:
                break
            low, high = max(start, at), min(end, until)
            yield low, block[low - at : high - at]
