"""Bytes on their way to readers: the right ones, once, whatever cache and store do meanwhile."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from tests.support.contents import Contents
from tests.support.pools import Call, Gate, ScriptedPool
from vstorefs import errors
from vstorefs.cache.chunks import ChunkReader, ChunkView, ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

ELSEWHERE = Reader(position=10_000)
THREE = os.urandom(2 * CHUNK_BYTES + 77)


async def read(transfers: Transfers, transfer: Transfer, start: int, end: int) -> bytes:
    """What a reader at random gets."""
    _, data = await transfers.read(transfer, ELSEWHERE, start, end)
    return bytes(data)


def key(content: Content, chunk: int) -> bytes:
    return chunk_key(content_prefix(content), chunk)


def fetched(pool: ScriptedPool) -> list[tuple[int, int]]:
    """What chunks were asked for."""
    return [(one.first, one.last) for one in pool.asked_for(messages.Fetch)]


# --- the right bytes


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (0, 10),
        (CHUNK_BYTES - 5, CHUNK_BYTES + 5),
        (5, 2 * CHUNK_BYTES + 5),
        (2 * CHUNK_BYTES + 70, 9 * CHUNK_BYTES),
        (len(THREE), len(THREE) + 10),
        (CHUNK_BYTES, 2 * CHUNK_BYTES),
    ],
)
@pytest.mark.parametrize("cached", [True, False], ids=["cached", "past the cache"])
async def test_a_reader_gets_the_bytes_that_it_asked_for(
    transfers: Transfers, remote: Remote, contents: Contents, cached: bool, start: int, end: int
) -> None:
    contents.cached = cached
    transfer = transfers.open(contents.holds("a", THREE), remote, trusted=True)
    assert await read(transfers, transfer, start, end) == THREE[start:end]


async def test_a_reader_who_goes_forward_finds_the_next_chunks_on_their_way(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    data = os.urandom(20 * CHUNK_BYTES)
    transfer = transfers.open(contents.holds("a", data), remote, trusted=True)
    reader, at = Reader(), 0
    while at < len(data):
        reader, block = await transfers.read(transfer, reader, at, at + CHUNK_BYTES // 2)
        assert bytes(block) == data[at : at + CHUNK_BYTES // 2]
        at += len(block)
    assert len(fetched(pool)) < 10, "many chunks in one request"
    chunks = [chunk for first, last in fetched(pool) for chunk in range(first, last)]
    assert chunks == list(range(20)), "each one once"
    await trio.testing.wait_all_tasks_blocked()
    assert transfers.downloaded_bytes == transfer.downloaded == len(data)


async def test_a_small_cache_is_not_filled_with_what_lies_ahead(
    cache: Cache, pool: ScriptedPool, nursery: trio.Nursery, remote: Remote, contents: Contents
) -> None:
    small = Transfers(ChunkReader(cache), 16 * CHUNK_BYTES, pool, nursery)
    transfer = small.open(contents.holds("a", bytes(20 * CHUNK_BYTES)), remote, trusted=True)
    reader = Reader()
    for chunk in range(10):
        at = chunk * CHUNK_BYTES
        reader, _ = await small.read(transfer, reader, at, at + CHUNK_BYTES)
        assert max(last for _, last in fetched(pool)) <= chunk + 1 + 2


async def test_contents_read_at_the_same_time_share_what_is_brought_in_ahead(
    cache: Cache,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    remote: Remote,
    contents: Contents,
    mock_clock: trio.testing.MockClock,
) -> None:
    transfers = Transfers(ChunkReader(cache), 64 * CHUNK_BYTES, pool, nursery)
    data = bytes(40 * CHUNK_BYTES)
    opened = [
        transfers.open(contents.holds(f"file{number}", data), remote, trusted=False)
        for number in range(8)
    ]
    readers = [Reader()] * len(opened)

    async def ahead(number: int, chunk: int) -> int:
        """Read a chunk; gives how many behind it were asked for."""
        at = chunk * CHUNK_BYTES
        transfer = opened[number]
        readers[number], _ = await transfers.read(transfer, readers[number], at, at + CHUNK_BYTES)
        asked = pool.asked_for(messages.Fetch)
        return max(one.last for one in asked if one.content == transfer.content) - chunk - 1

    shares = [await ahead(number, chunk) for chunk in range(5) for number in range(len(opened))]
    assert max(shares) == 4, "half of the cache, among 8"
    mock_clock.jump(11)
    shares = [await ahead(0, chunk) for chunk in range(5, 25)]
    assert max(shares) == 8, "the others have stopped"


async def test_bytes_of_a_content_are_cut_at_its_end(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", THREE)
    assert await transfers.bytes_of(content, remote, 5, 9 * CHUNK_BYTES) == THREE[5:]
    assert await transfers.bytes_of(content, remote, len(THREE), len(THREE) + 5) == b""


# --- once


async def test_what_is_in_the_cache_is_not_asked_for(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", THREE)
    assert await transfers.bytes_of(content, remote, 0, len(THREE)) == THREE
    asked = len(pool.asked)
    assert await transfers.bytes_of(content, remote, 0, len(THREE)) == THREE
    assert len(pool.asked) == asked


async def test_readers_of_one_chunk_share_one_request(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    gate = Gate(contents.fetch)
    pool.answers(messages.Fetch, gate)
    content = contents.holds("a", THREE)
    one = transfers.open(content, remote, trusted=True)
    assert transfers.open(content, remote, trusted=True) is one
    seen = []

    async def look() -> None:
        seen.append(await read(transfers, one, 3, 9))

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(look)
        await gate.reached.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert transfers.active == 1
        gate.open.set()
    assert seen == [THREE[3:9]] * 3
    assert len(fetched(pool)) == 1


async def test_a_reader_goes_on_with_a_chunk_while_later_ones_come(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    transfer = transfers.open(contents.holds("a", THREE), remote, trusted=True)
    rest = trio.Event()

    async def slowly(call: Call) -> messages.Answer:
        request = call.request
        assert isinstance(request, messages.Fetch)
        assert (request.first, request.last) == (0, 3)
        call.report(contents.arrived(request, 0))
        await rest.wait()
        return await contents.fetch(call)

    pool.answers(messages.Fetch, slowly)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(transfers.complete, transfer)
        await trio.testing.wait_all_tasks_blocked()
        assert await read(transfers, transfer, 0, 5) == THREE[:5]
        rest.set()


async def test_a_content_that_nobody_uses_is_let_go(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", THREE)
    first = transfers.open(content, remote, trusted=True)
    transfers.open(content, remote, trusted=True)
    transfers.close(first)
    assert transfers.open(content, remote, trusted=True) is first
    transfers.close(first)
    transfers.close(first)
    assert transfers.open(content, remote, trusted=True) is not first


async def test_a_request_under_way_keeps_a_content_that_was_closed(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    gate = Gate(contents.fetch)
    pool.answers(messages.Fetch, gate)
    content = contents.holds("a", THREE)
    transfer = transfers.open(content, remote, trusted=True)
    with trio.CancelScope() as scope:
        scope.cancel()
        await read(transfers, transfer, 0, 5)
    await gate.reached.wait()
    transfers.close(transfer)
    assert transfers.open(content, remote, trusted=True) is transfer
    gate.open.set()
    assert await read(transfers, transfer, 0, 5) == THREE[:5]
    assert len(fetched(pool)) == 1


async def test_two_versions_of_a_path_are_never_mixed(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    old = transfers.open(contents.holds("a", b"old content"), remote, trusted=True)
    assert await read(transfers, old, 0, 3) == b"old"
    new = transfers.open(contents.holds("a", b"new content"), remote, trusted=True)
    assert await read(transfers, new, 0, 3) == b"new"
    assert await read(transfers, old, 0, 3) == b"old"


# --- what the cache does


async def test_a_chunk_that_the_cache_dropped_is_asked_for_again(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", THREE)
    transfer = transfers.open(content, remote, trusted=True)
    await read(transfers, transfer, 0, 5)
    contents.drop(content, 0)
    assert await read(transfers, transfer, 0, 5) == THREE[:5]
    assert fetched(pool) == [(0, 1), (0, 1)]


async def test_a_damaged_chunk_is_replaced(
    transfers: Transfers, remote: Remote, contents: Contents, cache: Cache, pool: ScriptedPool
) -> None:
    content = contents.holds("a", b"content")
    ChunkWriter(cache).put(key(content, 0), b"content")
    with cache.writing() as txn:
        whole = txn.get(key(content, 0), db=cache.index.chunks)
        txn.put(key(content, 0), whole[:-1] + b"x", db=cache.index.chunks)
    assert await transfers.bytes_of(content, remote, 0, 7) == b"content"
    assert [one.anew for one in pool.asked_for(messages.Fetch)] == [True]


async def test_so_is_one_that_is_damaged_after_it_was_read(
    transfers: Transfers, remote: Remote, contents: Contents, cache: Cache, pool: ScriptedPool
) -> None:
    content = contents.holds("a", THREE)
    transfer = transfers.open(content, remote, trusted=True)
    assert await read(transfers, transfer, 0, 100) == THREE[:100]
    with cache.writing() as txn:
        whole = bytearray(txn.get(key(content, 0), db=cache.index.chunks))
        whole[-1] ^= 1
        txn.put(key(content, 0), bytes(whole), db=cache.index.chunks)
    assert await read(transfers, transfer, 0, 100) == THREE[:100]
    assert not any(one.anew for one in pool.asked_for(messages.Fetch))
    end = CHUNK_BYTES
    assert await read(transfers, transfer, end - 100, end) == THREE[end - 100 : end]
    assert [one.first for one in pool.asked_for(messages.Fetch) if one.anew] == [0]


async def test_a_content_that_the_cache_cannot_take_needs_no_memory_for_all_of_it(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    contents.cached = False
    transfer = transfers.open(contents.holds("a", bytes(70 * CHUNK_BYTES)), remote, trusted=True)
    await transfers.complete(transfer)
    assert transfer.frontier == 70
    assert sum(map(len, transfer.inline.values())) <= 64 * CHUNK_BYTES
    assert await read(transfers, transfer, 0, 5) == bytes(5)


@pytest.mark.parametrize(
    ("trusted", "cached"), [(False, True), (True, False)], ids=["a young file", "a full cache"]
)
async def test_what_comes_past_the_cache_is_downloaded_once(
    transfers: Transfers,
    remote: Remote,
    contents: Contents,
    pool: ScriptedPool,
    trusted: bool,
    cached: bool,
) -> None:
    contents.cached = cached
    data = os.urandom(8 * CHUNK_BYTES)
    transfer = transfers.open(contents.holds("a", data), remote, trusted=trusted)
    reader, step = Reader(), 128 << 10
    for at in range(0, len(data), step):
        reader, block = await transfers.read(transfer, reader, at, at + step)
        assert bytes(block) == data[at : at + step]
    chunks = [chunk for first, last in fetched(pool) for chunk in range(first, last)]
    assert sorted(chunks) == list(range(8)), "each one once"
    assert len(fetched(pool)) <= 4


async def test_a_long_content_that_comes_past_the_cache_is_downloaded_once_by_two_readers(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    data = bytes(100 * CHUNK_BYTES)
    transfer = transfers.open(contents.holds("a", data), remote, trusted=False)
    readers, step = [Reader(), Reader()], CHUNK_BYTES // 2
    for at in range(0, len(data), step):
        for number in range(2):
            readers[number], _ = await transfers.read(transfer, readers[number], at, at + step)
        assert len(transfer.inline) <= 64
    chunks = [chunk for first, last in fetched(pool) for chunk in range(first, last)]
    assert sorted(chunks) == list(range(100)), "each one once"


async def test_what_came_past_the_cache_is_not_brought_in_again_to_complete_it(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    contents.cached = False
    transfer = transfers.open(contents.holds("a", THREE), remote, trusted=True)
    await read(transfers, transfer, CHUNK_BYTES, CHUNK_BYTES + 5)
    await transfers.complete(transfer)
    assert sorted(fetched(pool)) == [(0, 1), (1, 2), (2, 3)]


async def test_a_chunk_that_the_cache_lost_before_its_reader_came_comes_past_it(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", THREE)

    async def lose(call: Call) -> messages.Answer:
        await trio.lowlevel.checkpoint()
        call.report(messages.Arrived(1))
        return messages.Fetched(CHUNK_BYTES)

    pool.answers(messages.Fetch, lose, contents.fetch)
    transfer = transfers.open(content, remote, trusted=True)
    assert await read(transfers, transfer, CHUNK_BYTES, CHUNK_BYTES + 5) == THREE[CHUNK_BYTES:][:5]
    assert [one.keep for one in pool.asked_for(messages.Fetch)] == [True, False]


async def test_where_more_is_read_at_once_than_the_cache_holds_it_passes_the_cache(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    """The cache has 64 MiB; each of these readers has 5 in use."""
    opened = []
    for number in range(20):
        content = contents.holds(f"file{number}", b"%d" % number * 6 * CHUNK_BYTES)
        opened.append(transfers.open(content, remote, trusted=True))
        opened[-1].readers += 1
    for transfer in opened:
        await read(transfers, transfer, 0, 5)
    kept = [one.keep for one in pool.asked_for(messages.Fetch)]
    assert kept == [True] * 4 + [False] * 16
    for transfer in opened[:-1]:
        transfer.readers -= 1
        transfers.close(transfer)
    await read(transfers, opened[-1], CHUNK_BYTES, CHUNK_BYTES + 5)
    assert pool.asked_for(messages.Fetch)[-1].keep, "the others have gone"


async def test_many_small_files_one_after_the_other_stay_in_the_cache(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    for number in range(100):
        content = contents.holds(f"file{number}", b"%d" % number)
        assert await transfers.bytes_of(content, remote, 0, 100) == b"%d" % number
    assert all(one.keep for one in pool.asked_for(messages.Fetch))


async def test_what_comes_past_the_cache_is_bounded_over_all_contents(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    contents.cached = False
    opened = [
        transfers.open(
            contents.holds(f"file{number}", bytes(9 * CHUNK_BYTES)), remote, trusted=True
        )
        for number in range(10)
    ]
    for transfer in opened:
        await transfers.complete(transfer)
    assert sum(len(transfer.inline) for transfer in opened) == 64
    for transfer in opened:
        transfers.close(transfer)
    await trio.testing.wait_all_tasks_blocked()
    assert not any(transfer.inline for transfer in opened)


class Broken(ChunkReader):
    """A cache that cannot be read."""

    def find(self, key: bytes) -> ChunkView | None:
        """Fail."""
        del key
        raise errors.CacheError("readers full")


async def test_a_cache_that_cannot_be_read_is_done_without_and_said_once(
    cache: Cache,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    remote: Remote,
    contents: Contents,
    caplog: pytest.LogCaptureFixture,
) -> None:
    contents.cached = False
    transfers = Transfers(Broken(cache), cache.limit_bytes, pool, nursery)
    content = contents.holds("a", THREE)
    for _ in range(2):
        assert await transfers.bytes_of(content, remote, 0, len(THREE)) == THREE
    assert sum("readers full" in record.getMessage() for record in caplog.records) == 1


async def test_a_cache_that_loses_all_at_once_is_an_error_and_no_endless_loop(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    async def lose(call: Call) -> messages.Answer:
        await trio.lowlevel.checkpoint()
        call.report(messages.Arrived(0))
        return messages.Fetched(7)

    pool.answers(messages.Fetch, lose)
    transfer = transfers.open(contents.holds("a", b"content"), remote, trusted=True)
    with pytest.raises(errors.Unavailable):
        await read(transfers, transfer, 0, 5)


async def test_a_content_that_is_not_to_be_trusted_is_kept_out_of_the_cache(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool, cache: Cache
) -> None:
    content = contents.holds("a", THREE, strong=False)
    transfer = transfers.open(content, remote, trusted=False)
    assert await read(transfers, transfer, 0, 5) == THREE[:5]
    assert [one.keep for one in pool.asked_for(messages.Fetch)] == [False]
    assert ChunkReader(cache).find(chunk_key(transfer.prefix, 0)) is None


# --- what the store does


@pytest.mark.parametrize("kind", [errors.Changed, errors.NotFound, errors.Corrupt])
async def test_an_error_reaches_who_waits_and_the_next_one_asks_anew(
    transfers: Transfers,
    remote: Remote,
    contents: Contents,
    pool: ScriptedPool,
    kind: type[errors.StoreError],
) -> None:
    pool.answers(messages.Fetch, kind("no"), contents.fetch)
    transfer = transfers.open(contents.holds("a", THREE), remote, trusted=True)
    with pytest.raises(kind):
        await read(transfers, transfer, 0, 5)
    assert await read(transfers, transfer, 0, 5) == THREE[:5]


async def test_what_came_before_an_error_is_given(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    async def half(call: Call) -> messages.Answer:
        request = call.request
        assert isinstance(request, messages.Fetch)
        call.report(contents.arrived(request, 0))
        raise errors.Unavailable("cut off")

    pool.answers(messages.Fetch, half)
    transfer = transfers.open(contents.holds("a", THREE), remote, trusted=True)
    with pytest.raises(errors.Unavailable):
        await transfers.complete(transfer)
    assert await read(transfers, transfer, 0, 5) == THREE[:5]


async def test_bytes_that_are_not_those_that_were_checked_are_never_given(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", THREE)
    transfer = transfers.open(content, remote, trusted=True)
    transfer.sums = contents.sums(content)
    assert await read(transfers, transfer, 0, len(THREE)) == THREE
    contents.drop(content, 1)
    contents.spoil(content)
    assert await read(transfers, transfer, 0, 5) == THREE[:5]
    with pytest.raises(errors.Corrupt, match="chunk 1"):
        await read(transfers, transfer, CHUNK_BYTES, CHUNK_BYTES + 5)


async def test_nor_where_they_come_past_the_cache(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    contents.cached = False
    content = contents.holds("a", THREE)
    transfer = transfers.open(content, remote, trusted=True)
    transfer.sums = contents.sums(content)
    assert await read(transfers, transfer, 0, 5) == THREE[:5]
    contents.spoil(content)
    with pytest.raises(errors.Corrupt, match="chunk 2"):
        await read(transfers, transfer, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 5)


# --- all of a content


async def test_what_is_missing_of_a_content_is_brought_in_and_no_more(
    transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", bytes(20 * CHUNK_BYTES))
    transfer = transfers.open(content, remote, trusted=True)
    await read(transfers, transfer, 0, 5)
    await transfers.complete(transfer)
    assert transfer.frontier == 20
    chunks = [chunk for first, last in fetched(pool) for chunk in range(first, last)]
    assert chunks == list(range(20))
    await transfers.complete(transfer)
    assert len(fetched(pool)) < 6


async def test_what_is_in_the_cache_from_before_counts_from_the_start(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", THREE)
    earlier = transfers.open(content, remote, trusted=True)
    for chunk in (0, 1):
        await read(transfers, earlier, chunk * CHUNK_BYTES, chunk * CHUNK_BYTES + 1)
    transfers.close(earlier)
    transfer = transfers.open(content, remote, trusted=True)
    transfers.advance(transfer)
    assert transfer.frontier == 2


# --- recency


async def test_chunks_that_were_read_are_noted_once_in_order(
    transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", THREE)
    transfer = transfers.open(content, remote, trusted=True)
    for chunk in (2, 0, 0):
        await read(transfers, transfer, chunk * CHUNK_BYTES, chunk * CHUNK_BYTES + 1)
    assert await transfers.noted(0) == (key(content, 2), key(content, 0))
    assert await transfers.noted(0) == ()


async def test_many_are_noted_at_once(
    cache: Cache,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    remote: Remote,
    contents: Contents,
    mock_clock: trio.testing.MockClock,
) -> None:
    small = Transfers(ChunkReader(cache), 16 * CHUNK_BYTES, pool, nursery)
    content = contents.holds("a", THREE)
    # The clock stands still, so that only the number can end the wait.
    await small.bytes_of(content, remote, 0, 1)
    assert await small.noted(1000) == (key(content, 0),)
