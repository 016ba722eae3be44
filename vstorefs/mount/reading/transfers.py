"""Content on its way from a store through the cache to readers.

One `Transfer` per content in use, shared by all handles. A chunk that is asked for has an event in
`in_flight`; a worker's report sets it. `present` is what has been seen in the cache; the cache may
have dropped it since, so a reader looks each time and asks again. A chunk that comes past the cache comes
with its report and is kept in `inline`, a few at a time over all contents: what was read to its end goes first,
then what was read longest ago.

`frontier` counts the chunks from the start that have arrived without a gap: what a hash can go
through. What is asked for in line while a content is hashed is kept for its hasher (`handover.py`), so that each
chunk comes from the store once, however slow the hasher is.

Where more is read at once than nearly half of the cache holds, the cache would lose chunks before their readers and
the hasher have seen them, and each would come several times. Then chunks pass it: they come with their reports,
through the worker that hashes the content, which takes them as they pass. What the cache lost before its reader
came does the same, so every reader goes on, however small the cache is.

What is brought in ahead of readers is at most half of the cache too, shared by the contents that
are read at the moment: more would evict what another reader is about to need.

A view of the cache holds a read transaction: it ends on the loop's next turn, when the reply has
been written.

Longer than other modules, as who waits for whom has to be seen in one place.
"""

from __future__ import annotations

import logging
from collections import OrderedDict

import trio

from vstorefs import errors
from vstorefs.cache.chunks import ChunkReader, ChunkView
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.cache.values import checksum
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.reading import readahead
from vstorefs.mount.reading.handover import Handover, Kept
from vstorefs.mount.reading.transfer import AT_ONCE, Transfer
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_INLINE_CHUNKS = 64
_TRIES = 4
_WARM_CHUNKS = 200_000
_NOTED_CHUNKS = 256
_AT_THE_MOMENT_S = 10.0

Bytes = bytes | memoryview


class Transfers:
    """All contents in use; touched by the front's loop only."""

    def __init__(
        self, cache: ChunkReader, cache_bytes: int, pool: Pool, nursery: trio.Nursery
    ) -> None:
        self._cache = cache
        self._pool = pool
        self._nursery = nursery
        self._transfers: dict[bytes, Transfer] = {}
        self._warm: set[bytes] = set()
        self._warm_limit = min(_WARM_CHUNKS, max(1024, 2 * cache_bytes // CHUNK_BYTES))
        self._noted: dict[bytes, None] = {}
        self._noted_limit = max(1, cache_bytes // CHUNK_BYTES // 16)
        self._noted_enough = trio.Event()
        self._warned = False
        self._handover = Handover(cache_bytes // CHUNK_BYTES)
        self._half = max(1, cache_bytes // CHUNK_BYTES // 2)
        self._readable = max(AT_ONCE - 1, self._half - readahead.PART_CHUNKS)
        self._budget = max(2, min(64, cache_bytes // CHUNK_BYTES // 8))
        self._read_at: OrderedDict[Transfer, float] = OrderedDict()
        self._at_once = 0
        self._inline: OrderedDict[tuple[Transfer, int], None] = OrderedDict()
        self.downloaded_bytes = 0
        self.active = 0

    def open(self, content: Content, remote: Remote, *, trusted: bool) -> Transfer:
        """The transfer of a content, with one more user.

        `trusted` is False for a weak token that is too young to keep.
        """
        prefix = content_prefix(content)
        transfer = self._transfers.get(prefix)
        if transfer is None:
            transfer = self._transfers[prefix] = Transfer(content, remote, trusted, prefix)
        transfer.users += 1
        return transfer

    def close(self, transfer: Transfer) -> None:
        """One user less."""
        transfer.users -= 1
        if transfer.readers == 0:
            self._is_idle(transfer)
        if transfer.users == 0:
            self._forget(transfer)

    def _forget(self, transfer: Transfer) -> None:
        if self._transfers.get(transfer.prefix) is transfer:
            del self._transfers[transfer.prefix]
        self._drop_inline(transfer)

    def trust(self, transfer: Transfer) -> None:
        """The token of a content can be trusted from now on: what comes is kept; what came counts for nothing."""
        transfer.keep = True
        transfer.frontier = transfer.asked = 0
        transfer.early.clear()
        self._drop_inline(transfer)

    def _drop_inline(self, transfer: Transfer) -> None:
        for chunk in transfer.inline:
            del self._inline[transfer, chunk]
        transfer.inline.clear()

    def spoil(self, transfer: Transfer, error: errors.Corrupt) -> None:
        """What came is not the content: whoever reads it is told; who opens it anew gets it anew."""
        transfer.spoilt = error
        self._forget(transfer)

    async def read(
        self, transfer: Transfer, reader: readahead.Reader, start: int, end: int
    ) -> tuple[readahead.Reader, Bytes]:
        """Bytes [start, end), cut at the end of the content, and the reader's new state.

        Raises: a StoreError.
        """
        end = min(end, transfer.content.size)
        if start >= end:
            return reader, b""
        plan = readahead.plan(
            reader,
            start,
            end,
            transfer.content.size,
            lambda chunk: self._is_there(transfer, chunk),
            transfer.in_flight.__contains__,
            self._window(transfer),
        )
        for fetch in plan.fetches:
            self._fetch(transfer, fetch.first, fetch.last)
        first, last = start // CHUNK_BYTES, (end - 1) // CHUNK_BYTES + 1
        parts: list[Bytes] = []
        for chunk in range(first, last):
            offset = chunk * CHUNK_BYTES
            low, high = max(0, start - offset), min(end - offset, CHUNK_BYTES)
            part = await self._part(transfer, chunk, low, high)
            parts.append(part if last - first == 1 else bytes(part))
            transfer.touched.add(chunk)
            if chunk in transfer.inline and end >= min(offset + CHUNK_BYTES, transfer.content.size):
                self._inline.move_to_end((transfer, chunk), last=False)
        return plan.reader, parts[0] if len(parts) == 1 else b"".join(parts)

    async def bytes_of(self, content: Content, remote: Remote, start: int, end: int) -> bytes:
        """Bytes [start, end) of a content, cut at its end; for fills. Raises: a StoreError."""
        transfer = self.open(content, remote, trusted=content.strong)
        try:
            blocks = []
            reader = readahead.Reader()
            while start < min(end, content.size):
                stop = min(end, content.size, (start // CHUNK_BYTES + 1) * CHUNK_BYTES)
                reader, data = await self.read(transfer, reader, start, stop)
                blocks.append(bytes(data))
                start = stop
            return b"".join(blocks)
        finally:
            self.close(transfer)

    async def complete(self, transfer: Transfer) -> None:
        """Bring in every chunk that has not been there, in order, some at a time.

        Raises: a StoreError.
        """
        step = readahead.PART_CHUNKS
        for first in range(transfer.frontier, transfer.chunks, step):
            last = min(first + step, transfer.chunks)
            missing = [
                chunk
                for chunk in range(first, last)
                if chunk not in transfer.in_flight and not self._is_there(transfer, chunk)
            ]
            for part in readahead.parts(missing):
                self._fetch(transfer, part.first, part.last)
            for chunk in range(first, last):
                await self._arrival(transfer, chunk)
            self._advance(transfer)

    def hash_passed(self, transfer: Transfer, until: int) -> None:
        """The hasher has gone through chunks [0, until)."""
        self._handover.passed(transfer, until)

    def advance(self, transfer: Transfer) -> None:
        """Look how far the content is there without a gap, from what the cache holds already."""
        while transfer.frontier < transfer.chunks and self._is_there(transfer, transfer.frontier):
            transfer.frontier += 1

    async def noted(self, seconds: float) -> tuple[bytes, ...]:
        """Chunks read since the last call, first read first, for the cache's recency.

        They come after so many seconds, or as soon as they are a good part of the cache: noted late, they would be
        the newer ones beside chunks that were brought in ahead of the reader, and displace them.
        """
        with trio.move_on_after(seconds):
            await self._noted_enough.wait()
        noted, self._noted = tuple(self._noted), {}
        self._noted_enough = trio.Event()
        return noted

    def _window(self, transfer: Transfer) -> int:
        """How many chunks may be brought in ahead of a reader: its share, among those that read at the moment."""
        now = trio.current_time()
        if transfer not in self._read_at:
            self._at_once += transfer.at_once
        self._read_at[transfer] = now
        self._read_at.move_to_end(transfer)
        while self._read_at[oldest := next(iter(self._read_at))] < now - _AT_THE_MOMENT_S:
            self._is_idle(oldest)
        window = max(1, min(self._budget, self._half // len(self._read_at)))
        if self._passes(transfer) or transfer.inline:
            return min(window, max(1, _INLINE_CHUNKS // 2 // len(self._read_at)))
        return window

    def _is_idle(self, transfer: Transfer) -> None:
        """Nobody reads this content at the moment."""
        if self._read_at.pop(transfer, None) is not None:
            self._at_once -= transfer.at_once

    def _passes(self, transfer: Transfer) -> bool:
        """Whether what is fetched of it passes the cache."""
        return not transfer.keep or self._at_once > self._readable or bool(transfer.handed)

    def _is_there(self, transfer: Transfer, chunk: int) -> bool:
        if chunk in transfer.present or chunk in transfer.inline:
            return True
        try:
            view = self._cache.find(chunk_key(transfer.prefix, chunk))
        except errors.CacheError as error:
            self._warn(error)
            return False
        if view is None:
            return False
        view.close()
        transfer.present.add(chunk)
        return True

    async def _part(self, transfer: Transfer, chunk: int, low: int, high: int) -> memoryview:
        """Bytes [low, high) of a chunk, which are what was put into the cache."""
        key = chunk_key(transfer.prefix, chunk)
        for tried in range(_TRIES):
            if chunk in transfer.inline:
                return memoryview(await self._past_cache(transfer, chunk, key))[low:high]
            view = self._find(key)
            if view is not None:
                if await self._is_sound(key, view, low, high):
                    trio.lowlevel.current_trio_token().run_sync_soon(view.close)
                    _compare_sum(transfer, chunk, view.checksum)
                    self._note(key)
                    return view.data[low:high]
                view.close()
                log.warning("%s: a cached chunk is damaged; reading it again", transfer.content.key)
                transfer.present.discard(chunk)
                self._fetch(transfer, chunk, chunk + 1, anew=True)
            elif chunk not in transfer.in_flight:
                transfer.present.discard(chunk)
                self._fetch(transfer, chunk, chunk + 1, past=tried > 0)
            await self._arrival(transfer, chunk)
        raise errors.Unavailable(
            "the cache loses chunks faster than they are read", key=transfer.content.key
        )

    async def _past_cache(self, transfer: Transfer, chunk: int, key: bytes) -> bytes:
        data = transfer.inline[chunk]
        self._inline.move_to_end((transfer, chunk))
        if transfer.sums:
            _compare_sum(transfer, chunk, await trio.to_thread.run_sync(checksum, key, data))
        return data

    def _note(self, key: bytes) -> None:
        self._noted[key] = None
        if len(self._noted) >= self._noted_limit:
            self._noted_enough.set()

    def _find(self, key: bytes) -> ChunkView | None:
        try:
            return self._cache.find(key)
        except errors.CacheError as error:
            self._warn(error)
            return None

    async def _is_sound(self, key: bytes, view: ChunkView, low: int, high: int) -> bool:
        """Whether those bytes of a chunk can be given. Whatever was found before, they may come from disk again.

        What was looked at lately is in memory, as a rule, and some microseconds are no reason to leave the loop.
        """
        if key in self._warm:
            sound = view.is_sound(low, high)
        else:
            sound = await trio.to_thread.run_sync(view.is_sound)
        if not sound:
            self._warm.discard(key)
        elif len(self._warm) >= self._warm_limit:
            self._warm.clear()
        else:
            self._warm.add(key)
        return sound

    async def _arrival(self, transfer: Transfer, chunk: int) -> None:
        event = transfer.in_flight.get(chunk)
        if event is not None:
            await event.wait()
        failure = transfer.failures.pop(chunk, None)
        if failure is not None:
            raise failure

    def _fetch(
        self, transfer: Transfer, first: int, last: int, *, anew: bool = False, past: bool = False
    ) -> None:
        chunks = [chunk for chunk in range(first, last) if chunk not in transfer.in_flight]
        if not chunks:
            return
        in_line = transfer.ask(first, last)
        events = {chunk: trio.Event() for chunk in chunks}
        for chunk, event in events.items():
            transfer.in_flight[chunk] = event
            transfer.failures.pop(chunk, None)
        transfer.users += 1
        self._nursery.start_soon(self._run_fetch, transfer, events, in_line, anew, past)

    async def _run_fetch(
        self,
        transfer: Transfer,
        events: dict[int, trio.Event],
        in_line: bool,
        anew: bool,
        past: bool,
    ) -> None:
        kept, chunks = Kept.NOT, list(events)

        def on_report(report: messages.Report) -> None:
            if isinstance(report, messages.Arrived):
                if kept is Kept.IN_CACHE:
                    self._hand_refused(transfer, report)
                self._arrived(transfer, report)
            elif isinstance(report, messages.Claimed):
                self._claimed(transfer, report)

        failure: errors.VstorefsError | None = None
        self.active += 1
        try:
            if in_line:
                kept = await self._keep(transfer, chunks, past)
            past = past or kept is Kept.IN_MEMORY or self._passes(transfer)
            request = messages.Fetch(
                transfer.content,
                chunks[0],
                chunks[-1] + 1,
                pin=kept is not Kept.NOT,
                keep=not past,
                anew=anew,
            )
            answer = await transfer.remote.ask(
                request, on_report=on_report, near=transfer.hasher if past else None
            )
            self.downloaded_bytes += answer.downloaded
            transfer.downloaded += answer.downloaded
            if kept is Kept.IN_CACHE:
                await self._let_go_of_hashed(transfer, chunks)
        except errors.VstorefsError as error:
            failure = error
            self._handover.failed(transfer, chunks)
        finally:
            self.active -= 1
            self._end_waits(transfer, events, failure)
            self._handover.note_move()
            self.close(transfer)

    def _end_waits(
        self,
        transfer: Transfer,
        events: dict[int, trio.Event],
        failure: errors.VstorefsError | None,
    ) -> None:
        """Nobody waits any more for what has not arrived."""
        for chunk, event in events.items():
            # One that has arrived may have been asked for anew: then others wait for another event.
            if transfer.in_flight.get(chunk) is event:
                del transfer.in_flight[chunk]
                if failure is not None:
                    transfer.failures[chunk] = failure
                event.set()

    async def _keep(self, transfer: Transfer, chunks: list[int], past: bool) -> Kept:
        """See that these are kept for their hasher, as soon as there is room."""
        while self._handover.holds_up(transfer, chunks, past or self._passes(transfer)):
            await self._handover.moved()
        return self._handover.keep(transfer, chunks, past or self._passes(transfer))

    async def _let_go_of_hashed(self, transfer: Transfer, chunks: list[int]) -> None:
        """What a hasher, which has ended meanwhile or read it elsewhere, had passed before it came, nobody releases."""
        if chunks[0] < transfer.hashed:
            last = min(chunks[-1] + 1, transfer.hashed)
            await self._pool.ask(messages.Release(transfer.content, chunks[0], last))

    def _hand_refused(self, transfer: Transfer, report: messages.Arrived) -> None:
        """Give its hasher what the cache was to keep for it, and did not take."""
        if report.data is not None and self._handover.refused(transfer, report.chunk):
            assert transfer.hasher is not None
            self._pool.tell(transfer.hasher, messages.Passed(report.chunk, report.data))

    def _arrived(self, transfer: Transfer, report: messages.Arrived) -> None:
        chunk = report.chunk
        if report.data is None:
            transfer.present.add(chunk)
        else:
            self._keep_inline(transfer, chunk, report.data)
        if chunk >= transfer.frontier:
            transfer.early.add(chunk)
        event = transfer.in_flight.pop(chunk, None)
        if event is not None:
            event.set()
        self._advance(transfer)

    def _claimed(self, transfer: Transfer, report: messages.Claimed) -> None:
        if transfer.claims != report.claims:
            transfer.claims = report.claims
            if transfer.hasher is not None:
                self._pool.tell(transfer.hasher, report)

    def _keep_inline(self, transfer: Transfer, chunk: int, data: bytes) -> None:
        transfer.inline[chunk] = data
        self._inline[transfer, chunk] = None
        self._inline.move_to_end((transfer, chunk))
        while len(self._inline) > _INLINE_CHUNKS:
            (other, oldest), _ = self._inline.popitem(last=False)
            del other.inline[oldest]

    def _advance(self, transfer: Transfer) -> None:
        before = transfer.frontier
        while transfer.frontier in transfer.early or transfer.frontier in transfer.present:
            transfer.early.discard(transfer.frontier)
            transfer.frontier += 1
        if transfer.frontier != before:
            self._handover.note_move()
            if transfer.on_frontier is not None:
                transfer.on_frontier(transfer.frontier)

    def _warn(self, error: errors.CacheError) -> None:
        if not self._warned:
            self._warned = True
            log.warning("the cache cannot be read (%s); serving without it", error)


def _compare_sum(transfer: Transfer, chunk: int, checksum: bytes) -> None:
    """Raises: Corrupt where a chunk is not what it was when its content was checked."""
    if transfer.sums and transfer.sums[8 * chunk : 8 * chunk + 8] != checksum:
        raise errors.Corrupt(
            f"the store gave other bytes for chunk {chunk} of it than when it was checked",
            key=transfer.content.key,
            operation="read",
        )
