"""A content is hashed on its first read, once; when its readers leave early that is finished, or given up."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing

from tests.support.contents import Contents, hashes_of
from tests.support.ledgers import START
from tests.support.pools import Call, Gate, ScriptedPool
from vstorefs import errors
from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.env import Cache
from vstorefs.ledger.manifest import ChangeWarning, Place, WarningKind
from vstorefs.model import CHUNK_BYTES, Content, Key, RunId
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

ELSEWHERE = Reader(position=10_000)
SMALL = os.urandom(2 * CHUNK_BYTES + 77)
LARGE = os.urandom(10 * CHUNK_BYTES)


class Files:
    """Opens, reads and closes as handles do."""

    def __init__(self, transfers: Transfers, hashing: Hashing, remote: Remote) -> None:
        self._transfers = transfers
        self._hashing = hashing
        self._remote = remote

    async def open(self, content: Content, *, trusted: bool = True) -> Transfer:
        """Open, up to the first read."""
        transfer = self._transfers.open(content, self._remote, trusted=trusted)
        transfer.readers += 1
        await self._hashing.begin(transfer, f"/{content.key}")
        return transfer

    async def read(self, transfer: Transfer, *chunks: int) -> None:
        """Read some chunks."""
        for chunk in chunks:
            start = chunk * CHUNK_BYTES
            await self._transfers.read(transfer, ELSEWHERE, start, start + CHUNK_BYTES)

    def close(self, transfer: Transfer) -> None:
        """Close."""
        transfer.readers -= 1
        if transfer.readers == 0:
            self._hashing.last_reader_left(transfer)
        self._transfers.close(transfer)


@pytest.fixture
def warnings() -> list[ChangeWarning]:
    """Warnings that the hashes gave rise to."""
    return []


@pytest.fixture
def hashing(
    pool: ScriptedPool,
    transfers: Transfers,
    nursery: trio.Nursery,
    warnings: list[ChangeWarning],
) -> Hashing:
    """Contents of up to 4 MiB are read to their end, and those of which half was read."""
    return Hashing(
        *(pool, transfers, nursery, warnings.append),
        whole_below=4 * CHUNK_BYTES,
        whole_part=0.5,
    )


@pytest.fixture
def files(transfers: Transfers, hashing: Hashing, remote: Remote) -> Files:
    """What opens and reads."""
    return Files(transfers, hashing, remote)


def log_of(caplog: pytest.LogCaptureFixture) -> str:
    return "\n".join(record.getMessage() for record in caplog.records)


@pytest.fixture(autouse=True)
def _all_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "vstorefs")


# --- once


async def test_a_first_use_is_hashed_and_said(
    files: Files,
    hashing: Hashing,
    contents: Contents,
    pool: ScriptedPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    transfer = await files.open(contents.holds("a", SMALL))
    await files.read(transfer, 0, 1, 2)
    await hashing.finished()
    told = log_of(caplog)
    hashes = hashes_of(SMALL)
    for digest in (hashes.md5, hashes.sha1, hashes.sha256):
        assert digest in told
    assert "/a: downloaded, 2.1 MB" in told
    files.close(transfer)
    again = await files.open(transfer.content)
    await files.read(again, 0)
    files.close(again)
    assert len(pool.asked_for(messages.Hash)) == 1
    assert len(pool.asked_for(messages.Known)) == 1


async def test_what_this_host_has_hashed_before_is_not_hashed_again(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", SMALL)
    contents.hashed[content] = hashes_of(SMALL)
    for _ in range(2):
        files.close(await files.open(content))
    assert pool.asked_for(messages.Hash) == []
    assert len(pool.asked_for(messages.Known)) == 1


async def test_hashes_that_a_writer_gave_do_not_count_as_a_first_use(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    pool.answers(messages.Known, messages.HashesKnown(hashes_of(SMALL), read=False))
    await files.open(contents.holds("a", SMALL))
    assert len(pool.asked_for(messages.Hash)) == 1


async def test_many_first_readers_begin_one_hash(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    gate = Gate(contents.known)
    pool.answers(messages.Known, gate)
    content = contents.holds("a", SMALL)
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(files.open, content)
        await gate.reached.wait()
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    await files.open(content)
    assert len(pool.asked_for(messages.Known)) == 1
    assert len(pool.asked_for(messages.Hash)) == 1


async def test_a_content_whose_identity_is_in_doubt_is_not_hashed(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    await files.open(contents.holds("a", SMALL), trusted=False)
    assert pool.asked_for(messages.Known) == []
    assert pool.asked_for(messages.Hash) == []


@pytest.mark.parametrize("content", [SMALL, LARGE, b""], ids=["small", "large", "empty"])
async def test_what_was_read_while_its_token_was_young_is_hashed_once_it_is_trusted(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool, content: bytes
) -> None:
    made = contents.holds("a", content)
    transfer = await files.open(made, trusted=False)
    hashing.begin_later(transfer, "/a", 0.2)
    hashing.begin_later(transfer, "/a", 0.2)
    await files.read(transfer, *range(transfer.chunks))
    files.close(transfer)
    assert pool.asked_for(messages.Hash) == []
    await hashing.finished()
    assert len(pool.asked_for(messages.Hash)) == 1
    again = await files.open(made)
    assert len(pool.asked_for(messages.Known)) == 1, "its hashes are known"
    files.close(again)


async def test_what_was_hardly_read_while_its_token_was_young_is_not_hashed(
    files: Files, hashing: Hashing, contents: Contents, caplog: pytest.LogCaptureFixture
) -> None:
    transfer = await files.open(contents.holds("a", LARGE), trusted=False)
    hashing.begin_later(transfer, "/a", 0.2)
    await files.read(transfer, 0)
    files.close(transfer)
    await hashing.finished()
    assert "sha256" not in caplog.text


async def test_the_hasher_hears_of_chunks_as_they_come_without_a_gap(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    transfer = await files.open(contents.holds("a", LARGE))
    await files.read(transfer, 1)
    assert pool.told == []
    await files.read(transfer, 0)
    assert [remark for _, remark in pool.told] == [messages.Available(2)]
    await files.read(transfer, 2)
    assert [remark for _, remark in pool.told][1:] == [messages.Available(3)]


async def test_chunks_that_are_in_the_cache_already_are_hashed_from_there(
    files: Files, transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", SMALL)
    await transfers.bytes_of(content, remote, 0, len(SMALL))
    await files.open(content)
    assert pool.asked_for(messages.Hash) == [messages.Hash(content, 3)]


# --- readers who leave early


async def test_a_small_content_is_read_to_its_end_when_its_reader_left(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", SMALL)
    transfer = await files.open(content)
    await files.read(transfer, 0)
    files.close(transfer)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(SMALL)


async def test_so_is_a_large_one_that_was_mostly_read(
    files: Files, hashing: Hashing, contents: Contents
) -> None:
    content = contents.holds("a", LARGE)
    transfer = await files.open(content)
    await files.read(transfer, *range(5, 10))
    files.close(transfer)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(LARGE)


async def test_the_hash_of_a_large_one_that_was_hardly_read_is_given_up_and_begun_anew(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", LARGE)
    transfer = await files.open(content)
    await files.read(transfer, *range(4))
    files.close(transfer)
    await hashing.finished()
    assert content not in contents.hashed
    fetched = [one.last for one in pool.asked_for(messages.Fetch)]
    assert max(fetched) == 4, "no more is brought in"
    again = await files.open(content)
    await files.read(again, *range(10))
    files.close(again)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(LARGE)


class GivesUpLate:
    """A hash that is given up, but says so only when the test lets it."""

    def __init__(self, answer: messages.HashDone) -> None:
        self._answer = answer
        self.go_on = trio.Event()

    async def __call__(self, call: Call) -> messages.Answer:
        """Wait to be given up, and then for the test."""
        while not isinstance(await call.hear(), messages.Abandon):
            pass
        await self.go_on.wait()
        return self._answer


async def test_a_content_opened_while_its_hash_is_being_given_up_is_hashed_all_the_same(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    late = GivesUpLate(messages.HashDone(None))
    pool.answers(messages.Hash, late, contents.hash)
    content = contents.holds("a", LARGE)
    files.close(await files.open(content))
    again = await files.open(content)
    await files.read(again, *range(5))
    late.go_on.set()
    await trio.testing.wait_all_tasks_blocked()
    await files.read(again, *range(5, 10))
    files.close(again)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(LARGE)


@pytest.mark.parametrize(("chunks", "is_hashed"), [(1, False), (5, True), (10, True)])
async def test_so_is_one_whose_reader_left_again_by_then_if_that_is_worth_it(
    files: Files,
    hashing: Hashing,
    transfers: Transfers,
    remote: Remote,
    contents: Contents,
    pool: ScriptedPool,
    chunks: int,
    is_hashed: bool,
) -> None:
    late = GivesUpLate(messages.HashDone(None))
    pool.answers(messages.Hash, late, contents.hash)
    content = contents.holds("a", LARGE)
    files.close(await files.open(content))
    again = await files.open(content)
    await files.read(again, *range(chunks))
    files.close(again)
    late.go_on.set()
    await hashing.finished()
    assert (content in contents.hashed) == is_hashed
    await trio.testing.wait_all_tasks_blocked()
    assert transfers.open(content, remote, trusted=True) is not again, "nothing is held"


async def test_a_hash_that_ended_before_it_was_given_up_is_not_made_again(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    late = GivesUpLate(messages.HashDone(hashes_of(LARGE)))
    pool.answers(messages.Hash, late)
    content = contents.holds("a", LARGE)
    files.close(await files.open(content))
    await files.open(content)
    late.go_on.set()
    await hashing.finished()
    await trio.testing.wait_all_tasks_blocked()
    assert len(pool.asked_for(messages.Hash)) == 1


async def test_what_cannot_be_completed_is_not_given_up_under_a_reader_who_came_since(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    cut_off = Gate(errors.Changed("cut off"))
    content = contents.holds("a", SMALL)
    transfer = await files.open(content)
    await files.read(transfer, 0)
    pool.answers(messages.Fetch, cut_off, contents.fetch)
    files.close(transfer)
    await cut_off.reached.wait()
    again = await files.open(content)
    cut_off.open.set()
    await trio.testing.wait_all_tasks_blocked()
    await files.read(again, 1, 2)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(SMALL)


async def test_while_another_reads_nothing_is_given_up(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", LARGE)
    one, other = await files.open(content), await files.open(content)
    await files.read(one, 0)
    files.close(one)
    assert messages.Abandon() not in [remark for _, remark in pool.told]
    files.close(other)
    assert messages.Abandon() in [remark for _, remark in pool.told]


async def test_what_was_read_to_its_end_needs_no_reader(
    files: Files, hashing: Hashing, contents: Contents
) -> None:
    content = contents.holds("a", LARGE)
    transfer = await files.open(content)
    await files.read(transfer, *range(10))
    files.close(transfer)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(LARGE)


async def test_a_content_that_cannot_be_read_to_its_end_is_not_hashed(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    content = contents.holds("a", SMALL)
    transfer = await files.open(content)
    await files.read(transfer, 0)
    pool.answers(messages.Fetch, errors.Changed("other content"))
    files.close(transfer)
    await hashing.finished()
    assert content not in contents.hashed
    pool.answers(messages.Fetch, contents.fetch)
    files.close(await files.open(content))
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(SMALL)


# --- what is said


def _fails(error: errors.StoreError) -> Callable[[Call], Awaitable[messages.Answer]]:
    async def fail(call: Call) -> messages.Answer:
        del call
        await trio.lowlevel.checkpoint()
        raise error

    return fail


async def test_a_hash_that_fails_is_said_and_begun_again_at_the_next_first_read(
    files: Files,
    hashing: Hashing,
    contents: Contents,
    pool: ScriptedPool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool.answers(messages.Hash, _fails(errors.Unavailable("the disk is full")), contents.hash)
    content = contents.holds("a", SMALL)
    files.close(await files.open(content))
    await hashing.finished()
    assert "/a" in log_of(caplog)
    assert "the disk is full" in log_of(caplog)
    transfer = await files.open(content)
    await files.read(transfer, 0, 1, 2)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(SMALL)


async def test_warnings_that_follow_from_hashes_are_passed_on(
    files: Files,
    hashing: Hashing,
    contents: Contents,
    pool: ScriptedPool,
    warnings: list[ChangeWarning],
) -> None:
    place = Place(store=contents.store, alias="", path=Key("a"))
    warning = ChangeWarning(
        kind=WarningKind.CHANGED, place=place, time=START, run=RunId("r"), before=None, now=None
    )
    pool.answers(messages.Hash, messages.HashDone(hashes_of(SMALL), warnings=(warning,)))
    await files.open(contents.holds("a", SMALL))
    await trio.testing.wait_all_tasks_blocked()
    assert warnings == [warning]


async def test_damage_is_an_error_in_the_log(
    files: Files, contents: Contents, pool: ScriptedPool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.answers(messages.Hash, messages.HashDone(hashes_of(SMALL), damaged="other bytes came"))
    await files.open(contents.holds("a", SMALL))
    await trio.testing.wait_all_tasks_blocked()
    assert [record.levelname for record in caplog.records].count("ERROR") == 1


async def test_what_was_read_twice_is_said(
    files: Files, contents: Contents, pool: ScriptedPool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.answers(messages.Hash, messages.HashDone(hashes_of(SMALL), reread=5_000_000))
    await files.open(contents.holds("a", SMALL))
    await trio.testing.wait_all_tasks_blocked()
    assert "5.0 MB" in log_of(caplog)


# --- the cache


async def test_chunks_are_kept_for_the_hasher_and_let_go_when_it_has_ended_meanwhile(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    hasher = trio.Event()

    async def give_up(call: Call) -> messages.Answer:
        del call
        await hasher.wait()
        return messages.HashDone(None)

    pool.answers(messages.Hash, give_up)
    gate = Gate(contents.fetch)
    pool.answers(messages.Fetch, gate)
    content = contents.holds("a", LARGE)
    transfer = await files.open(content)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(files.read, transfer, 0)
        await gate.reached.wait()
        assert [one.pin for one in pool.asked_for(messages.Fetch)] == [True]
        hasher.set()
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    await trio.testing.wait_all_tasks_blocked()
    assert pool.asked_for(messages.Release) == [messages.Release(content, 0, 1)]


async def test_what_a_reader_at_random_asks_for_is_not_kept_for_the_hasher(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    transfer = await files.open(contents.holds("a", bytes(24 * CHUNK_BYTES)))
    await files.read(transfer, 20)
    assert [one.pin for one in pool.asked_for(messages.Fetch)] == [False]


async def test_chunks_are_kept_for_the_hasher_in_whatever_order_a_kernel_asks_for_them(
    files: Files, contents: Contents, pool: ScriptedPool
) -> None:
    go_on = trio.Event()

    async def slow(call: Call) -> messages.Answer:
        await go_on.wait()
        return await contents.hash(call)

    pool.answers(messages.Hash, slow)
    transfer = await files.open(contents.holds("a", LARGE))
    await files.read(transfer, 1, 0, 3, 2, 4)
    assert {one.pin for one in pool.asked_for(messages.Fetch)} == {True}
    go_on.set()


async def test_a_hasher_is_near_to_what_passes_the_cache_and_readers_wait_for_it(
    cache: Cache, pool: ScriptedPool, nursery: trio.Nursery, remote: Remote, contents: Contents
) -> None:
    go_on, near = trio.Event(), []

    async def slow(call: Call) -> messages.Answer:
        await go_on.wait()
        return await contents.hash(call)

    async def fetch(call: Call) -> messages.Answer:
        near.append(call.job.near)
        return await contents.fetch(call)

    pool.answers(messages.Hash, slow)
    pool.answers(messages.Fetch, fetch)
    transfers = Transfers(ChunkReader(cache), 8 * CHUNK_BYTES, pool, nursery)
    hashing = Hashing(
        *(pool, transfers, nursery, lambda _: None), whole_below=1 << 40, whole_part=0.5
    )
    files = Files(transfers, hashing, remote)
    content = contents.holds("a", bytes(24 * CHUNK_BYTES))
    transfer = await files.open(content)
    async with trio.open_nursery() as programs:
        programs.start_soon(files.read, transfer, *range(24))
        await trio.testing.wait_all_tasks_blocked()
        assert transfer.hasher is not None
        assert set(near) == {transfer.hasher}
        assert transfer.frontier <= 6, "four that wait for the hasher, and what was on its way"
        go_on.set()
    files.close(transfer)
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(bytes(24 * CHUNK_BYTES))


async def test_a_slow_hasher_is_not_overrun(
    cache: Cache,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    remote: Remote,
    contents: Contents,
) -> None:
    go_on = trio.Event()

    async def slow(call: Call) -> messages.Answer:
        await go_on.wait()
        return await contents.hash(call)

    pool.answers(messages.Hash, slow)
    transfers = Transfers(ChunkReader(cache), 32 * CHUNK_BYTES, pool, nursery)
    hashing = Hashing(
        *(pool, transfers, nursery, lambda _: None), whole_below=1 << 40, whole_part=0.5
    )
    files = Files(transfers, hashing, remote)
    content = contents.holds("a", bytes(24 * CHUNK_BYTES))
    transfer = await files.open(content)
    files.close(transfer)
    await trio.testing.wait_all_tasks_blocked()
    # A quarter of the cache is 8 chunks, and they come 8 at a time.
    assert transfer.frontier <= 16
    go_on.set()
    await hashing.finished()
    assert contents.hashed[content] == hashes_of(bytes(24 * CHUNK_BYTES))


async def test_what_is_kept_for_hashers_leaves_half_of_the_cache_to_others(
    cache: Cache,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    remote: Remote,
    contents: Contents,
) -> None:
    go_on = trio.Event()

    async def slow(call: Call) -> messages.Answer:
        await go_on.wait()
        return await contents.hash(call)

    pool.answers(messages.Hash, slow)
    transfers = Transfers(ChunkReader(cache), 32 * CHUNK_BYTES, pool, nursery)
    hashing = Hashing(
        *(pool, transfers, nursery, lambda _: None), whole_below=1 << 40, whole_part=0.5
    )
    files = Files(transfers, hashing, remote)
    opened = [
        await files.open(contents.holds(name, name.encode() * 8 * CHUNK_BYTES)) for name in "abc"
    ]
    for transfer in opened:
        files.close(transfer)
    await trio.testing.wait_all_tasks_blocked()
    asked = pool.asked_for(messages.Fetch)
    assert [(one.pin, one.keep) for one in asked] == [(True, True)] * 2 + [(True, False)], "past it"
    go_on.set()
    await hashing.finished()
    assert len(contents.hashed) == 3
    last = await files.open(contents.holds("d", LARGE))
    await files.read(last, 0)
    assert pool.asked_for(messages.Fetch)[-1].pin, "what was hashed is kept no longer"


# --- waiting


async def test_settling_waits_for_hashes_that_end_in_any_order(
    files: Files, hashing: Hashing, contents: Contents, pool: ScriptedPool
) -> None:
    slow = Gate(contents.hash)
    pool.answers(messages.Hash, slow, contents.hash)
    for name in "ab":
        transfer = await files.open(contents.holds(name, name.encode() * CHUNK_BYTES))
        await files.read(transfer, 0)
        files.close(transfer)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hashing.finished)
        await trio.testing.wait_all_tasks_blocked()
        assert len(contents.hashed) == 1
        slow.open.set()
    assert len(contents.hashed) == 2


async def test_settling_waits_for_no_hash_that_needs_its_reader(
    files: Files, hashing: Hashing, contents: Contents
) -> None:
    read, unread = contents.holds("a", SMALL), contents.holds("b", LARGE)
    await files.open(unread)
    transfer = await files.open(read)
    await files.read(transfer, 0, 1, 2)
    await hashing.finished()
    assert list(contents.hashed) == [read]


async def test_when_all_has_settled_nothing_is_held_any_more(
    files: Files, hashing: Hashing, transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", SMALL)
    transfer = await files.open(content)
    await files.read(transfer, 0)
    files.close(transfer)
    await hashing.finished()
    await trio.testing.wait_all_tasks_blocked()
    assert transfers.open(content, remote, trusted=True) is not transfer


async def test_a_verification_reads_all_whatever_is_known(
    hashing: Hashing, transfers: Transfers, remote: Remote, contents: Contents
) -> None:
    content = contents.holds("a", SMALL)
    contents.hashed[content] = hashes_of(b"something else")
    transfer = transfers.open(content, remote, trusted=True)
    done = await hashing.verify(transfer)
    assert (done.hashes, done.sums) == (hashes_of(SMALL), contents.sums(content))


async def test_a_verification_that_cannot_be_done_is_an_error_and_holds_nothing(
    hashing: Hashing, transfers: Transfers, remote: Remote, contents: Contents, pool: ScriptedPool
) -> None:
    pool.answers(messages.Hash, errors.Unavailable("no worker"), contents.hash)
    content = contents.holds("a", SMALL)
    transfer = transfers.open(content, remote, trusted=True)
    with pytest.raises(errors.Unavailable):
        await hashing.verify(transfer)
    assert (await hashing.verify(transfer)).hashes == hashes_of(SMALL)
