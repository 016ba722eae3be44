"""What cannot be published is set aside, with its reason, and nothing waits behind it."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.frontparts import RUN, Front, front, published
from tests.support.pools import Call, ScriptedPool
from tests.support.promising import Writer, entry_of
from vstorefs import errors
from vstorefs.model import StoreSpec
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

DONE = messages.Published()
TOO_LONG = errors.StoreError("File name too long", number=errno.ENAMETOOLONG)
FAILS = errors.Unavailable("500 Internal Server Error")
DENIED = errors.Denied("403 Forbidden")
CLASH = errors.NotSupported("there is a directory of that name")
OURS = errors.StoreError("internal error", origin=errors.Origin.US)
DAMAGED = errors.Corrupt("its staging file is gone")


def failing(trouble: errors.StoreError, *paths: str) -> Callable[[Call], object]:
    """A store that takes everything but some paths."""

    async def publish(call: Call) -> messages.Answer:
        assert isinstance(call.request, messages.Publish)
        await trio.lowlevel.checkpoint()
        if call.request.entry.path in paths:
            raise trouble
        return DONE

    return publish


@pytest.mark.parametrize(
    ("trouble", "tries"),
    [(TOO_LONG, 3), (OURS, 3), (DAMAGED, 3), (CLASH, 3), (DENIED, 10), (FAILS, 12)],
    ids=["name", "ours", "damaged", "refused", "denied", "500"],
)
async def test_it_is_set_aside_after_so_many_tries_and_the_next_one_goes(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    trouble: errors.StoreError,
    tries: int,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, failing(trouble, "bad"))
    pending = await writer.promise("bad")
    again = await writer.promise("bad")
    with trio.fail_after(1000):
        await pending.done.wait()
    tried = [one for one in pool.asked_for(messages.Publish) if one.entry.seq == pending.entry.seq]
    assert len(tried) == tries
    assert (writer.settled, writer.aside) == ([], ["bad"])
    (asked,) = pool.asked_for(messages.SetAside)
    assert (asked.seq, asked.reason) == (pending.entry.seq, str(trouble))
    assert uploads.set_aside == [pending]
    pool.answers(messages.Publish, DONE)
    with trio.fail_after(100):
        await again.done.wait()
    assert writer.settled == ["bad"]
    assert await uploads.drain(0)


async def test_a_close_that_waits_is_told_the_reason(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, failing(FAILS, "bad"))
    pending = await writer.promise("bad")
    with pytest.raises(errors.Unavailable, match="500"):
        await uploads.wait(pending, 1000)
    assert pending.is_aside
    with pytest.raises(errors.Unavailable, match="500"):
        await uploads.wait(pending)


async def test_nothing_is_set_aside_while_no_write_gets_through(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A server that can be read and not written is at fault itself, not each of the paths."""
    pool.answers(messages.Publish, failing(FAILS, "a", "b", "c"))
    for path in "abc":
        await writer.promise(path)
    await trio.sleep(3600)
    assert len(uploads.pending) == 3
    pool.answers(messages.Publish, DONE)
    with trio.fail_after(100):
        assert await uploads.drain(100)
    assert sorted(writer.settled) == ["a", "b", "c"]


async def test_several_bad_ones_are_set_aside_where_others_get_through(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, failing(FAILS, "a", "b"))
    await writer.promise("a")
    await writer.promise("b")
    for _ in range(100):
        await writer.promise("good")
        await trio.sleep(10)
    assert sorted(writer.aside) == ["a", "b"]
    assert writer.settled == ["good"] * 100
    assert uploads.pending == []


@pytest.mark.parametrize(
    "trouble",
    [
        errors.of_disk("full", errno.ENOSPC),
        errors.StoreError("quota", number=errno.EDQUOT),
        errors.Unavailable("no route", origin=errors.Origin.STORE),
        errors.Unavailable("no answer", origin=errors.Origin.WAIT),
        errors.Unavailable("I/O error", origin=errors.Origin.DISK),
    ],
    ids=["disk full", "quota", "away", "silent", "disk"],
)
async def test_what_is_no_fault_of_the_entry_waits_without_end(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    trouble: errors.StoreError,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, failing(trouble, "a"))
    pending = await writer.promise("a")
    for _ in range(60):
        await writer.promise("good")
        await trio.sleep(60)
    assert uploads.pending == [pending]
    pool.answers(messages.Publish, DONE)
    with trio.fail_after(100):
        await pending.done.wait()
    assert "a" in writer.settled


async def test_a_store_that_does_not_list_its_root_is_at_fault_itself(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    """As when credentials are revoked, or a bucket is removed."""
    pool.answers(messages.Look, DENIED)
    pool.answers(messages.Publish, failing(DENIED, "a"))
    pending = await writer.promise("a")
    await trio.sleep(3600)
    assert uploads.pending == [pending]
    assert uploads.set_aside == []


async def test_a_journal_that_cannot_note_it_is_asked_again(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    full = errors.of_disk("full", errno.ENOSPC)
    pool.answers(messages.SetAside, full, messages.Noted())
    pool.answers(messages.Publish, failing(TOO_LONG, "a"))
    pending = await writer.promise("a")
    with trio.fail_after(100):
        await pending.done.wait()
    assert len(pool.asked_for(messages.SetAside)) == 2
    assert uploads.set_aside == [pending]


async def test_it_can_be_retried_and_is_settled_as_at_first(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, failing(TOO_LONG, "a"))
    pending = await writer.promise("a")
    await pending.done.wait()
    pool.answers(messages.Publish, DONE)
    uploads.adopt([pending.entry], lambda entry: pytest.fail("it is known"))
    assert await uploads.drain(10)
    assert writer.settled == ["a"]
    assert uploads.set_aside == []


async def test_what_is_dropped_is_told_once(
    writer: Writer,
    uploads: Uploads,
    pool: ScriptedPool,
    autojump_clock: trio.testing.MockClock,
) -> None:
    pool.answers(messages.Publish, failing(TOO_LONG, "a"))
    pending = await writer.promise("a")
    await pending.done.wait()
    uploads.forget([pending.entry.seq, 99])
    uploads.forget([pending.entry.seq])
    assert writer.dropped == ["a"]
    assert uploads.set_aside == []


async def test_what_a_dead_mount_set_aside_is_known_and_can_be_retried(
    writer: Writer, uploads: Uploads, spec: StoreSpec
) -> None:
    entry = entry_of("old", spec.id, seq=77)
    uploads.know_aside([entry], lambda one: writer.note(f"{one.path} of a dead mount"))
    assert [one.entry for one in uploads.set_aside] == [entry]
    assert uploads.pending == []
    uploads.adopt([entry], lambda one: pytest.fail("it is known"))
    assert await uploads.drain(10)
    assert writer.settled == ["old of a dead mount"]


async def refused(parts: Front, trouble: errors.StoreError = CLASH) -> None:
    """The store refuses the entry that has been under way for longest, until it is set aside."""
    for tries in range(3):
        await parts.pool.publish(trouble)
        if tries < 2:
            await trio.sleep(60)


def dropped(parts: Front) -> None:
    """All that was set aside is given up, and a second goes by."""
    parts.uploads.forget([one.entry.seq for one in parts.uploads.set_aside])
    parts.later()


async def test_what_was_set_aside_is_shown_on_and_the_next_write_starts_where_it_started(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f", token="t7")
        node = await parts.file("f")
        node.pins += 1
        await parts.write(node, b"first")
        await parts.close(node)
        await refused(parts)
        assert [one.entry.path for one in parts.uploads.set_aside] == ["f"]
        assert await parts.read(node) == b"first"
        assert (node.base, node.after) == ("t7", None)
        node.pins, node.write_handles = 1, 1
        await parts.write(node, b"other")
        await parts.close(node)
        second = await parts.pool.publish(published("f", "t9", 5))
        assert (second.write.base, second.write.after) == ("t7", None)
        assert parts.uploads.pending == []
        assert [one.entry.path for one in parts.uploads.set_aside] == ["f"]


async def test_what_is_dropped_shows_what_the_store_has(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with front(tmp_path) as parts:
        node = await parts.written("new", b"data")
        await parts.close(node)
        await refused(parts)
        assert await parts.names() == ["new"]
        dropped(parts)
        assert await parts.names() == []


async def test_a_removal_that_is_dropped_brings_the_name_back(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f")
        await parts.file("f")
        await parts.changes.remove(parts.root, "f", RUN)
        await refused(parts)
        assert await parts.names() == []
        dropped(parts)
        assert await parts.names() == ["f"]


async def test_a_rename_that_is_dropped_shows_the_old_name(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f")
        await parts.file("f")
        await parts.renames.rename(parts.root, "f", parts.root, "g", RUN, replace_target=True)
        await refused(parts)
        assert await parts.names() == ["g"]
        dropped(parts)
        assert await parts.names() == ["f"]
        assert (await parts.file("f")).path == "f"


async def test_a_link_that_is_dropped_is_gone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with front(tmp_path) as parts:
        await parts.changes.make_symlink(parts.root, "l", "to", RUN)
        await refused(parts)
        assert await parts.names() == ["l"]
        dropped(parts)
        assert await parts.names() == []
