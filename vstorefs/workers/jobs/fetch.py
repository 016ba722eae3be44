"""Fetch and NoteRecency: contents come into the cache, and stay there while they are used.

One ranged GET for a run of chunks, cut into chunks, each into the cache as it is complete. Where the run is the whole
of a content, that happens after it was compared with what is known of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.checksums import Claims
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Arrived, Claimed, Fetch, Fetched, Noted, NoteRecency

_COMPARED_BYTES = 8 << 20


def fetch(
    context: WorkerContext,
    request: Fetch,
    call: Call,
) -> Fetched:
    """Bring chunks in, those that the cache has already left out. Raises: a StoreError."""
    prefix = content_prefix(request.content)
    downloaded = 0
    if request.anew:
        for chunk in range(request.first, request.last):
            context.chunks.drop(chunk_key(prefix, chunk))
    for first, last in _runs(context, request, prefix, call):
        downloaded += _get(context, request, prefix, first, last, call)
    return Fetched(downloaded)


def _runs(
    context: WorkerContext, request: Fetch, prefix: bytes, call: Call
) -> list[tuple[int, int]]:
    """Runs of chunks that are missing; reports the others."""
    runs: list[tuple[int, int]] = []
    for chunk in range(request.first, request.last):
        if request.keep and _has(context, request, chunk_key(prefix, chunk)):
            call.report(Arrived(chunk))
        elif runs and runs[-1][1] == chunk:
            runs[-1] = (runs[-1][0], chunk + 1)
        else:
            runs.append((chunk, chunk + 1))
    return runs


def _has(context: WorkerContext, request: Fetch, key: bytes) -> bool:
    """Whether the cache has a chunk already, which is pinned then, if it is to be."""
    if request.pin:
        return context.chunks.pin(key, context.session)
    return context.chunks.has(key)


def _get(
    context: WorkerContext,
    request: Fetch,
    prefix: bytes,
    first: int,
    last: int,
    call: Call,
) -> int:
    """One ranged GET; gives the bytes that came. A chunk becomes visible when all of it is there."""
    content = request.content
    start, end = first * CHUNK_BYTES, min(last * CHUNK_BYTES, content.size)
    owner = context.session if request.pin else None
    chunk, data, came = first, bytearray(), 0
    for block in _blocks(context, content, start, end, call):
        came += len(block)
        data += block
        size = min(CHUNK_BYTES, content.size - chunk * CHUNK_BYTES)
        while chunk < last and len(data) >= size and came <= end - start:
            _keep(context, request, chunk_key(prefix, chunk), chunk, data[:size], owner, call)
            del data[:size]
            chunk += 1
            size = min(CHUNK_BYTES, content.size - chunk * CHUNK_BYTES)
        if call.abandoned:
            break
    if came != end - start and not call.abandoned:
        raise errors.Corrupt(
            f"the store gave {came} bytes for {end - start}", key=content.key, operation="read"
        )
    return came


def _blocks(
    context: WorkerContext, content: Content, start: int, end: int, call: Call
) -> Iterator[bytes]:
    """Bytes [start, end). The whole of a content is compared before any of it is given."""

    def told(claims: Claims) -> None:
        if claims:
            call.report(Claimed(claims))

    if (start, end) == (0, content.size) and end <= _COMPARED_BYTES:
        data = context.contents.reading(content, told).twice(lambda blocks: _joined(blocks, call))
        return iter(() if call.abandoned else (data,))
    store = context.stores.get(content.store)
    return store.read(content.key, content.token, start, end, version=content.version, told=told)


def _joined(blocks: Iterator[bytes], call: Call) -> bytes:
    data = bytearray()
    for block in blocks:
        data += block
        if call.abandoned:
            break
    return bytes(data)


def _keep(
    context: WorkerContext,
    request: Fetch,
    key: bytes,
    chunk: int,
    data: bytearray,
    owner: str | None,
    call: Call,
) -> None:
    if request.keep and context.chunks.put(key, data, pinned_by=owner):
        call.report(Arrived(chunk))
        return
    passing = bytes(data)
    if request.pin and not request.keep:
        context.passing.offer(key, passing)
    call.report(Arrived(chunk, passing))


def note_recency(context: WorkerContext, request: NoteRecency, _call: Call) -> Noted:
    """What was read lately goes last when the cache needs room."""
    context.chunks.note(request.chunks)
    return Noted()
