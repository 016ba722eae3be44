"""What was promised reaches its store: in order, once, tried until it is there; and waiting for it ends in time."""

from __future__ import annotations

import errno
import itertools
from dataclasses import replace

import pytest
import trio
import trio.testing

from tests.support.pools import NEVER, Call, Gate, ScriptedPool
from tests.support.promising import IGNORED, OTHER, Journal, Writer, entry_of
from vstorefs import errors
from vstorefs.model import (
    JournalEntry,
    Key,
    Mark,
    Operation,
    StoreId,
    StoreSpec,
    Version,
    VersionId,
    VersionKind,
)
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.uploads import Callbacks, Pending, Uploads
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

DONE = messages.Published()
AWAY = errors.Unavailable("no route")
DENIED = errors.Denied("not for you")


def sent(pool: ScriptedPool) -> list[str]:
    """Paths whose publish was asked for, in order."""
    return [one.entry.path for one in pool.asked_for(messages.Publish)]


async def blocked() -> None:
    await trio.testing.wait_all_tasks_blocked()


# --- the way to the store


async def test_a_promise_is_in_the_journal_before_the_store_hears_of_it(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, journal: Journal
) -> None:
    gate = Gate(journal.record)
    pool.answers(messages.Record, gate)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.promise, "a")
        await gate.reached.wait()
        await blocked()
        assert sent(pool) == []
        gate.open.set()
    await blocked()
    (request,) = pool.asked_for(messages.Publish)
    assert (request.entry.seq, request.look, request.overdue) == (1, False, False)
    assert writer.settled == ["a"]
    assert (len(uploads), uploads.published) == (0, 1)


async def test_what_the_journal_does_not_take_is_not_promised(
    writer: Writer, uploads: Uploads, pool: ScriptedPool
) -> None:
    pool.answers(messages.Record, errors.Unavailable("the disk is full"))
    with pytest.raises(errors.Unavailable, match="disk is full"):
        await writer.promise("a")
    await blocked()
    assert sent(pool) == []
    assert len(uploads) == 0


async def test_promises_wait_side_by_side_and_are_sent_in_the_order_in_which_they_were_made(
    writer: Writer, pool: ScriptedPool, journal: Journal
) -> None:
    gate = Gate(journal.record)
    pool.answers(messages.Record, gate)
    names = [f"f{number}" for number in range(50)]
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(writer.promise, name)
            await blocked()
        assert len(pool.asked_for(messages.Record)) == 50
        assert sent(pool) == []
        gate.open.set()
    await blocked()
    asked = [one.entries[0].path for one in pool.asked_for(messages.Record)]
    assert asked == names


async def test_what_is_heard_first_is_not_sent_before_what_was_promised_before(
    writer: Writer, pool: ScriptedPool, journal: Journal
) -> None:
    """Two changes of one path: who hears of the journal's answer first is chance."""
    first = Gate(messages.Recorded((1,)))
    pool.answers(messages.Record, first, messages.Recorded((2,)))
    pool.answers(messages.Publish, NEVER)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.promise, "a")
        await blocked()
        nursery.start_soon(writer.promise, "a")
        await blocked()
        assert sent(pool) == []
        first.open.set()
    await blocked()
    assert [one.entry.seq for one in pool.asked_for(messages.Publish)] == [1]


async def test_promises_of_a_journal_that_hangs_fail_together_and_never_happen(
    writer: Writer, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Record, NEVER)
    failed = []

    async def promise(name: str) -> None:
        with pytest.raises(errors.Unavailable):
            await writer.promise(name)
        failed.append(name)

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(promise, f"f{number}")
    assert len(failed) == 50
    assert trio.current_time() == 60
    assert len(pool.told) == 50, "each of them is withdrawn"
    assert sent(pool) == []


async def test_a_promise_that_is_kept_late_is_told_as_kept(
    writer: Writer, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(call: Call) -> messages.Answer:
        call.begun = True
        await trio.sleep(90)
        return messages.Recorded((1,))

    pool.answers(messages.Record, slow)
    pending = await writer.promise("a")
    await pending.done.wait()
    assert writer.settled == ["a"]


async def test_a_promise_whose_caller_goes_away_is_kept_or_withdrawn(
    writer: Writer, uploads: Uploads, pool: ScriptedPool
) -> None:
    """As of `vstorefs restore`, stopped midway."""
    pool.answers(messages.Publish, NEVER)
    for begun, kept in ((False, 0), (True, 1)):
        gate = Gate(messages.Recorded((7,)))

        async def answer(call: Call, gate: Gate = gate, *, begun: bool = begun) -> messages.Answer:
            call.begun = begun
            return await gate(call)

        pool.answers(messages.Record, answer)
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()

            async def promise(scope: trio.CancelScope = scope) -> None:
                with scope:
                    await writer.promise("a")

            nursery.start_soon(promise)
            await gate.reached.wait()
            scope.cancel()
            await blocked()
            gate.open.set()
        assert len(uploads) == kept
        assert scope.cancelled_caught is not begun


async def test_entries_that_end_do_so_with_the_promise_that_ends_them(
    uploads: Uploads, pool: ScriptedPool, spec: StoreSpec
) -> None:
    entry = entry_of("a", spec.id)
    await uploads.promise(entry, IGNORED, drop=[7, 8])
    assert pool.asked_for(messages.Record) == [messages.Record((entry,), (7, 8))]
    await uploads.drop([9])
    assert pool.asked_for(messages.Record)[1:] == [messages.Record((), (9,))]


async def test_what_is_recorded_only_is_not_sent(
    uploads: Uploads, pool: ScriptedPool, spec: StoreSpec
) -> None:
    assert await uploads.record(entry_of("a", spec.id)) == 1
    await blocked()
    assert sent(pool) == []
    assert len(uploads) == 0


async def test_changes_of_one_path_go_one_after_the_other(
    writer: Writer, pool: ScriptedPool
) -> None:
    gate = Gate(DONE)
    pool.answers(messages.Publish, gate, DONE)
    for path in ("a", "a", "b"):
        await writer.promise(path)
    await blocked()
    assert sent(pool) == ["a", "b"]
    assert writer.settled == ["b"]
    gate.open.set()
    await blocked()
    assert sent(pool) == ["a", "b", "a"]
    assert writer.settled == ["b", "a", "a"]


async def test_a_store_that_hangs_is_sent_a_few_at_once_and_holds_up_no_other(
    writer: Writer, uploads: Uploads, pool: ScriptedPool
) -> None:
    pool.answers(messages.Publish, NEVER)
    for number in range(20):
        await writer.promise(f"f{number}")
    await blocked()
    assert len(sent(pool)) == uploads.active == 8
    pool.answers(messages.Publish, DONE)
    await writer.promise("elsewhere", OTHER)
    await blocked()
    assert writer.settled == ["elsewhere"]


async def test_what_a_dead_mount_had_promised_is_looked_for_first(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, spec: StoreSpec
) -> None:
    entry = replace(entry_of("a", spec.id, seq=3), adopted=True)
    uploads.adopt([entry], lambda one: writer.note(one.path))
    await blocked()
    (request,) = pool.asked_for(messages.Publish)
    assert (request.look, request.overdue) == (True, True)
    assert writer.settled == ["a"]


# --- trying again


async def test_a_store_that_is_away_is_tried_until_it_has_it(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    remote: Remote,
    autojump_clock: trio.testing.MockClock,
) -> None:
    times: list[float] = []

    async def away(call: Call) -> messages.Answer:
        del call
        times.append(trio.current_time())
        if len(times) < 10:
            raise AWAY
        return DONE

    await remote.check()
    pool.answers(messages.Publish, away)
    pool.answers(messages.Look, AWAY)
    pending = await writer.promise("a")
    await trio.sleep(0.1)
    assert remote.health.down
    await pending.done.wait()
    assert not _is_down(remote)
    pauses = [round(after - before, 3) for before, after in itertools.pairwise(times)]
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    looks = [one.look for one in pool.asked_for(messages.Publish)]
    assert looks == [False] + [True] * 9, "it may have happened without an answer"
    assert writer.settled == ["a"]


def _is_down(remote: Remote) -> bool:
    return remote.health.down


@pytest.mark.parametrize(
    "trouble",
    [
        AWAY,
        errors.Throttled("slow down"),
        errors.Unavailable("disk full", origin=errors.Origin.DISK),
    ],
    ids=["unavailable", "throttled", "a disk of ours"],
)
async def test_a_path_that_cannot_be_published_is_no_fault_of_its_store(
    writer: Writer,
    pool: ScriptedPool,
    remote: Remote,
    trouble: errors.StoreError,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def all_but_one(call: Call) -> messages.Answer:
        assert isinstance(call.request, messages.Publish)
        await trio.lowlevel.checkpoint()
        if call.request.entry.path == "bad":
            raise trouble
        return DONE

    await remote.check()
    pool.answers(messages.Publish, all_but_one)
    pool.answers(messages.Find, messages.Found(None))
    await writer.promise("bad")
    for number in range(100):
        await trio.sleep(1)
        assert not remote.health.down
        await remote.find(Key("other"))
        if number % 10 == 0:
            await writer.promise(f"good {number}")
    assert len(writer.settled) == 10


async def test_what_has_waited_for_a_minute_is_late(
    writer: Writer, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Publish, *[AWAY] * 9, DONE)
    pending = await writer.promise("a")
    await pending.done.wait()
    # Tried after 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 61.5 s and so on.
    assert [one.overdue for one in pool.asked_for(messages.Publish)] == [False] * 7 + [True] * 3


async def test_the_same_trouble_is_said_once(
    writer: Writer,
    pool: ScriptedPool,
    caplog: pytest.LogCaptureFixture,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, AWAY, AWAY, errors.Throttled("slow down"), DONE)
    pending = await writer.promise("a")
    await pending.done.wait()
    told = [one.getMessage() for one in caplog.records if one.name.endswith("uploads")]
    assert ["no route" in one for one in told] == [True, False]
    assert ["slow down" in one for one in told] == [False, True]
    assert all("here:a" in one for one in told)


async def test_what_is_refused_stays_and_is_tried_now_and_then(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    remote: Remote,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, DENIED, DENIED, DONE)
    pending = await writer.promise("a")
    await trio.sleep(59)
    assert sent(pool) == ["a"]
    assert uploads.pending == [pending]
    assert not remote.health.down, "it has answered"
    await pending.done.wait()
    assert trio.current_time() == 120
    assert writer.settled == ["a"]


async def test_an_error_of_ours_in_taking_note_holds_up_nothing(
    uploads: Uploads, writer: Writer, spec: StoreSpec, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(published: messages.Published) -> None:
        raise ValueError("a bug")

    pending = await uploads.promise(entry_of("a", spec.id), Callbacks(broken))
    await writer.promise("a")
    await blocked()
    assert pending.done.is_set()
    assert writer.settled == ["a"]
    assert any(one.exc_info for one in caplog.records)


# --- waiting


async def test_a_close_waits_until_the_store_has_it(
    writer: Writer, uploads: Uploads, pool: ScriptedPool
) -> None:
    gate = Gate(DONE)
    pool.answers(messages.Publish, gate)
    pending = await writer.promise("a")
    returned = trio.Event()

    async def close() -> None:
        await uploads.wait(pending)
        returned.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(close)
        await blocked()
        assert not returned.is_set()
        gate.open.set()
    assert writer.settled == ["a"]


async def test_a_close_that_is_refused_says_so_at_once(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, mock_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Publish, DENIED)
    pending = await writer.promise("a")
    # The clock stands still.
    with pytest.raises(errors.Denied):
        await uploads.wait(pending)
    assert uploads.pending == [pending]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES])
async def test_a_disk_that_is_full_says_so_at_once(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    mock_clock: trio.testing.MockClock,
    number: int,
) -> None:
    pool.answers(messages.Publish, errors.of_disk("no", number))
    pending = await writer.promise("a")
    # The clock stands still.
    with pytest.raises(errors.StoreError) as caught:
        await uploads.wait(pending)
    assert errors.to_errno(caught.value) == number
    assert uploads.pending == [pending]


async def test_a_close_of_a_store_that_is_away_waits_for_its_bound(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, AWAY)
    pending = await writer.promise("a")
    with pytest.raises(errors.Unavailable, match="no route") as caught:
        await uploads.wait(pending, 60)
    assert trio.current_time() == 60
    assert (caught.value.key, caught.value.operation) == ("a", "put")
    assert uploads.pending == [pending]


async def test_trouble_that_passes_in_time_is_none(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, AWAY, AWAY, DONE)
    await uploads.wait(await writer.promise("a"), 60)
    assert writer.settled == ["a"]


async def test_a_refusal_that_became_an_outage_is_waited_for_again(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, DENIED, AWAY, DONE)
    pending = await writer.promise("a")
    with pytest.raises(errors.Denied):
        await uploads.wait(pending)
    await trio.sleep(60.1)
    await uploads.wait(pending)
    assert writer.settled == ["a"]


async def test_draining_ends_when_nothing_is_left(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    assert await uploads.drain(0)
    pool.answers(messages.Publish, AWAY, AWAY, DONE)
    await writer.promise("a")
    await writer.promise("b")
    assert await uploads.drain(100)
    assert sorted(writer.settled) == ["a", "b"]


async def test_draining_ends_in_time(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Publish, AWAY)
    await writer.promise("a")
    assert not await uploads.drain(10)
    assert trio.current_time() == 10


async def test_draining_does_not_wait_for_what_is_refused(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Publish, DENIED)
    await writer.promise("a")
    await writer.promise("a")
    assert not await uploads.drain(1000)
    assert trio.current_time() < 2


async def test_what_goes_to_a_path_is_found_and_waited_for(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = Gate(DONE)
    pool.answers(messages.Publish, gate, NEVER)
    older = await writer.promise("d/a")
    newer = await writer.promise("d/a")
    await writer.promise("d/b", OTHER)
    await writer.promise("e2/c")
    assert uploads.latest(spec.id, "d/a") is newer
    assert uploads.latest(spec.id, "d/b") is None
    assert uploads.latest(OTHER, "d/b") is not None
    await uploads.settled_at(spec.id, "d/b", 1000)
    await uploads.settled_at(spec.id, "d", 1000)
    await uploads.settled_below(spec.id, "e", 1000)
    assert trio.current_time() == 0, "nothing goes there"
    await uploads.settled_at(spec.id, "d/a", 10)
    assert trio.current_time() == 10
    await uploads.settled_below(spec.id, "d", 10)
    await uploads.settled_below(spec.id, "", 10)
    assert trio.current_time() == 30
    pool.answers(messages.Publish, DONE)
    gate.open.set()
    await uploads.settled_below(spec.id, "d", 10)
    assert trio.current_time() == 30
    assert older.done.is_set()
    assert newer.done.is_set()


async def test_a_rename_goes_to_both_its_paths(
    uploads: Uploads, pool: ScriptedPool, spec: StoreSpec
) -> None:
    pool.answers(messages.Publish, NEVER)
    entry = replace(
        entry_of("old", spec.id), operation=Operation.RENAME, target=Key("new"), link="x"
    )
    pending = await uploads.promise(entry, IGNORED)
    assert uploads.latest(spec.id, "old") is pending
    assert uploads.latest(spec.id, "new") is pending


def renamed(path: str, target: str, store: StoreId, *, link: str | None) -> JournalEntry:
    """The rename of a symlink, or of a directory without `link`."""
    entry = entry_of(path, store)
    return replace(entry, operation=Operation.RENAME, target=Key(target), link=link)


@pytest.mark.parametrize(
    ("link", "at", "below"),
    [
        ("x", {"a/x", "d/x"}, {"", "a", "d"}),
        (
            None,
            {"a/x", "d/x", "a/x/f", "d/x/f/g"},
            {"", "a", "d", "a/x", "d/x", "a/x/f", "d/x/f/g"},
        ),
    ],
    ids=["one name", "a directory"],
)
async def test_a_wait_at_or_below_either_place_of_a_rename_waits_for_it(
    uploads: Uploads,
    pool: ScriptedPool,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
    link: str | None,
    at: set[str],
    below: set[str],
) -> None:
    pool.answers(messages.Publish, NEVER)
    await uploads.promise(renamed("a/x", "d/x", spec.id, link=link), IGNORED)
    waited_at, waited_below = set(), set()
    for path in ("", "a", "d", "a/x", "d/x", "d/xy", "a/x/f", "d/x/f/g", "e"):
        began = trio.current_time()
        await uploads.settled_at(spec.id, path, 10)
        if trio.current_time() > began:
            waited_at.add(path)
        began = trio.current_time()
        await uploads.settled_below(spec.id, path, 10)
        if trio.current_time() > began:
            waited_below.add(path)
    assert (waited_at, waited_below) == (at, below)


# --- what came between


def version(*marks: Mark) -> Version:
    return Version(Key("a"), VersionId("v"), VersionKind.CONTENT, 0, marks=marks)


async def test_what_came_between_a_writer_and_the_store_is_told(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, caplog: pytest.LogCaptureFixture
) -> None:
    marked = version(Mark.LATE, Mark.OLDER_HEAD)
    pool.answers(messages.Publish, messages.Published(marked))
    await writer.promise("d/a")
    await blocked()
    assert list(uploads.marked) == [("d/a", (Mark.LATE.value, Mark.OLDER_HEAD.value))]
    assert any("here:d/a" in one.getMessage() for one in caplog.records)


@pytest.mark.parametrize(
    "published",
    [
        messages.Published(),
        messages.Published(version()),
        messages.Published(version(Mark.LATE), unchanged=True),
    ],
    ids=["no version", "no mark", "the version of before"],
)
async def test_nothing_is_told_where_nothing_did(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, published: messages.Published
) -> None:
    pool.answers(messages.Publish, published)
    await writer.promise("a")
    await blocked()
    assert list(uploads.marked) == []


async def test_a_flush_tries_at_once_what_pauses_and_counts_nothing_against_it(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Publish, DENIED)
    pending = await writer.promise("a")
    await trio.sleep(1)
    for _ in range(20):
        assert not await uploads.drain(10)
    assert pending.counted == 1
    pool.answers(messages.Publish, DONE)
    began = trio.current_time()
    assert await uploads.drain(10)
    assert trio.current_time() - began < 5
    assert writer.settled == ["a"]


# --- what pauses, and is wanted now


async def denied(pool: ScriptedPool, writer: Writer, path: str = "a") -> Pending:
    """A promise that the store has refused, and that pauses."""
    pool.answers(messages.Publish, DENIED)
    pending = await writer.promise(path)
    await trio.sleep(1)
    return pending


@pytest.mark.parametrize("path", ["a", "d/a"])
async def test_a_new_write_of_a_path_does_not_wait_out_the_pause_of_an_earlier_one(
    writer: Writer, pool: ScriptedPool, autojump_clock: trio.testing.MockClock, path: str
) -> None:
    await denied(pool, writer, path)
    pool.answers(messages.Publish, DONE)
    began = trio.current_time()
    newer = await writer.promise(path)
    await newer.done.wait()
    assert writer.settled == [path, path]
    assert trio.current_time() - began < 1


async def test_a_rename_onto_a_path_hurries_what_pauses_there(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    spec: StoreSpec,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pending = await denied(pool, writer, "d/x")
    pool.answers(messages.Publish, DONE)
    began = trio.current_time()
    await uploads.promise(renamed("a/x", "d/x", spec.id, link="x"), IGNORED)
    await pending.done.wait()
    assert trio.current_time() - began < 1


async def test_writes_of_other_paths_and_stores_hurry_nothing(
    writer: Writer, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pending = await denied(pool, writer)
    for path, store in [("b", None), ("a/b", None), ("a", OTHER)]:
        await writer.promise(path, store)
        await trio.sleep(1)
    assert pending.attempts == 1


async def test_what_may_pass_by_itself_is_left_to_its_back_off(
    writer: Writer, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Publish, AWAY)
    pending = await writer.promise("a")
    await trio.sleep(20)
    tried = pending.attempts
    for _ in range(5):
        await writer.promise("a")
    await blocked()
    assert pending.attempts == tried


async def test_tries_that_writes_ask_for_count_no_sooner_than_the_pauses_would_have(
    writer: Writer, uploads: Uploads, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    """A program that writes often neither uses up the tries of its file nor keeps it from being set aside."""
    pending = await denied(pool, writer)
    for _ in range(50):
        await writer.promise("a")
        await trio.sleep(1)
    assert (pending.attempts, pending.counted) == (51, 1)
    for _ in range(50):
        await writer.promise("a")
        await trio.sleep(20)
    assert pending.is_aside
    assert uploads.set_aside[0] is pending
