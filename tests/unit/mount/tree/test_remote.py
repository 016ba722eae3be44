"""A store as the front sees it: checked before it is asked, left in peace while it is down, and found again."""

from __future__ import annotations

from dataclasses import replace

import pytest
import trio
import trio.testing

from tests.support.clocks import TrioClock
from tests.support.pools import NEVER, Call, Gate, Script, ScriptedPool
from vstorefs import errors
from vstorefs.model import Capabilities, Content, Entry, EntryKind, Key, StoreSpec, Token
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

ENTRY = Entry(Key("a"), EntryKind.FILE, 3)
FOUND = messages.Found(ENTRY)
AWAY = errors.Unavailable("no route")
UNREACHABLE = errors.Unavailable("refused", origin=errors.Origin.STORE)


def listed(*entries: Entry, at: float = 0.0, stale: bool = False) -> messages.Listed:
    return messages.Listed(entries, at, stale=stale, why="no route" if stale else "")


def is_down(remote: Remote) -> bool:
    return remote.health.down


async def test_a_store_is_checked_once_before_it_is_asked(
    remote: Remote, pool: ScriptedPool
) -> None:
    gate = Gate(messages.Checked(Capabilities(writable=True, layout="native")))
    pool.answers(messages.Check, gate)
    pool.answers(messages.Find, FOUND)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(remote.find, Key("a"))
        await gate.reached.wait()
        await trio.testing.wait_all_tasks_blocked()
        assert pool.asked_for(messages.Find) == []
        gate.open.set()
    assert len(pool.asked_for(messages.Check)) == 1
    assert len(pool.asked_for(messages.Find)) == 3
    assert remote.capabilities.layout == "native"


async def test_one_that_fails_its_check_counts_as_down(remote: Remote, pool: ScriptedPool) -> None:
    pool.answers(messages.Check, errors.Denied("no credentials"))
    with pytest.raises(errors.Unavailable, match="no credentials"):
        await remote.find(Key("a"))
    asked = len(pool.asked)
    with pytest.raises(errors.Unavailable, match="no credentials"):
        await remote.find(Key("a"))
    assert len(pool.asked) == asked, "nobody waits for a store that is down"


async def test_one_that_failed_its_check_is_checked_again_when_it_is_time(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Check, AWAY, messages.Checked(Capabilities(writable=True)))
    pool.answers(messages.Find, FOUND)
    with pytest.raises(errors.Unavailable):
        await remote.find(Key("a"))
    await remote.revive()
    assert len(pool.asked) == 1, "it is too early"
    await trio.sleep(10)
    await remote.revive()
    assert await remote.find(Key("a")) == ENTRY
    assert len(pool.asked_for(messages.Check)) == 2


async def test_a_store_is_down_from_the_first_lost_answer_on(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Find, FOUND, NEVER, FOUND)
    pool.answers(messages.Look, NEVER)
    await remote.find(Key("a"))
    with pytest.raises(errors.Unavailable):
        await remote.find(Key("a"))
    assert is_down(remote)
    with pytest.raises(errors.Unavailable):
        await remote.find(Key("a"))
    assert len(pool.asked_for(messages.Find)) == 2


@pytest.mark.parametrize("kind", [errors.Unavailable, errors.Throttled])
async def test_a_store_that_is_away_or_overloaded_is_down(
    remote: Remote, pool: ScriptedPool, kind: type[errors.StoreError]
) -> None:
    pool.answers(messages.Find, kind("not now"))
    pool.answers(messages.Look, kind("not now"))
    with pytest.raises(kind):
        await remote.find(Key("a"))
    assert is_down(remote)


@pytest.mark.parametrize("kind", [errors.Unavailable, errors.Throttled])
async def test_one_key_that_fails_leaves_the_others_to_be_asked_for(
    remote: Remote, pool: ScriptedPool, kind: type[errors.StoreError]
) -> None:
    for _ in range(3):
        pool.answers(messages.Find, kind("not now", key="bad"), FOUND)
        with pytest.raises(kind):
            await remote.find(Key("bad"))
        assert not is_down(remote)
        assert await remote.find(Key("a")) == ENTRY


async def test_a_root_that_cannot_be_listed_is_one_key_too(
    remote: Remote, pool: ScriptedPool
) -> None:
    pool.answers(messages.ListDirectory, listed(ENTRY, stale=True))
    pool.answers(messages.Look, errors.Unavailable("not this one"))
    pool.answers(messages.Find, FOUND)
    assert (await remote.list(Key(""), 900.0)).stale
    assert not is_down(remote)
    assert await remote.find(Key("a")) == ENTRY


@pytest.mark.parametrize("script", [UNREACHABLE, NEVER], ids=["refused", "hangs"])
async def test_a_root_that_cannot_be_reached_is_the_store(
    remote: Remote, pool: ScriptedPool, script: Script, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.ListDirectory, script)
    pool.answers(messages.Look, script)
    with pytest.raises(errors.Unavailable):
        await remote.list(Key(""), 900.0)
    assert is_down(remote)


@pytest.mark.parametrize("origin", [errors.Origin.DISK, errors.Origin.US])
async def test_what_is_our_own_fault_does_not_count_against_the_store(
    remote: Remote, pool: ScriptedPool, origin: errors.Origin
) -> None:
    ours = errors.Unavailable("the disk is full", origin=origin)
    pool.answers(messages.Find, ours)
    pool.answers(messages.ListDirectory, ours)
    with pytest.raises(errors.Unavailable):
        await remote.find(Key("a"))
    assert not is_down(remote)
    assert pool.asked_for(messages.Look) == []
    with pytest.raises(errors.Unavailable):
        await remote.list(Key(""), 900.0)
    assert not is_down(remote)


@pytest.mark.parametrize("origin", [errors.Origin.DISK, errors.Origin.US])
async def test_nor_is_it_an_answer_of_a_store_that_is_down(
    remote: Remote,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
    origin: errors.Origin,
) -> None:
    await remote.check()
    remote.note_failure(UNREACHABLE)
    pool.answers(messages.Look, errors.StoreError("a bug", origin=origin))
    await trio.sleep(1)
    await remote.revive()
    assert len(pool.asked_for(messages.Look)) == 1
    assert is_down(remote)


async def test_those_who_fail_together_look_once(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    await remote.check()
    gate = Gate(AWAY)
    look = Gate(messages.Noted())
    pool.answers(messages.Find, gate)
    pool.answers(messages.Look, look)

    async def find() -> None:
        with pytest.raises(errors.Unavailable):
            await remote.find(Key("a"))

    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(find)
        await gate.reached.wait()
        gate.open.set()
        await look.reached.wait()
        look.open.set()
    assert len(pool.asked_for(messages.Look)) == 1
    assert not is_down(remote)


async def test_a_store_that_is_silent_is_found_down_before_those_who_wait_give_up(
    remote: Remote,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    await remote.check()
    pool.answers(messages.Find, NEVER)
    pool.answers(messages.Look, UNREACHABLE)

    async def find() -> None:
        with pytest.raises(errors.Unavailable):
            await remote.find(Key("a"))

    nursery.start_soon(find)
    await trio.sleep(4)
    await remote.revive()
    assert not is_down(remote), "it may still answer"
    await trio.sleep(2)
    await remote.revive()
    assert is_down(remote)


async def test_a_request_that_gets_on_is_left_in_peace(
    remote: Remote,
    pool: ScriptedPool,
    nursery: trio.Nursery,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def slow(call: Call) -> messages.Answer:
        for chunk in range(10):
            await trio.sleep(3)
            call.report(messages.Arrived(chunk))
        return messages.Fetched(0)

    await remote.check()
    pool.answers(messages.Fetch, slow)
    content = Content(remote.spec.id, Key("a"), Token("t"), 100)
    nursery.start_soon(remote.ask, messages.Fetch(content, 0, 10, pin=False))
    for _ in range(25):
        await trio.sleep(1)
        await remote.revive()
    assert pool.asked_for(messages.Look) == []


@pytest.mark.parametrize(
    "kind", [errors.NotFound, errors.Denied, errors.Changed, errors.Corrupt, errors.NotSupported]
)
async def test_a_store_that_says_no_is_up(
    remote: Remote, pool: ScriptedPool, kind: type[errors.StoreError]
) -> None:
    pool.answers(messages.Find, kind("no"))
    with pytest.raises(kind):
        await remote.find(Key("a"))
    assert not is_down(remote)


async def test_a_store_that_was_away_is_found_by_a_look_at_its_root(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Find, AWAY)
    pool.answers(messages.Look, AWAY, AWAY, messages.Noted())
    with pytest.raises(errors.Unavailable):
        await remote.find(Key("a"))
    await trio.sleep(1)
    await remote.revive()
    assert is_down(remote)
    await trio.sleep(1)
    await remote.revive()
    assert len(pool.asked_for(messages.Look)) == 2, "the next look comes later"
    await trio.sleep(1)
    await remote.revive()
    assert not is_down(remote)


async def test_nobody_looks_after_a_store_that_answers(remote: Remote, pool: ScriptedPool) -> None:
    await remote.revive()
    assert pool.asked == []


async def test_a_directory_of_a_store_that_is_away_is_shown_as_it_was_known(
    remote: Remote, pool: ScriptedPool
) -> None:
    pool.answers(messages.ListDirectory, AWAY, listed(ENTRY))
    pool.answers(messages.Look, AWAY)
    answer = await remote.list(Key("d"), 900.0)
    assert answer.stale
    assert answer.entries == (ENTRY,)
    asked = [(one.directory, one.not_before) for one in pool.asked_for(messages.ListDirectory)]
    assert asked == [("d", 900.0), ("d", float("-inf"))]
    assert is_down(remote), "what came from the cache is no answer of the store"
    assert (await remote.list(Key("d"), 900.0)).stale
    assert len(pool.asked_for(messages.ListDirectory)) == 3, "the store itself is not asked"


async def test_where_the_cache_knows_nothing_either_it_is_unknown(
    remote: Remote, pool: ScriptedPool
) -> None:
    pool.answers(messages.ListDirectory, AWAY)
    pool.answers(messages.Look, AWAY)
    with pytest.raises(errors.Unavailable):
        await remote.list(Key("d"), 900.0)


async def test_a_stale_listing_says_that_the_store_is_down_and_a_fresh_one_that_it_is_not(
    remote: Remote, pool: ScriptedPool, caplog: pytest.LogCaptureFixture
) -> None:
    pool.answers(messages.ListDirectory, listed(ENTRY, stale=True))
    pool.answers(messages.Look, AWAY)
    await remote.list(Key("d"), 900.0)
    assert is_down(remote)
    assert any("d is shown as it was" in record.getMessage() for record in caplog.records)
    remote.note_answer()
    pool.answers(messages.ListDirectory, listed(ENTRY))
    assert not (await remote.list(Key("d"), 900.0)).stale
    assert not is_down(remote)


async def test_why_nothing_can_be_written(
    spec: StoreSpec, remote: Remote, pool: ScriptedPool
) -> None:
    assert remote.read_only == "not checked yet"
    pool.answers(
        messages.Check,
        messages.Checked(Capabilities(writable=False, why_read_only="versioning is suspended")),
        messages.Checked(Capabilities(writable=True)),
    )
    await remote.check()
    assert remote.read_only == "versioning is suspended"
    await remote.check()
    assert remote.read_only == ""
    assert "past" in remote.as_of(1).read_only
    assert remote.read_only == ""
    mounted = Remote(replace(spec, read_only=True), pool, TrioClock())
    await mounted.check()
    assert mounted.read_only == "mounted read-only"


async def test_the_past_is_asked_for_as_it_was(remote: Remote, pool: ScriptedPool) -> None:
    pool.answers(messages.Past, listed(ENTRY, at=1000.0))
    answer = await remote.as_of(123).list(Key("d"), 900.0)
    assert answer == listed(ENTRY, at=1000.0)
    assert pool.asked_for(messages.Past) == [messages.Past(remote.spec.id, Key("d"), 123)]
    assert pool.asked_for(messages.ListDirectory) == []


async def test_the_last_seconds_are_asked_for_again_soon(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    clock = TrioClock()

    async def now(call: Call) -> messages.Answer:
        del call
        return listed(ENTRY, at=clock.monotonic_s())

    pool.answers(messages.Past, now)
    past = remote.as_of(clock.wall_ns())
    left = (await past.list(Key(""), 0.0)).listed_at + past.spec.listing_seconds
    assert left - clock.monotonic_s() == 1
    await trio.sleep(10)
    left = (await past.list(Key(""), 0.0)).listed_at + past.spec.listing_seconds
    assert left - clock.monotonic_s() == past.spec.listing_seconds


async def test_a_long_look_into_the_past_is_waited_for(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(call: Call) -> messages.Answer:
        del call
        await trio.sleep(599)
        return listed(ENTRY)

    pool.answers(messages.Past, slow)
    assert (await remote.as_of(123).list(Key(""), 0.0)).entries == (ENTRY,)


async def test_histories_are_asked_for(remote: Remote, pool: ScriptedPool) -> None:
    pool.answers(messages.History, messages.Versions(()))
    pool.answers(messages.HistoryNames, messages.Names(("a", "b")))
    assert await remote.history(Key("d/a")) == ()
    assert await remote.history_names(Key("d")) == ("a", "b")
    assert pool.asked_for(messages.History) == [messages.History(remote.spec.id, Key("d/a"))]
    assert pool.asked_for(messages.HistoryNames) == [
        messages.HistoryNames(remote.spec.id, Key("d"))
    ]


async def test_those_who_wait_for_the_first_check_are_told_together(
    remote: Remote, pool: ScriptedPool, autojump_clock: trio.testing.MockClock
) -> None:
    pool.answers(messages.Check, NEVER)
    failed: list[float] = []

    async def ask() -> None:
        with pytest.raises(errors.Unavailable):
            await remote.find(Key("a"))
        failed.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(ask)
    assert failed == [60.0] * 10
