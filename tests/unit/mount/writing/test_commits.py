"""From a draft to a version: what the journal is asked at a close, a sync and the end, and what is read meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from pathlib import Path

import pytest
import trio

from tests.support.frontparts import NO_JOURNAL, RUN, front, published
from vstorefs import errors
from vstorefs.model import Operation, Promise, Token
from vstorefs.mount.tree.inodes import FileNode
from vstorefs.mount.writing.draft import Draft, draft_of
from vstorefs.mount.writing.pending import Start, start_of
from vstorefs.workers.messages import Recorded

pytestmark = pytest.mark.trio


class TestWriting:
    async def test_over_what_the_store_has_brings_no_byte_of_it(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await parts.file("f")
            parts.later()
            await parts.commits.write(node, 1, b"xy")
            draft = draft_of(node)
            assert draft is not None
            assert (draft.present, draft.under) == (((1, 3),), node.content)
            assert (node.size, node.mtime_ns) == (5, parts.clock.wall_ns())

    async def test_at_the_end_is_at_the_end_that_there_is_by_then(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            async with trio.open_nursery() as nursery:
                for data in (b"two", b"two"):
                    nursery.start_soon(parts.commits.write, node, None, data)
            assert await parts.read(node) == b"onetwotwo"
            assert node.size == 9

    async def test_goes_on_in_another_draft_while_one_is_on_its_way(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            await parts.commits.commit(node)
            await parts.commits.write(node, None, b"two")
            entry = parts.pool.journal[0]
            assert entry.staged is not None
            assert (entry.staged.size, node.size) == (3, 6)
            assert await parts.read(node) == b"onetwo"

    async def test_is_what_the_time_says_whatever_a_program_had_set(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            node.mtime_ns, node.mtime_set = 7, True
            await parts.commits.write(node, 0, b"two")
            assert (node.mtime_ns, node.mtime_set) == (parts.clock.wall_ns(), False)

    @pytest.mark.parametrize(
        ("size", "left"), [(0, b""), (2, b"da"), (6, b"data\0\0")], ids=["empty", "cut", "longer"]
    )
    async def test_or_cutting_leaves_so_much(self, tmp_path: Path, size: int, left: bytes) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.commits.truncate(node, size)
            assert node.size == size
            assert await parts.read(node) == left

    async def test_after_cutting_all_starts_from_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t7")
            node = await parts.file("f")
            await parts.commits.truncate(node, 0)
            await parts.commits.commit(node)
            entry = parts.pool.journal[0]
            assert entry.staged is not None
            assert (entry.staged.size, entry.staged.base) == (0, None)
            assert entry.write.base == "t7"


class TestAClose:
    async def test_makes_one_version_of_what_was_written(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.close(node)
            entry = parts.pool.journal[0]
            assert (entry.operation, entry.path, entry.promise) == (
                Operation.PUT,
                "f",
                Promise.CLOSED,
            )
            assert entry.staged is not None
            assert (entry.staged.size, entry.staged.present) == (4, ((0, 4),))
            assert (entry.write.size, entry.write.run, entry.write.base) == (4, RUN, None)
            assert (node.base, node.after) == (None, entry.write.write_id)
            assert await parts.names() == ["f"]
            await parts.pool.publish(published("f", "t1", 4))
            assert (node.base, node.after, node.draft) == ("t1", None, None)
            assert node.content is not None
            assert parts.told == [("f", node.content)]

    async def test_of_what_nobody_wrote_to_asks_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await parts.file("f")
            assert await parts.commits.commit(node) is None
            draft = await parts.commits.draft(node)
            assert await parts.commits.commit(node) is None
            assert draft.size == 5
            assert parts.pool.journal == []

    async def test_starts_from_what_was_there(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t7")
            node = await parts.file("f")
            await parts.write(node, b"new")
            await parts.commits.commit(node)
            entry = parts.pool.journal[0]
            assert entry.write.base == "t7"
            assert entry.staged is not None
            assert entry.staged.base is not None
            assert (entry.staged.size, entry.staged.base.token) == (5, "t7")

    async def test_leaves_the_bytes_readable_while_they_are_on_their_way(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            await parts.commits.commit(node)
            assert await parts.read(node) == b"one"
            await parts.write(node, b"two")
            assert await parts.read(node) == b"two"

    async def test_again_comes_after_the_one_on_its_way(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            await parts.commits.commit(node)
            await parts.write(node, b"two")
            await parts.commits.commit(node)
            first, second = parts.pool.journal
            assert (second.write.base, second.write.after) == (None, first.write.write_id)
            await parts.pool.publish(published("f", "t1", 3))
            assert start_of(node) == Start(None, second.write.write_id)
            assert await parts.read(node) == b"two"
            await parts.pool.publish(published("f", "t2", 3))
            assert start_of(node) == Start(Token("t2"), None)

    async def test_that_the_journal_refuses_keeps_what_was_written(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.commits.commit(node)
            assert await parts.names() == ["f"]
            assert await parts.read(node) == b"data"
            parts.pool.refusal = None
            await parts.close(node)
            assert parts.pool.asked == [(Operation.PUT, "f")]
            await parts.pool.publish(published("f", "t1", 4))
            parts.there("f", token="t1")
            parts.clock.now_s += 100
            assert await parts.names() == ["f"]
            assert await parts.file("f") is node

    @pytest.mark.parametrize("is_closed", [True, False], ids=["close", "fsync"])
    async def test_that_the_journal_may_have_leaves_its_staging_file_as_it_is(
        self, tmp_path: Path, is_closed: bool
    ) -> None:
        """The next mount may publish it; what is written since, and sent, is none of it."""
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            first = draft_of(node)
            assert first is not None
            parts.pool.refusal = errors.OutcomeUnknown("6 workers died of it")
            with pytest.raises(errors.OutcomeUnknown):
                await (parts.commits.commit(node) if is_closed else parts.commits.fsync(node))
            parts.pool.refusal = None
            await parts.write(node, b"two")
            await parts.commits.truncate(node, 2)
            assert await parts.read(node) == b"tw"
            await parts.close(node)
            await parts.pool.publish(published("f", "t1", 2))
            (entry,) = parts.pool.journal
            assert entry.staged is not None
            second = first.area.path(entry.staged.name)
            assert second != first.area.path(first.name)
            await until(lambda: not second.exists())
            first.area.discard(first.name)
            assert first.area.path(first.name).read_bytes() == b"one"

    async def test_that_the_journal_may_have_is_kept_where_the_same_is_sent_again(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            first = draft_of(node)
            assert first is not None
            parts.pool.refusal = errors.OutcomeUnknown("6 workers died of it")
            with pytest.raises(errors.OutcomeUnknown):
                await parts.commits.commit(node)
            parts.pool.refusal = None
            await parts.close(node)
            await parts.pool.publish(published("f", "t1", 3))
            assert node.draft is None
            # As the thread does that removes what is not needed any more.
            first.area.discard(first.name)
            assert first.area.path(first.name).read_bytes() == b"one"

    async def test_of_a_file_of_the_store_that_is_refused_can_be_tried_again(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t7")
            node = await parts.file("f")
            await parts.write(node, b"new")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.commits.commit(node)
            assert (node.base, node.after, node.pending) == ("t7", None, 0)
            parts.pool.refusal = None
            await parts.commits.commit(node)
            assert parts.pool.journal[0].write.base == "t7"

    async def test_of_a_scratch_name_is_in_the_journal_and_not_on_its_way(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f.tmp", b"data")
            await parts.close(node)
            entry = parts.pool.journal[0]
            assert (entry.path, entry.promise) == ("f.tmp", Promise.CLOSED)
            assert parts.pool.under_way == []
            assert parts.commits.held_back == 1
            assert await parts.names() == ["f.tmp"]
            assert await parts.read(node) == b"data"

    @pytest.mark.parametrize("name", [".env.sample", ".bashrc.backup", "sediments", "model.tmp"])
    async def test_of_a_scratch_name_is_a_version_when_all_is_wanted(
        self, tmp_path: Path, name: str
    ) -> None:
        async with front(tmp_path) as parts:
            await parts.close(await parts.written(name, b"data"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(parts.commits.drain, 60)
                await until(lambda: bool(parts.pool.under_way))
                held, sent = parts.pool.journal
                assert (sent.path, sent.promise) == (name, Promise.CLOSED)
                assert parts.pool.dropped == [1]
                assert held.write.write_id != sent.write.write_id
                await parts.pool.publish(published(name, "t1", 4))
            assert parts.commits.held_back == 0
            assert (await parts.file(name)).base == "t1"

    async def test_of_a_scratch_file_that_is_renamed_has_only_its_real_name(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            await parts.close(await parts.written("f.tmp", b"data"))
            await parts.renames.rename(
                parts.root, "f.tmp", parts.root, "f", RUN, replace_target=True
            )
            assert parts.commits.held_back == 0
            assert parts.pool.asked == [(Operation.PUT, "f.tmp"), (Operation.PUT, "f")]
            assert parts.pool.dropped == [1]
            await until(lambda: bool(parts.pool.under_way))
            assert [one.entry.path for one in parts.pool.under_way] == ["f"]

    async def test_of_a_scratch_file_that_is_removed_leaves_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await parts.close(await parts.written("f.tmp", b"data"))
            await parts.changes.remove(parts.root, "f.tmp", RUN)
            assert parts.commits.held_back == 0
            assert parts.pool.dropped == [1]
            assert parts.pool.under_way == []

    async def test_joins_what_waits_and_leaves_no_entry_of_its_sync(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await parts.close(await parts.written("f", b"same"))
            await parts.pool.publish(errors.Unavailable("away"))
            node = await parts.file("f")
            node.pins += 1
            node.write_handles += 1
            await parts.commits.truncate(node, 0)
            await parts.write(node, b"same")
            await parts.commits.fsync(node)
            await parts.close(node)
            assert [one.promise for one in parts.pool.journal] == [Promise.CLOSED, Promise.SYNCED]
            assert parts.pool.dropped == [2]

    async def test_of_a_file_that_is_removed_while_the_disk_is_busy_makes_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            draft = await parts.commits.draft(node)
            begun, go_on = trio.Event(), trio.Event()

            async def sync(_: Draft) -> None:
                begun.set()
                await go_on.wait()

            monkeypatch.setattr(Draft, "sync", sync)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(parts.close, node)
                await begun.wait()
                await parts.changes.remove(parts.root, "f", RUN)
                go_on.set()
            assert parts.pool.journal == []
            assert await parts.names() == []
            assert not draft.frozen

    async def test_while_it_is_promised_comes_before_a_removal(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")

            async def remove() -> None:
                await parts.changes.remove(parts.root, "f", RUN)

            async with trio.open_nursery() as nursery:
                parts.pool.before_record = lambda: (
                    nursery.start_soon(remove) if not parts.pool.journal else None
                )
                await parts.commits.commit(node)
            put, removal = parts.pool.journal
            assert (put.operation, removal.operation) == (Operation.PUT, Operation.REMOVE)
            assert removal.write.after == put.write.write_id


class TestWhatWasSynced:
    @pytest.mark.parametrize("change", ["cut", "overwrite"])
    async def test_stays_as_the_journal_names_it(self, tmp_path: Path, change: str) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"synced data")
            await parts.commits.fsync(node)
            staged = parts.pool.journal[0].staged
            assert staged is not None
            if change == "cut":
                await parts.commits.truncate(node, 3)
            else:
                await parts.commits.write(node, 1, b"YNC")
            file = tmp_path / "staging" / staged.name
            assert (file.read_bytes(), staged.size) == (b"synced data", 11)
            assert await parts.read(node) == (b"syn" if change == "cut" else b"sYNCed data")
            await parts.commits.fsync(node)
            assert parts.pool.dropped == [1]
            await until(lambda: not file.exists())

    async def test_is_appended_to_in_place(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"synced")
            await parts.commits.fsync(node)
            draft = await parts.commits.draft(node)
            await parts.commits.write(node, None, b" and more")
            assert await parts.commits.draft(node) is draft
            assert await parts.read(node) == b"synced and more"

    async def test_goes_when_the_file_is_closed(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"synced")
            await parts.commits.fsync(node)
            staged = parts.pool.journal[0].staged
            assert staged is not None
            await parts.commits.truncate(node, 2)
            await parts.close(node)
            assert parts.pool.dropped == [1]
            closed = parts.pool.journal[1].staged
            assert closed is not None
            assert closed.size == 2
            synced = tmp_path / "staging" / staged.name
            await until(lambda: not synced.exists())
            assert (tmp_path / "staging" / closed.name).read_bytes() == b"sy"


async def until(condition: Callable[[], bool]) -> None:
    """What threads do ends when it does."""
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.01)


async def test_a_file_that_is_unlinked_while_it_is_closed_is_not_promised_after_that(
    tmp_path: Path,
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f", token="t7")
        node = await parts.file("f")
        node.pins += 1
        node.write_handles += 1
        await parts.write(node, b"data")

        async def close() -> None:
            parts.pool.before_record = lambda: None
            await parts.close(node)

        async with trio.open_nursery() as nursery:
            parts.pool.before_record = lambda: nursery.start_soon(close)
            await parts.changes.remove(parts.root, "f", RUN)
        assert parts.pool.asked == [(Operation.REMOVE, "f")]
        assert await parts.names() == []


@pytest.mark.parametrize("is_refused", [False, True])
async def test_a_synced_file_that_is_closed_while_the_journal_drops_it_for_an_unlink(
    tmp_path: Path, is_refused: bool
) -> None:
    """It is no version after that; where the journal refuses to drop it, it has its name, and is one."""
    async with front(tmp_path) as parts:
        node = await parts.written("f", b"data")
        await parts.commits.fsync(node)

        async def drop(request: object, **_: object) -> Recorded:
            parts.pool.ask = ask  # type: ignore[method-assign]
            await parts.close(node)
            if is_refused:
                raise NO_JOURNAL
            parts.pool.dropped += getattr(request, "drop", ())
            return Recorded(())

        ask, parts.pool.ask = parts.pool.ask, drop  # type: ignore[method-assign]
        with pytest.raises(errors.Unavailable) if is_refused else nullcontext():
            await parts.changes.remove(parts.root, "f", RUN)
        puts = [(one.operation, one.promise) for one in parts.pool.journal[1:]]
        assert puts == ([(Operation.PUT, Promise.CLOSED)] if is_refused else [])
        assert parts.pool.dropped == [1]
        assert await parts.names() == (["f"] if is_refused else [])


async def test_a_file_that_is_closed_while_its_unlink_is_refused_is_promised(
    tmp_path: Path,
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f", token="t7")
        node = await parts.file("f")
        node.pins += 1
        node.write_handles += 1
        await parts.write(node, b"data")
        gate, closed = trio.Event(), trio.Event()
        ask = parts.pool.ask

        async def close() -> None:
            await parts.close(node)
            closed.set()

        async def refuse(request: object, **more: object) -> object:
            parts.pool.ask = ask  # type: ignore[method-assign]
            await gate.wait()
            raise NO_JOURNAL

        parts.pool.ask = refuse  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(close_when_it_has_no_name, node, close)
            nursery.start_soon(open_when, gate, closed)
            with pytest.raises(errors.Unavailable):
                await parts.changes.remove(parts.root, "f", RUN)
        assert parts.pool.asked == [(Operation.PUT, "f")]
        assert await parts.file("f") is node


async def test_a_close_that_has_returned_is_kept_however_often_the_journal_refuses(
    tmp_path: Path,
) -> None:
    """The file was closed while its unlink was on its way; both are refused, and nobody is left to be told."""
    async with front(tmp_path) as parts:
        parts.there("f", token="t7")
        node = await parts.file("f")
        node.pins += 1
        node.write_handles += 1
        await parts.write(node, b"data")
        ask = parts.pool.ask

        async def refuse(request: object, **more: object) -> object:
            parts.pool.ask = ask  # type: ignore[method-assign]
            await parts.close(node)
            raise NO_JOURNAL

        parts.pool.ask = refuse  # type: ignore[method-assign]
        parts.pool.refusal = NO_JOURNAL
        with pytest.raises(errors.Unavailable):
            await parts.changes.remove(parts.root, "f", RUN)
        await parts.commits.drain(0)
        assert parts.pool.journal == []
        assert parts.commits.held_back == 1
        parts.pool.refusal = None
        await parts.commits.drain(0)
        assert parts.pool.asked == [(Operation.PUT, "f")]
        assert parts.commits.held_back == 0


async def close_when_it_has_no_name(node: FileNode, close: Callable[[], Awaitable[None]]) -> None:
    while not node.removed:
        await trio.lowlevel.checkpoint()
    await close()


async def open_when(gate: trio.Event, closed: trio.Event) -> None:
    await closed.wait()
    gate.set()


async def test_a_reader_who_goes_while_a_file_is_cut_by_its_path_leaves_that_alone(
    tmp_path: Path,
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f")
        node = await parts.file("f")
        draft = await parts.commits.draft(node)
        async with draft.lock:
            await parts.commits.finish(node)
            assert draft_of(node) is draft
            await draft.truncate(2)
        await parts.commits.commit(node)
        assert parts.pool.asked == [(Operation.PUT, "f")]


@pytest.mark.parametrize("promise", ["fsync", "commit"])
async def test_a_promise_that_waited_for_a_writer_is_of_what_there_is_by_then(
    tmp_path: Path, promise: str
) -> None:
    """A write to what an fsync has promised goes on in a draft of its own."""
    async with front(tmp_path) as parts:
        node = await parts.written("f", b"one")
        await parts.commits.fsync(node)
        draft = draft_of(node)
        assert draft is not None
        async with trio.open_nursery() as nursery, draft.lock:
            nursery.start_soon(parts.write, node, b"two")
            await parts.settle()
            nursery.start_soon(getattr(parts.commits, promise), node)
            await parts.settle()
        staged = parts.pool.journal[-1].staged
        assert len(parts.pool.journal) == 2
        assert staged is not None
        assert (tmp_path / "staging" / staged.name).read_bytes() == b"two"


class TestACloseInThroughMode:
    async def test_through_to_the_store_waits_for_it(self, tmp_path: Path) -> None:
        async with front(tmp_path, through=True) as parts:
            node = await parts.written("f", b"data")
            closed = trio.Event()

            async def close() -> None:
                await parts.close(node)
                closed.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(close)
                while not parts.pool.under_way:
                    await trio.lowlevel.checkpoint()
                assert not closed.is_set()
                await parts.pool.publish(published("f", "t1", 4))
                await closed.wait()
            assert node.base == "t1"

    async def test_through_to_the_store_fails_with_what_it_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path, through=True) as parts:
            node = await parts.written("f", b"data")

            async def refuse() -> None:
                while not parts.pool.under_way:
                    await trio.lowlevel.checkpoint()
                await parts.pool.publish(errors.Denied("you may not"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(refuse)
                with pytest.raises(errors.Denied):
                    await parts.commits.commit_and_wait(node)
            assert await parts.read(node) == b"data"

    async def test_again_with_equal_content_joins_the_one_that_waits(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            first = await parts.commits.commit(node)
            await parts.pool.publish(errors.Denied("you may not"))
            await parts.write(node, b"data")
            assert await parts.commits.commit(node) is first
            assert parts.pool.asked == [(Operation.PUT, "f")]
            await parts.write(node, b"more")
            assert await parts.commits.commit(node) is not first
            assert parts.pool.asked == [(Operation.PUT, "f")] * 2


class TestASync:
    async def test_promises_no_version(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.commits.fsync(node)
            assert [one.promise for one in parts.pool.journal] == [Promise.SYNCED]
            await parts.settle()
            assert parts.pool.under_way == []

    async def test_is_replaced_by_the_next_and_by_the_close(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            await parts.commits.fsync(node)
            await parts.write(node, b"two")
            await parts.commits.fsync(node)
            assert parts.pool.dropped == [1]
            await parts.close(node)
            assert parts.pool.dropped == [1, 2]
            assert [one.promise for one in parts.pool.journal] == [
                Promise.SYNCED,
                Promise.SYNCED,
                Promise.CLOSED,
            ]

    async def test_is_given_up_once_only(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"one")
            await parts.commits.fsync(node)
            await parts.commits.commit(node)
            await parts.changes.remove(parts.root, "f", RUN)
            assert parts.pool.dropped == [1]

    async def test_promises_a_scratch_file_as_any_other(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await parts.commits.fsync(await parts.written("f.tmp", b"data"))
            entry = parts.pool.journal[0]
            assert (entry.path, entry.promise) == ("f.tmp", Promise.SYNCED)

    async def test_again_of_the_same_asks_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.commits.fsync(node)
            await parts.commits.fsync(node)
            assert len(parts.pool.journal) == 1

    @pytest.mark.parametrize("change", ["removed", "renamed"])
    async def test_while_its_name_changes_promises_nothing_under_the_old_one(
        self, tmp_path: Path, change: str
    ) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")

            async def other() -> None:
                if change == "removed":
                    await parts.changes.remove(parts.root, "f", RUN)
                else:
                    await parts.renames.rename(
                        parts.root, "f", parts.root, "g", RUN, replace_target=True
                    )

            async with trio.open_nursery() as nursery:

                def once() -> None:
                    parts.pool.before_record = lambda: None
                    nursery.start_soon(other)

                parts.pool.before_record = once
                await parts.commits.fsync(node)
            left = [
                one.path
                for number, one in enumerate(parts.pool.journal, 1)
                if number not in parts.pool.dropped
            ]
            assert left == ([] if change == "removed" else ["g"])

    async def test_of_a_removed_file_asks_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("g", b"data")
            await parts.changes.remove(parts.root, "g", RUN)
            await parts.commits.fsync(node)
            assert parts.pool.journal == []


class TestTheLastHandle:
    async def test_sends_what_is_still_dirty(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            node.pins, node.write_handles = 0, 0
            await parts.commits.finish(node)
            assert parts.pool.asked == [(Operation.PUT, "f")]

    async def test_says_what_cannot_be_sent(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            node.pins, node.write_handles = 0, 0
            parts.pool.refusal = NO_JOURNAL
            await parts.commits.finish(node)
            assert "f" in caplog.text
            assert NO_JOURNAL.message in caplog.text
            assert await parts.read(node) == b"data"

    async def test_does_not_send_what_its_program_was_refused(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t7")
            node = await parts.file("f")
            await parts.write(node, b"new")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.commits.commit(node)
            parts.pool.refusal = None
            node.pins, node.write_handles = 0, 0
            await parts.commits.finish(node)
            assert parts.pool.journal == []
            assert "f: not uploaded, as its close failed" in caplog.text
            # Who writes on closes for himself.
            await parts.write(node, b"newer")
            await parts.commits.finish(node)
            assert parts.pool.asked == [(Operation.PUT, "f")]

    async def test_clears_away_what_nobody_can_reach(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.changes.remove(parts.root, "f", RUN)
            assert draft_of(node) is not None
            node.pins, node.write_handles = 0, 0
            await parts.commits.finish(node)
            assert node.draft is None
            assert parts.pool.journal == []
