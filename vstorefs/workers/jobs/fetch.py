"""Fetch.

One ranged GET for a run of chunks, cut into chunks, each into the cache as it is complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Arrived, Fetch, Fetched, Report


def fetch(
    context: WorkerContext,
    request: Fetch,
    report: Callable[[Report], None],
    abandoned: threading.Event,
) -> Fetched:
    """Bring chunks in, those that the cache has already left out. Raises: a StoreError."""
    prefix = content_prefix(request.content)
    downloaded = 0
    if request.anew:
        for chunk in range(request.first, request.last):
            context.chunks.drop(chunk_key(prefix, chunk))
    for first, last in _runs(context, request, prefix, report):
        downloaded += _get(context, request, prefix, first, last, report, abandoned)
    return Fetched(downloaded)


def _runs(
    context: WorkerContext, request: Fetch, prefix: bytes, report: Callable[[Report], None]
) -> list[tuple[int, int]]:
    """Runs of chunks that are missing; reports the others."""
    runs: list[tuple[int, int]] = []
    for chunk in range(request.first, request.last):
        if request.keep and context.chunks.has(chunk_key(prefix, chunk)):
            report(Arrived(chunk))
        elif runs and runs[-1][1] == chunk:
            runs[-1] = (runs[-1][0], chunk + 1)
        else:
            runs.append((chunk, chunk + 1))
    return runs


def _get(
    context: WorkerContext,
    request: Fetch,
    prefix: bytes,
    first: int,
    last: int,
    report: Callable[[Report], None],
    abandoned: threading.Event,
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
            _keep(context, request, chunk_key(prefix, chunk), chunk, data[:size], owner, report)
            del data[:size]
            chunk += 1
            size = min(CHUNK_BYTES, content.size - chunk * CHUNK_BYTES)
        if abandoned.is_set():
            break
    if came != end - start and not abandoned.is_set():
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
    report: Callable[[Report], None],
) -> None:
    kept = request.keep and context.chunks.put(key, data, pinned_by=owner)
    report(Arrived(chunk, None if kept else bytes(data)))
