"""What a hasher gets from the stream, however slow it, the store and the readers are: every chunk, once, and bounded."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from tests.support.contents import Contents
from tests.support.pools import Call, ScriptedPool
from vstorefs.cache.chunks import ChunkReader, ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES, Content, StoreSpec
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]

_OWNER = "session"
_KERNEL = 5
_WINDOW = 8


class Workers:
    """Fetches and hashes that take random times, and what they have to give: a real cache with pins, and memory."""

    def __init__(self, pool: ScriptedPool, contents: Contents, cache: Cache, seed: int) -> None:
        self._contents = contents
        self._writer = ChunkWriter(cache)
        self._chance = random.Random(seed)
        self._slowness = {
            kind: self._chance.choice([0.0, 0.01, 0.3, 3.0]) for kind in ("fetch", "hash", "read")
        }
        self._refusals = self._chance.choice([0.0, 0.0, 0.2])
        self._memory: set[bytes] = set()
        self.missed: list[int] = []
        self.most_in_memory = 0
        pool.answers(messages.Fetch, self._fetch)
        pool.answers(messages.Hash, self._hash)
        pool.answers(messages.Release, messages.Noted())

    async def pause(self, kind: str) -> None:
        """Take a while."""
        await trio.sleep(self._chance.random() * self._slowness[kind])

    async def _fetch(self, call: Call) -> messages.Answer:
        request = call.request
        assert isinstance(request, messages.Fetch)
        assert not request.pin or request.keep or call.job.near is not None
        await self.pause("fetch")
        for number in range(request.first, request.last):
            await self.pause("fetch")
            call.report(self._arrived(request, number))
        return messages.Fetched(0)

    def _arrived(self, request: messages.Fetch, number: int) -> messages.Arrived:
        key = chunk_key(content_prefix(request.content), number)
        data = self._contents.chunk(request.content, number)
        pinned_by = _OWNER if request.pin else None
        refuses = self._chance.random() < self._refusals
        if request.keep and not refuses and self._writer.put(key, data, pinned_by=pinned_by):
            return messages.Arrived(number)
        if request.pin and not request.keep:
            self._remember(key)
        return messages.Arrived(number, data)

    def _remember(self, key: bytes) -> None:
        self._memory.add(key)
        self.most_in_memory = max(self.most_in_memory, len(self._memory))

    async def _hash(self, call: Call) -> messages.Answer:
        request = call.request
        assert isinstance(request, messages.Hash)
        prefix, available = content_prefix(request.content), request.available
        chunks = -(-request.content.size // CHUNK_BYTES)
        for number in range(chunks):
            while available <= number:
                remark = await call.hear()
                if isinstance(remark, messages.Passed):
                    self._remember(chunk_key(prefix, remark.chunk))
                else:
                    assert isinstance(remark, messages.Available)
                    available = remark.until
            await self.pause("hash")
            key = chunk_key(prefix, number)
            if key not in self._memory and self._writer.read(key) is None:
                self.missed.append(number)
            self._memory.discard(key)
            if (number + 1) % 8 == 0 or number + 1 >= min(available, chunks):
                done = range(number // 8 * 8, number + 1)
                self._writer.release(_OWNER, [chunk_key(prefix, one) for one in done])
                call.report(messages.Hashed(number + 1))
        return self._contents.hashes(request)


class Program:
    """Reads a file to its end; the kernel asks for some of it ahead, and starts each request as the last one left it."""

    def __init__(
        self, workers: Workers, transfers: Transfers, hashing: Hashing, ahead: int = _KERNEL
    ) -> None:
        self._workers = workers
        self._transfers = transfers
        self._hashing = hashing
        self._ahead = ahead
        self._reader = Reader()

    async def read(self, content: Content, remote: Remote) -> None:
        """Open, read, close."""
        transfer = self._transfers.open(content, remote, trusted=True)
        transfer.readers += 1
        await self._hashing.begin(transfer, content.key)
        ahead = trio.Semaphore(self._ahead)
        async with trio.open_nursery() as kernel:
            for chunk in self._order(transfer.chunks):
                await ahead.acquire()
                kernel.start_soon(self._read, transfer, chunk, ahead)
                await self._workers.pause("read")
        transfer.readers -= 1
        self._hashing.last_reader_left(transfer)
        self._transfers.close(transfer)

    def _order(self, chunks: int) -> Iterable[int]:
        """The chunks in the order in which the kernel asks for them."""
        return range(chunks)

    async def _read(self, transfer: Transfer, chunk: int, ahead: trio.Semaphore) -> None:
        start = chunk * CHUNK_BYTES
        found = await self._transfers.read(transfer, self._reader, start, start + CHUNK_BYTES)
        self._reader, data = found
        assert len(data) == min(CHUNK_BYTES, transfer.content.size - start)
        ahead.release()


class SequentialProgram(Program):
    """Has told its kernel that it reads to the end (`posix_fadvise`), as `sha256sum` does: two windows, in any order."""

    def __init__(self, workers: Workers, transfers: Transfers, hashing: Hashing) -> None:
        super().__init__(workers, transfers, hashing, ahead=2 * _WINDOW)

    def _order(self, chunks: int) -> Iterable[int]:
        for first in range(0, chunks, 2 * _WINDOW):
            yield from range(min(chunks, first + _WINDOW), min(chunks, first + 2 * _WINDOW))
            yield from range(first, min(chunks, first + _WINDOW))


async def _in_place(call: Callable[..., Any], *arguments: Any) -> Any:
    """As `trio.to_thread.run_sync`: a clock that jumps when nobody can go on does not wait for threads."""
    await trio.lowlevel.checkpoint()
    return call(*arguments)


@pytest.mark.parametrize("seed", [0, 2, 4, 5, 11])
@pytest.mark.parametrize(
    ("kind", "cache_mib", "programs"),
    [
        (Program, 64, 1),
        (Program, 32, 2),
        (Program, 8, 1),
        (Program, 8, 8),
        (SequentialProgram, 64, 1),
        (SequentialProgram, 32, 2),
        (SequentialProgram, 8, 1),
    ],
)
async def test_every_chunk_of_a_stream_reaches_its_hasher(
    pool: ScriptedPool,
    nursery: trio.Nursery,
    spec: StoreSpec,
    remote: Remote,
    autojump_clock: trio.testing.MockClock,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: type[Program],
    cache_mib: int,
    programs: int,
    seed: int,
) -> None:
    del autojump_clock
    monkeypatch.setattr(trio.to_thread, "run_sync", _in_place)
    cache = Cache.open(tmp_path / "small", cache_mib * CHUNK_BYTES)
    contents = Contents(pool, cache, spec.id)
    workers = Workers(pool, contents, cache, seed)
    transfers = Transfers(ChunkReader(cache), cache_mib * CHUNK_BYTES, pool, nursery)
    hashing = Hashing(
        *(pool, transfers, nursery, lambda _: None), whole_below=1 << 40, whole_part=0.5
    )
    count = 100 if programs == 1 else 20
    made = [
        contents.holds(f"file{one}", b"%d" % one + bytes(count * CHUNK_BYTES))
        for one in range(programs)
    ]
    with trio.fail_after(100_000):
        async with trio.open_nursery() as running:
            for content in made:
                running.start_soon(kind(workers, transfers, hashing).read, content, remote)
        await hashing.finished()
    assert workers.missed == []
    assert len(contents.hashed) == programs
    assert workers.most_in_memory <= 64 + programs * 8
    cache.close()
