"""Fetch and NoteRecency: contents come into the cache, and stay there while they are used.

One ranged GET for a run of chunks, cut into chunks, each into the cache as it is complete.
"""

from __future__ import annotations

from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Arrived, Fetch, Fetched, Noted, NoteRecency


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
    store = context.stores.get(content.store)
    start, end = first * CHUNK_BYTES, min(last * CHUNK_BYTES, content.size)
    owner = context.session if request.pin else None
    chunk, data, came = first, bytearray(), 0
    for block in store.read(content.key, content.token, start, end, version=content.version):
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
