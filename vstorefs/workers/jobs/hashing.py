"""Hash: one worker owns a content's hashing, md5, sha1 and sha256 in a thread each.

Chunks come in order, as far as the front has said that they have arrived: from the cache, from this worker's
memory where they passed the cache, or from the front where the cache refused them. One that is gone (an earlier
owner died, or the content was read at random) is read from the store again, and counted. Chunks that were passed
are let go in batches, and always before the hasher waits: the front may bring in nothing more until it hears how
far the hasher is.

At the end the hashes are compared with what is known of the content. Where they are something else, the cache
forgets the content, and it is read from the store and hashed once more: only what stands then is recorded.
"""

from __future__ import annotations

from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.cache.values import checksum
from vstorefs.checksums import Judgement, digests_of_hashes, judge
from vstorefs.digests import Digests
from vstorefs.model import CHUNK_BYTES, Content, Hashes
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import (
    Available,
    Claimed,
    Hash,
    HashDone,
    Hashed,
    HashesKnown,
    Known,
    Noted,
    Release,
)

_BATCH = 8


def hash_content(context: WorkerContext, request: Hash, call: Call) -> HashDone:
    """Hash a content as it arrives, and compare it. Raises: a StoreError where a chunk cannot be had any more."""
    content = request.content
    call.heed(Available(request.available))
    call.heed(Claimed(request.claims))
    sums = bytearray() if request.sums else None
    hashes, reread = None, 0
    try:
        with context.passing.wanted(content_prefix(content)):
            hashes, reread = _go_through(context, content, call, sums)
    finally:
        # Also what came when it had been passed already.
        context.chunks.release_content(context.session, content_prefix(content))
    damaged = ""
    if hashes is not None:
        hashes, damaged = _compared(context, content, hashes, call, sums)
    if hashes is not None:
        found = Fingerprint(hashes, read=True)
        context.fingerprints.put(content.store, content.key, content.token, found)
    warnings = context.ledger.answer_questions(content)
    return HashDone(hashes, reread, damaged, warnings, bytes(sums or b""))


def _go_through(
    context: WorkerContext, content: Content, call: Call, sums: bytearray | None
) -> tuple[Hashes | None, int]:
    """The hashes of what arrives, None where nobody needs them any more; how many bytes were read for them again."""
    digests = Digests()
    done = False
    try:
        done, reread = _digest(context, content, digests, call, sums)
    finally:
        hashes = digests.finish()
    return (hashes if done else None), reread


def _digest(
    context: WorkerContext,
    content: Content,
    digests: Digests,
    call: Call,
    sums: bytearray | None,
) -> tuple[bool, int]:
    prefix = content_prefix(content)
    reread = released = 0
    chunks = -(-content.size // CHUNK_BYTES)
    for chunk in range(chunks):
        if not call.wait_for(chunk):
            return False, reread
        key = chunk_key(prefix, chunk)
        data = context.passing.take(key) or call.take(chunk) or context.chunks.read(key)
        if data is None:
            start = chunk * CHUNK_BYTES
            data = b"".join(
                context.contents.read(content, start, min(start + CHUNK_BYTES, content.size))
            )
            reread += len(data)
        digests.update(data)
        if sums is not None:
            sums += checksum(key, data)
        passed = chunk + 1
        if passed - released >= _BATCH or passed >= min(chunks, call.available):
            context.chunks.release(context.session, _keys(content, released, passed))
            released = passed
            call.report(Hashed(released))
    return True, reread


def _compared(
    context: WorkerContext, content: Content, hashes: Hashes, call: Call, sums: bytearray | None
) -> tuple[Hashes | None, str]:
    """The hashes of the content, and how what has arrived is something else; no hashes where it cannot be had.

    What fits in a chunk was compared with what its store says when it came.
    """
    claims = (*context.contents.recorded(content), *call.claims)
    if not claims and content.size > CHUNK_BYTES:
        claims = context.contents.claims(content)
    judgement = judge(claims, digests_of_hashes(hashes))
    if not judgement.is_wrong:
        return hashes, ""
    context.contents.drop(content)
    try:
        again = _hash_again(context, content, judgement, sums)
    except errors.Corrupt as error:
        return None, error.message
    if again == hashes:
        return hashes, ""
    return again, f"what came first was not its content: {judgement.text()}"


def _hash_again(
    context: WorkerContext, content: Content, judgement: Judgement, sums: bytearray | None
) -> Hashes:
    """Raises: Corrupt where it is not the content either; a StoreError."""
    digests = Digests()
    chunks = _ChunkSums(content, sums)
    try:
        for block in context.contents.reading(content).again(judgement):
            digests.update(block)
            chunks.update(block)
    finally:
        hashes = digests.finish()
    return hashes


class _ChunkSums:
    """The checksums of a content's chunks, from its blocks; nothing where nobody asks for them."""

    def __init__(self, content: Content, sums: bytearray | None) -> None:
        self._prefix = content_prefix(content)
        self._left = content.size
        self._sums = sums
        self._data = bytearray()
        if sums is not None:
            sums.clear()

    def update(self, block: bytes) -> None:
        """What comes next."""
        if self._sums is None:
            return
        self._data += block
        while self._data and len(self._data) >= min(CHUNK_BYTES, self._left):
            data = bytes(self._data[:CHUNK_BYTES])
            self._sums += checksum(chunk_key(self._prefix, len(self._sums) // 8), data)
            self._left -= len(data)
            del self._data[:CHUNK_BYTES]


def _keys(content: Content, first: int, last: int) -> list[bytes]:
    prefix = content_prefix(content)
    return [chunk_key(prefix, chunk) for chunk in range(first, last)]


def release(context: WorkerContext, request: Release, _call: Call) -> Noted:
    """Let go of chunks that arrived for a hash which had ended by then."""
    context.chunks.release(context.session, _keys(request.content, request.first, request.last))
    return Noted()


def known(context: WorkerContext, request: Known, _call: Call) -> HashesKnown:
    """The hashes of a content as far as they are known, and whether a first read on this host took them."""
    content = request.content
    found = context.fingerprints.get(content.store, content.key, content.token)
    if found is None:
        return HashesKnown(None, read=False)
    return HashesKnown(found.hashes, read=found.read)
