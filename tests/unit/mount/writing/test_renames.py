"""Renames: which names show, what the journal is asked, what the content at the new name starts from."""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import pyfuse3
import pytest
import trio

from tests.support.frontparts import NO_JOURNAL, RUN, Front, front, published
from vstorefs import errors
from vstorefs.model import Capabilities, EntryKind, Key, Operation, Promise, Token
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, SymlinkNode
from vstorefs.mount.writing.draft import draft_of
from vstorefs.mount.writing.pending import Start, start_of
from vstorefs.versions.moved import moved_write
from vstorefs.workers.messages import Published

pytestmark = pytest.mark.trio


def refused(number: int) -> pytest.RaisesExc[pyfuse3.FUSEError]:
    return pytest.RaisesExc(pyfuse3.FUSEError, check=lambda error: error.errno == number)


async def until(condition: Callable[[], bool]) -> None:
    """What threads do ends when it does."""
    with trio.fail_after(60):
        while not condition():
            await trio.sleep(0.01)


async def rename(
    parts: Front,
    name: str,
    new_name: str,
    target: DirectoryNode | None = None,
    *,
    replace_target: bool = True,
) -> None:
    await parts.renames.rename(
        parts.root, name, target or parts.root, new_name, RUN, replace_target=replace_target
    )


class TestADirectoryWithLongPaths:
    async def test_is_not_renamed_where_what_it_holds_has_no_place(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            folder = await parts.changes.make_directory(parts.root, "d", 0o755, RUN)
            inner = await parts.changes.make_directory(folder, "in", 0o755, RUN)
            await parts.changes.create(inner, "name", 0o644, RUN)
            parts.root.remote.capabilities = Capabilities(
                writable=True, path_bytes=len("dd/in/nam")
            )
            journal = list(parts.pool.journal)
            with refused(errno.ENAMETOOLONG):
                await rename(parts, "d", "dd")
            assert await parts.names() == ["d"]
            assert parts.pool.journal == journal

    async def test_is_not_renamed_where_its_store_knows_of_what_has_no_place(
        self, tmp_path: Path
    ) -> None:
        """Nothing was promised, so nothing of it happens later."""
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            parts.root.remote.capabilities = Capabilities(writable=True, path_bytes=100)
            parts.pool.no_room = errors.NotSupported("too long", number=errno.ENAMETOOLONG)
            with pytest.raises(errors.NotSupported):
                await rename(parts, "d", "dd")
            assert await parts.names() == ["d"]
            assert parts.pool.journal == []

    async def test_is_renamed_where_its_store_does_not_say(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            parts.root.remote.capabilities = Capabilities(writable=True, path_bytes=100)
            parts.pool.no_room = errors.Denied("not for you")
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rename, parts, "d", "dd")
                await parts.settle()
                await parts.pool.publish(Published())
            assert parts.pool.asked == [(Operation.RENAME, "d")]


class TestAFileOfTheStore:
    async def test_has_its_new_name_at_once_and_stays_the_same_node(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.file("a")
            await rename(parts, "a", "b")
            assert await parts.names() == ["b"]
            assert await parts.file("b") is node
            assert await parts.node("a") is None
            entry = parts.pool.journal[0]
            assert (entry.operation, entry.path, entry.target) == (Operation.RENAME, "a", "b")
            assert entry.source is not None
            assert (entry.source.key, entry.source.token) == ("a", "t1")
            assert entry.removal is not None
            assert (entry.write.base, entry.removal.base) == (None, "t1")
            assert (node.base, node.after) == (None, entry.write.write_id)

    async def test_has_the_version_that_the_store_made(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.file("a")
            await rename(parts, "a", "b")
            await parts.pool.publish(published("b", "t2", 5))
            assert (node.base, node.after, node.busy) == ("t2", None, False)
            assert node.content is not None
            assert (node.content.key, node.content.token) == ("b", "t2")
            del parts.pool.listed["a"]
            parts.there("b", token="t2")
            parts.clock.now_s += 100
            assert await parts.names() == ["b"]
            assert await parts.file("b") is node

    async def test_starts_from_what_it_replaces(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            parts.there("b", token="t8")
            await parts.file("a")
            other = await parts.file("b")
            await rename(parts, "a", "b")
            assert await parts.names() == ["b"]
            assert other.removed
            assert parts.pool.journal[0].write.base == "t8"

    async def test_whose_content_is_on_its_way_comes_after_that(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await parts.close(await parts.written("a", b"data"))
            await rename(parts, "a", "b")
            put, moved = parts.pool.journal
            assert moved.removal is not None
            assert (moved.removal.base, moved.removal.after) == (None, put.write.write_id)
            assert moved.source is not None
            assert moved.source.token == ""
            node = await parts.file("b")
            await parts.pool.publish(published("a", "t1", 4))
            assert start_of(node) == Start(None, moved.write.write_id)
            await parts.pool.publish(published("b", "t2", 4))
            assert start_of(node) == Start(Token("t2"), None)

    async def test_that_is_being_written_is_written_on_from_the_moved_one(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.file("a")
            await parts.write(node, b"new")
            await rename(parts, "a", "b")
            await parts.commits.commit(node)
            moved, put = parts.pool.journal
            assert (put.path, put.write.base, put.write.after) == ("b", None, moved.write.write_id)

    async def test_has_its_old_name_again_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("a")
            await parts.file("a")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await rename(parts, "a", "b")
            parts.later()
            assert await parts.names() == ["a"]
            assert (await parts.file("a")).base == "t0"

    async def test_is_not_moved_over_what_must_stay(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            for path, kind in (
                ("a", EntryKind.FILE),
                ("b", EntryKind.FILE),
                ("d", EntryKind.DIRECTORY),
            ):
                parts.there(path, kind)
            with refused(errno.EEXIST):
                await rename(parts, "a", "b", replace_target=False)
            with refused(errno.EISDIR):
                await rename(parts, "a", "d")
            with refused(errno.ENOTDIR):
                await rename(parts, "d", "a")
            with refused(errno.ENOENT):
                await rename(parts, "none", "a")
            assert await parts.names() == ["a", "b", "d"]
            assert parts.pool.journal == []

    async def test_that_is_a_link_at_the_new_name_replaces_it_in_two_steps(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            parts.there("l", EntryKind.SYMLINK, token="t5")
            await parts.file("a")
            await parts.node("l")
            await rename(parts, "a", "l")
            assert parts.pool.asked == [(Operation.REMOVE, "l"), (Operation.RENAME, "a")]
            assert parts.pool.journal[0].write.base == "t5"
            assert parts.pool.journal[1].write.base is None
            assert isinstance(await parts.node("l"), FileNode)


class TestAFileThatNoStoreHas:
    async def test_only_changes_its_name_while_it_is_open(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("a.tmp", b"data")
            await rename(parts, "a.tmp", "b")
            assert await parts.names() == ["b"]
            assert parts.pool.journal == []
            await parts.close(node)
            assert parts.pool.asked == [(Operation.PUT, "b")]

    async def test_becomes_a_version_under_its_real_name(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("b", token="t8")
            await parts.file("b")
            node = await parts.written("b.tmp", b"data")
            await parts.close(node)
            assert [one.entry.path for one in parts.pool.under_way] == []
            await rename(parts, "b.tmp", "b")
            assert await parts.names() == ["b"]
            assert parts.pool.asked == [(Operation.PUT, "b.tmp"), (Operation.PUT, "b")]
            assert parts.pool.dropped == [1]
            assert parts.pool.journal[1].write.base == "t8"
            assert node.after == parts.pool.journal[1].write.write_id

    async def test_keeps_under_its_new_name_what_an_fsync_promised(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("a", b"data")
            await parts.commits.fsync(node)
            await rename(parts, "a", "b")
            assert parts.pool.dropped == [1]
            assert [(one.path, one.promise) for one in parts.pool.journal] == [
                ("a", Promise.SYNCED),
                ("b", Promise.SYNCED),
            ]

    async def test_that_goes_on_to_another_name_removes_what_it_had_replaced(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            parts.there("b", token="t2")
            await parts.names()
            node = await parts.written("new", b"data")
            await rename(parts, "new", "a")
            await rename(parts, "a", "b")
            assert parts.pool.asked == [(Operation.REMOVE, "a")]
            assert parts.pool.journal[0].write.base == "t1"
            await rename(parts, "b", "c")
            assert parts.pool.asked == [(Operation.REMOVE, "a"), (Operation.REMOVE, "b")]
            assert parts.pool.journal[1].write.base == "t2"
            await parts.close(node)
            assert parts.pool.journal[2].write.base is None
            assert await parts.names() == ["c"]

    async def test_that_cannot_go_on_to_another_name_stays(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.written("new", b"data")
            await rename(parts, "new", "a")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await rename(parts, "a", "b")
            assert await parts.names() == ["a"]
            assert await parts.file("a") is node
            parts.pool.refusal = None
            await parts.close(node)
            entry = parts.pool.journal[0]
            assert (entry.operation, entry.path, entry.write.base) == (Operation.PUT, "a", "t1")

    @pytest.mark.parametrize("is_open", [False, True])
    async def test_ends_with_its_promise_what_the_journal_has_of_the_one_that_it_replaces(
        self, tmp_path: Path, is_open: bool
    ) -> None:
        """Else the next mount publishes that over it."""
        async with front(tmp_path) as parts:
            await self.held_back(parts, is_open=is_open)
            node = await parts.written("a", b"new")
            await rename(parts, "a", "b.tmp")
            assert parts.pool.dropped == []
            await parts.commits.fsync(node)
            assert parts.pool.dropped == [1]
            await parts.close(node)
            assert parts.pool.dropped == [1, 2]

    async def test_takes_along_nothing_of_what_it_had_replaced_elsewhere(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            await self.held_back(parts)
            await parts.written("a", b"new")
            await rename(parts, "a", "b.tmp")
            await rename(parts, "b.tmp", "c")
            assert parts.pool.dropped == [1]
            await parts.changes.remove(parts.root, "c", RUN)
            assert parts.pool.dropped == [1]

    async def test_that_is_removed_takes_along_what_it_had_replaced(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await self.held_back(parts)
            await parts.written("a", b"new")
            await rename(parts, "a", "b.tmp")
            await parts.changes.remove(parts.root, "b.tmp", RUN)
            assert parts.pool.dropped == [1]
            assert await parts.names() == []
            await parts.settle()
            await until(lambda: len(list((tmp_path / "staging" / "session").iterdir())) == 1)

    async def test_that_does_not_get_the_name_leaves_it_to_the_other(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            other = await self.held_back(parts)
            node = await parts.written("a", b"new")
            await parts.commits.fsync(node)
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await rename(parts, "a", "b.tmp")
            parts.pool.refusal = None
            await parts.commits.fsync(node)
            assert parts.pool.dropped == []
            await rename(parts, "b.tmp", "b")
            assert parts.pool.asked[-1] == (Operation.PUT, "b")
            assert parts.pool.dropped == [1]
            assert other.name == "b"

    @staticmethod
    async def held_back(parts: Front, *, is_open: bool = False) -> FileNode:
        """A scratch file that is in the journal only."""
        other = await parts.written("b.tmp", b"old")
        if is_open:
            await parts.commits.fsync(other)
        else:
            await parts.close(other)
        assert parts.pool.asked == [(Operation.PUT, "b.tmp")]
        return other

    async def test_gives_what_is_read_as_before(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("a", b"data")
            await rename(parts, "a", "b")
            assert await parts.file("b") is node
            assert draft_of(node) is not None
            assert await parts.read(node) == b"data"


class TestALink:
    async def test_is_made_again(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("l", EntryKind.SYMLINK, token="t5")
            node = await parts.node("l")
            await rename(parts, "l", "m")
            assert await parts.names() == ["m"]
            assert await parts.node("m") is node
            entry = parts.pool.journal[0]
            assert (entry.target, entry.link, entry.source) == ("m", "to", None)
            assert entry.removal is not None
            assert entry.removal.base == "t5"
            assert (node.token, node.after) == ("", entry.write.write_id)
            await parts.pool.publish(published("m", "t6"))
            assert (node.token, node.after, node.busy) == ("t6", None, False)

    async def test_has_its_old_name_again_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("l", EntryKind.SYMLINK, token="t5")
            await parts.node("l")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await rename(parts, "l", "m")
            parts.later()
            assert await parts.names() == ["l"]
            assert (await parts.node("l")).token == "t5"
            assert await parts.node("m") is None


class TestAFolder:
    async def test_waits_for_the_store_and_is_listed_anew(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            parts.there("d/f")
            folder = await parts.folder("d")
            assert await parts.names(folder) == ["f"]
            done = trio.Event()

            async def move() -> None:
                await rename(parts, "d", "e")
                done.set()

            async with trio.open_nursery() as nursery:
                nursery.start_soon(move)
                await parts.settle()
                assert not done.is_set()
                assert await parts.names() == ["e"]
                assert await parts.folder("e") is folder
                entry = parts.pool.journal[0]
                assert (entry.path, entry.target, entry.source) == ("d", "e", None)
                parts.pool.listed = {}
                parts.there("e", EntryKind.DIRECTORY)
                parts.there("e/g")
                parts.later()
                await parts.pool.publish(Published())
                assert done.is_set()
            assert await parts.names(folder) == ["g"]

    async def test_that_its_store_does_not_get_in_time_has_happened_all_the_same(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """The journal has it, and it is carried out when the store is back."""
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            await parts.folder("d")
            began = trio.current_time()
            await rename(parts, "d", "e")
            assert trio.current_time() == began + 60
            assert await parts.names() == ["e"]
            assert [(one.path, one.target) for one in parts.pool.journal] == [("d", "e")]
            await parts.pool.publish(Published())
            assert parts.uploads.pending == []

    async def test_leaves_what_is_written_in_it_to_start_from_the_moved_one(
        self, tmp_path: Path, autojump_clock: trio.testing.MockClock
    ) -> None:
        """Else it seems to be made from an older head, and is kept beside the present one where it comes late."""
        async with front(tmp_path) as parts:
            folder, node, link = await self.with_things_in_it(parts)
            node.write_handles += 1
            await parts.write(node, b"data")
            new = await parts.changes.create(folder, "g", 0o644, RUN)
            new.write_handles += 1
            await rename(parts, "d", "e")
            await parts.commits.commit(node)
            await parts.commits.commit(new)
            await parts.changes.remove(folder, "l", RUN)
            move = parts.pool.journal[0].write.write_id
            starts = [(one.path, one.write.after) for one in parts.pool.journal[1:]]
            assert starts == [
                ("e/f", moved_write(move, Key("d/f"))),
                ("e/g", None),
                ("e/l", moved_write(move, Key("d/l"))),
            ]
            assert parts.pool.journal[1].write.base is None
            assert link.removed

    async def test_that_stays_leaves_what_is_in_it_to_start_from_what_it_was(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            folder, node, link = await self.with_things_in_it(parts)
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await rename(parts, "d", "e")
            assert start_of(node) == Start(Token("t1"), None)
            assert (link.token, link.after) == ("t2", None)
            assert folder.path == "d"

    @staticmethod
    async def with_things_in_it(parts: Front) -> tuple[DirectoryNode, FileNode, SymlinkNode]:
        """A directory with a file and a link that the store has."""
        parts.there("d", EntryKind.DIRECTORY)
        parts.there("d/f", token="t1")
        parts.there("d/l", EntryKind.SYMLINK, token="t2")
        folder = await parts.folder("d")
        node, link = await parts.node("f", folder), await parts.node("l", folder)
        assert isinstance(node, FileNode)
        assert isinstance(link, SymlinkNode)
        return folder, node, link

    @pytest.mark.parametrize(
        "refusal", [errors.Denied("not for you"), errors.Corrupt("a damaged record")]
    )
    async def test_that_its_store_refuses_is_no_error_for_the_journal_has_it(
        self, tmp_path: Path, refusal: errors.StoreError
    ) -> None:
        """An error means that it never happens; this is tried again, and may."""
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rename, parts, "d", "e")
                await parts.settle()
                await parts.pool.publish(refusal)
            assert await parts.names() == ["e"]
            assert [one.error for one in parts.uploads.pending] == [str(refusal)]

    async def test_is_not_moved_into_itself(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            parts.there("d/e", EntryKind.DIRECTORY)
            below = await parts.node("e", await parts.folder("d"))
            with refused(errno.EINVAL):
                await rename(parts, "d", "x", below)
            assert parts.pool.journal == []

    async def test_replaces_an_empty_one_only(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            for path in ("d", "e", "e/f"):
                parts.there(path, EntryKind.DIRECTORY)
            with refused(errno.ENOTEMPTY):
                await rename(parts, "d", "e")
            assert await parts.names() == ["d", "e"]

    async def test_has_its_old_name_again_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            await parts.folder("d")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await rename(parts, "d", "e")
            parts.later()
            assert await parts.names() == ["d"]


class TestARefusedRename:
    """The journal takes nothing: nothing has moved, and who has a file open goes on under its name."""

    async def refuse(self, parts: Front, name: str, new_name: str) -> None:
        parts.pool.refusal = NO_JOURNAL
        with pytest.raises(errors.Unavailable):
            await rename(parts, name, new_name)
        parts.pool.refusal = None
        parts.later()

    async def test_leaves_an_open_target_where_it_is_with_what_was_written(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.file("a")
            other = await parts.written("b", b"other")
            await parts.commits.fsync(other)
            await self.refuse(parts, "a", "b")
            assert await parts.names() == ["a", "b"]
            assert (await parts.file("a"), await parts.file("b")) == (node, other)
            assert (node.path, node.base, node.after, node.pending) == ("a", "t1", None, 0)
            assert (other.path, other.removed) == ("b", False)
            assert parts.pool.dropped == []
            await parts.close(other)
            assert parts.pool.asked == [(Operation.PUT, "b"), (Operation.PUT, "b")]
            assert parts.pool.dropped == [1]

    async def test_publishes_a_target_that_was_closed_meanwhile(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            await parts.file("a")
            other = await parts.written("b", b"other")

            def close() -> None:
                other.pins -= 1
                other.write_handles -= 1
                parts.pool.before_record = lambda: setattr(parts.pool, "refusal", None)

            parts.pool.before_record = close
            await self.refuse(parts, "a", "b")
            assert parts.pool.asked == [(Operation.PUT, "b")]

    async def test_leaves_content_that_no_store_has_under_its_name(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("b", token="t8")
            node = await parts.written("a.tmp", b"mine")
            await parts.close(node)
            other = await parts.file("b")
            await self.refuse(parts, "a.tmp", "b")
            assert await parts.names() == ["a.tmp", "b"]
            assert (node.path, node.removed, other.removed) == ("a.tmp", False, False)
            assert await parts.file("b") is other
            draft = draft_of(node)
            assert draft is not None
            assert (draft.base, draft.after) == (None, None)
            await rename(parts, "a.tmp", "c")
            assert parts.pool.asked[-1] == (Operation.PUT, "c")
            assert await parts.names() == ["b", "c"]

    async def test_leaves_open_files_of_a_folder_below_it(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            folder = await parts.folder("d")
            node = await parts.changes.create(folder, "f", 0o644, RUN)
            node.pins, node.write_handles = 1, 1
            await parts.write(node, b"data")
            await self.refuse(parts, "d", "e")
            assert await parts.names() == ["d"]
            assert (folder.path, node.path) == ("d", "d/f")
            await parts.close(node)
            assert parts.pool.asked == [(Operation.PUT, "d/f")]

    async def test_of_a_link_leaves_a_file_that_no_store_has(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("l", EntryKind.SYMLINK, token="t3")
            node = await parts.written("f", b"data")
            await self.refuse(parts, "l", "f")
            assert await parts.names() == ["f", "l"]
            assert await parts.file("f") is node
            await rename(parts, "l", "f")
            assert await parts.names() == ["f"]
            assert parts.pool.asked == [(Operation.RENAME, "l")]
            await parts.close(node)
            assert parts.pool.asked == [(Operation.RENAME, "l")]

    async def test_leaves_a_link_as_it_was(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("l", EntryKind.SYMLINK, token="t3")
            node = await parts.node("l")
            await self.refuse(parts, "l", "m")
            assert await parts.names() == ["l"]
            assert await parts.node("l") is node
            assert (node.token, node.after, node.pending, node.removed) == ("t3", None, 0, False)


class TestARenameThatIsUndecided:
    """The journal was asked, and has not answered: who promises content waits for that, and then for his own answer."""

    @pytest.fixture(params=["close", "fsync"])
    def promise(self, request: pytest.FixtureRequest) -> str:
        """How the content is promised."""
        name: str = request.param
        return name

    @staticmethod
    async def refuse_once(
        parts: Front, node: FileNode, promise: str, rename: Callable[[], Awaitable[None]]
    ) -> None:
        """A rename is refused while a file is closed or synced; what the journal is asked after that, it takes."""
        ask, asked, answers = parts.pool.ask, trio.Event(), trio.Event()

        async def hold(request: object, **more: object) -> object:
            parts.pool.ask = ask  # type: ignore[method-assign]
            asked.set()
            await answers.wait()
            raise NO_JOURNAL

        async def refused_rename() -> None:
            with pytest.raises(errors.Unavailable):
                await rename()

        act = {"close": parts.commits.commit, "fsync": parts.commits.fsync}[promise]
        parts.pool.ask = hold  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(refused_rename)
            await asked.wait()
            nursery.start_soon(act, node)
            await parts.settle()
            await until_no_thread_is_busy()
            assert parts.pool.asked == []
            answers.set()

    async def test_leaves_what_it_moves_to_be_promised_under_its_name(
        self, tmp_path: Path, promise: str
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.file("a")
            node.write_handles += 1
            await parts.write(node, b"data")
            await self.refuse_once(parts, node, promise, partial(rename, parts, "a", "b"))
            assert parts.pool.asked == [(Operation.PUT, "a")]
            assert parts.pool.journal[0].write.base == "t1"

    async def test_leaves_what_is_in_a_directory_to_be_promised_there(
        self, tmp_path: Path, promise: str
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            folder = await parts.folder("d")
            node = await parts.changes.create(folder, "f", 0o644, RUN)
            node.write_handles += 1
            await parts.write(node, b"data")
            await self.refuse_once(parts, node, promise, partial(rename, parts, "d", "e"))
            assert parts.pool.asked == [(Operation.PUT, "d/f")]

    async def test_leaves_what_it_replaces_to_be_promised(
        self, tmp_path: Path, promise: str
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.written("b.tmp", b"data")
            await self.refuse_once(parts, node, promise, partial(rename, parts, "a", "b.tmp"))
            assert parts.pool.asked == [(Operation.PUT, "b.tmp")]

    async def test_does_not_hide_that_the_journal_refuses_what_it_would_have_replaced(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("a", token="t1")
            node = await parts.written("b", b"data")
            parts.pool.refusal = NO_JOURNAL

            async def close() -> None:
                with pytest.raises(errors.Unavailable):
                    await parts.commits.commit(node)

            async with trio.open_nursery() as nursery:
                parts.pool.before_record = lambda: nursery.start_soon(close)
                with pytest.raises(errors.Unavailable):
                    await rename(parts, "a", "b")
                parts.pool.before_record = lambda: None
            assert await parts.file("b") is node


async def until_no_thread_is_busy() -> None:
    """What the disk was asked for has been done."""
    limiter = trio.to_thread.current_default_thread_limiter()
    await until(lambda: limiter.borrowed_tokens == 0)
    await trio.testing.wait_all_tasks_blocked()
