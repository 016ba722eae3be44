"""Fetch.

One ranged GET for a run of chunks, cut into chunks, each into the cache as it is complete.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES
from vstorefs.workers.jobs.setting import Setting
from vstorefs.workers.messages import Arrived, Fetch, Fetched, Report


def fetch(
    setting: Setting, request: Fetch, report: Callable[[Report], None], abandoned: threading.Event
) -> Fetched:
    """Bring chunks in, those that the cache has already left out. Raises: a StoreError."""
    prefix = content_prefix(request.content)
    downloaded = 0
    if request.anew:
        for chunk in range(request.first, request.last):
            setting.chunks.drop(chunk_key(prefix, chunk))
    for first, last in _runs(setting, request, prefix, report):
        if abandoned.is_set():
            break
        downloaded += _get(setting, request, prefix, first, last, report)
    return Fetched(downloaded)


def _runs(
    setting: Setting, request: Fetch, prefix: bytes, report: Callable[[Report], None]
) -> list[tuple[int, int]]:
    """Runs of chunks that are missing; reports the others."""
    runs: list[tuple[int, int]] = []
    for chunk in range(request.first, request.last):
        if request.keep and setting.chunks.has(chunk_key(prefix, chunk)):
            report(Arrived(chunk))
        elif runs and runs[-1][1] == chunk:
            runs[-1] = (runs[-1][0], chunk + 1)
        else:
            runs.append((chunk, chunk + 1))
    return runs


def _get(
    setting: Setting,
    request: Fetch,
    prefix: bytes,
    first: int,
    last: int,
    report: Callable[[Report], None],
) -> int:
    content = request.content
    store = setting.stores.get(content.store)
    start, end = first * CHUNK_BYTES, min(last * CHUNK_BYTES, content.size)
    owner = setting.session if request.pin else None
    chunk, parts, held = first, [], 0
    for block in store.read(content.key, content.token, start, end, version=content.version):
        view = memoryview(block)
        while view:
            wanted = min(CHUNK_BYTES, content.size - chunk * CHUNK_BYTES) - held
            parts.append(view[:wanted])
            held += len(parts[-1])
            view = view[len(parts[-1]) :]
            if len(parts[-1]) == wanted:
                data = b"".join(parts)
                kept = request.keep and setting.chunks.put(
                    chunk_key(prefix, chunk), data, pinned_by=owner
                )
                report(Arrived(chunk, None if kept else data))
                chunk, parts, held = chunk + 1, [], 0
    return end - start
