"""Hash: one worker owns a content's hashing, md5, sha1 and sha256 in a thread each.

Chunks come in order, as far as the front has said that they have arrived: from the cache, from this worker's
memory where they passed the cache, or from the front where the cache refused them. One that is gone (an earlier
owner died, or the content was read at random) is read from the store again, and counted. Chunks that were passed
are let go in batches, and always before the hasher waits: the front may bring in nothing more until it hears how
far the hasher is.
"""

from __future__ import annotations

from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.cache.values import checksum
from vstorefs.digests import Digests
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import (
    Available,
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
    """Hash a content as it arrives. Raises: a StoreError where a chunk cannot be had any more."""
    content = request.content
    call.heed(Available(request.available))
    digests = Digests()
    done = False
    reread = 0
    chunks = -(-content.size // CHUNK_BYTES)
    sums = bytearray() if request.sums else None
    try:
        with context.passing.wanted(content_prefix(content)):
            done, reread = _go_through(context, content, chunks, digests, call, sums)
    finally:
        hashes = digests.finish()
        # Also what came when it had been passed already.
        context.chunks.release_content(context.session, content_prefix(content))
    if not done:
        return HashDone(None, reread, warnings=context.ledger.answer_questions(content))
    known = context.fingerprints.get(content.store, content.key, content.token)
    mismatch = known is not None and known.hashes is not None and known.hashes != hashes
    context.fingerprints.put(
        content.store, content.key, content.token, Fingerprint(hashes, read=True)
    )
    return HashDone(
        hashes, reread, mismatch, context.ledger.answer_questions(content), bytes(sums or b"")
    )


def _go_through(
    context: WorkerContext,
    content: Content,
    chunks: int,
    digests: Digests,
    call: Call,
    sums: bytearray | None,
) -> tuple[bool, int]:
    prefix = content_prefix(content)
    reread = released = 0
    for chunk in range(chunks):
        if not call.wait_for(chunk):
            return False, reread
        key = chunk_key(prefix, chunk)
        data = context.passing.take(key) or call.take(chunk) or context.chunks.read(key)
        if data is None:
            start = chunk * CHUNK_BYTES
            data = b"".join(
                context.read_content(content, start, min(start + CHUNK_BYTES, content.size))
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
