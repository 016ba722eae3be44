"""Changes of names and attributes: what a program sees, what the journal is asked, what a refusal leaves."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

import pyfuse3
import pytest

from tests.support.frontparts import NO_JOURNAL, RUN, Front, front, published, version
from vstorefs import errors
from vstorefs.model import Capabilities, EntryKind, Operation, Token
from vstorefs.mount.tree.inodes import FileNode
from vstorefs.mount.writing.changes import NewAttributes
from vstorefs.mount.writing.draft import draft_of
from vstorefs.mount.writing.pending import Start, start_of
from vstorefs.workers.messages import Published

pytestmark = pytest.mark.trio


def refused(number: int) -> pytest.RaisesExc[pyfuse3.FUSEError]:
    return pytest.RaisesExc(pyfuse3.FUSEError, check=lambda error: error.errno == number)


class TestACreatedFile:
    async def test_shows_at_once_and_the_journal_hears_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.changes.create(parts.root, "f", 0o640, RUN)
            assert await parts.names() == ["f"]
            assert (node.mode, node.size, node.run) == (0o640, 0, RUN)
            assert (node.base, node.after) == (None, None)
            assert parts.pool.journal == []

    @pytest.mark.parametrize(
        ("name", "number"),
        [
            ("there", errno.EEXIST),
            ("n" * 256, errno.ENAMETOOLONG),
            ("\udc80", errno.EILSEQ),
            (".versions", errno.EPERM),
        ],
    )
    async def test_needs_a_name_that_can_be(self, tmp_path: Path, name: str, number: int) -> None:
        async with front(tmp_path) as parts:
            parts.there("there")
            with refused(number):
                await parts.changes.create(parts.root, name, 0o644, RUN)
            assert await parts.names() == ["there"]

    async def test_needs_a_path_that_its_store_can_hold(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.root.remote.capabilities = Capabilities(writable=True, path_bytes=5)
            folder = await parts.changes.make_directory(parts.root, "d", 0o755, RUN)
            journal = list(parts.pool.journal)
            with refused(errno.ENAMETOOLONG):
                await parts.changes.create(folder, "\u00e9\u00e9", 0o644, RUN)
            with refused(errno.ENAMETOOLONG):
                await parts.changes.make_directory(folder, "four", 0o755, RUN)
            with refused(errno.ENAMETOOLONG):
                await parts.changes.make_symlink(folder, "four", "f", RUN)
            assert parts.pool.journal == journal
            await parts.changes.create(folder, "abc", 0o644, RUN)

    async def test_needs_room_for_each_part_of_its_path(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            room = Capabilities(writable=True, path_bytes=8, part_bytes=2)
            parts.root.remote.capabilities = room
            await parts.changes.create(parts.root, "sixbyt", 0o644, RUN)
            folder = await parts.changes.make_directory(parts.root, "d", 0o755, RUN)
            await parts.changes.create(folder, "ab", 0o644, RUN)
            with refused(errno.ENAMETOOLONG):
                await parts.changes.create(folder, "abc", 0o644, RUN)

    async def test_is_not_made_where_nothing_may_be_written(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.root.remote.capabilities = Capabilities(writable=False, why_read_only="no")
            with refused(errno.EROFS):
                await parts.changes.create(parts.root, "f", 0o644, RUN)

    async def test_comes_after_what_is_on_its_way_to_its_name(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            await parts.file("f")
            await parts.changes.remove(parts.root, "f", RUN)
            node = await parts.changes.create(parts.root, "f", 0o644, RUN)
            draft = draft_of(node)
            assert draft is not None
            assert draft.after == parts.pool.journal[0].write.write_id

    async def test_comes_after_the_removal_of_what_is_being_renamed(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            await parts.file("f")
            await parts.renames.rename(parts.root, "f", parts.root, "g", RUN, replace_target=True)
            draft = draft_of(await parts.changes.create(parts.root, "f", 0o644, RUN))
            removal = parts.pool.journal[0].removal
            assert draft is not None
            assert removal is not None
            assert draft.after == removal.write_id


class TestRemoving:
    async def test_hides_the_name_and_removes_the_version_that_was_seen(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t7")
            node = await parts.file("f")
            await parts.changes.remove(parts.root, "f", RUN)
            assert await parts.names() == []
            assert node.removed
            assert parts.pool.asked == [(Operation.REMOVE, "f")]
            write = parts.pool.journal[0].write
            assert (write.base, write.after, write.run) == ("t7", None, RUN)
            del parts.pool.listed["f"]
            await parts.pool.publish(Published())
            parts.clock.now_s += 100
            assert await parts.names() == []

    async def test_of_what_is_on_its_way_comes_after_it(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await parts.close(await parts.written("f", b"data"))
            await parts.changes.remove(parts.root, "f", RUN)
            put, remove = parts.pool.journal
            assert (remove.write.base, remove.write.after) == (None, put.write.write_id)

    async def test_shows_the_file_again_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await parts.file("f")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.changes.remove(parts.root, "f", RUN)
            parts.later()
            assert await parts.names() == ["f"]
            assert await parts.file("f") is node
            assert (node.removed, node.base) == (False, "t0")

    async def test_of_what_no_store_has_needs_no_journal(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.pool.refusal = NO_JOURNAL
            node = await parts.written("f", b"data")
            await parts.changes.remove(parts.root, "f", RUN)
            assert await parts.names() == []
            draft = draft_of(node)
            assert draft is not None
            assert await parts.read(node) == b"data"

    async def test_of_what_took_the_name_of_another_removes_that(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t7")
            await parts.file("f")
            node = await parts.written("new", b"data")
            await parts.renames.rename(parts.root, "new", parts.root, "f", RUN, replace_target=True)
            assert parts.pool.asked == []
            await parts.changes.remove(parts.root, "f", RUN)
            assert parts.pool.asked == [(Operation.REMOVE, "f")]
            assert parts.pool.journal[0].write.base == "t7"
            await parts.close(node)
            parts.later()
            assert await parts.names() == []
            await parts.pool.publish(Published())
            del parts.pool.listed["f"]
            parts.later()
            assert await parts.names() == []
            assert parts.pool.asked == [(Operation.REMOVE, "f")]

    async def test_gives_up_what_an_fsync_promised(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.commits.fsync(node)
            await parts.changes.remove(parts.root, "f", RUN)
            assert parts.pool.dropped == [1]

    async def test_takes_no_folder_and_nothing_that_is_not_there(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            with refused(errno.EISDIR):
                await parts.changes.remove(parts.root, "d", RUN)
            with refused(errno.ENOENT):
                await parts.changes.remove(parts.root, "f", RUN)


class TestFolders:
    async def test_are_there_at_once(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.changes.make_directory(parts.root, "d", 0o750, RUN)
            assert await parts.names() == ["d"]
            assert await parts.folder("d") is node
            assert node.mode == 0o750
            assert await parts.names(node) == []
            assert parts.pool.asked == [(Operation.MAKE_DIRECTORY, "d")]
            assert parts.pool.journal[0].write.mode == 0o750

    async def test_are_not_there_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.changes.make_directory(parts.root, "d", 0o750, RUN)
            parts.later()
            assert await parts.names() == []

    async def test_are_not_there_either_where_one_was_removed_just_before(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            await parts.folder("d")
            await parts.changes.remove_directory(parts.root, "d", RUN)
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.changes.make_directory(parts.root, "d", 0o750, RUN)
            assert await parts.names() == []
            with pytest.raises(errors.Unavailable):
                await parts.changes.make_symlink(parts.root, "d", "far", RUN)
            assert await parts.names() == []

    async def test_are_removed_when_empty(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            parts.there("d/f")
            folder = await parts.folder("d")
            with refused(errno.ENOTEMPTY):
                await parts.changes.remove_directory(parts.root, "d", RUN)
            await parts.node("f", folder)
            await parts.changes.remove(folder, "f", RUN)
            await parts.changes.remove_directory(parts.root, "d", RUN)
            assert await parts.names() == []
            assert folder.gone
            assert parts.pool.asked == [
                (Operation.REMOVE, "d/f"),
                (Operation.REMOVE_DIRECTORY, "d"),
            ]
            with refused(errno.ENOENT):
                await parts.changes.create(folder, "g", 0o644, RUN)

    async def test_are_shown_again_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("d", EntryKind.DIRECTORY)
            folder = await parts.folder("d")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.changes.remove_directory(parts.root, "d", RUN)
            parts.later()
            assert await parts.folder("d") is folder
            assert not folder.gone

    async def test_are_not_removed_as_files_are(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            with refused(errno.ENOTDIR):
                await parts.changes.remove_directory(parts.root, "f", RUN)


class TestSymlinks:
    async def test_are_there_at_once_and_get_their_token_later(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.changes.make_symlink(parts.root, "l", "far", RUN)
            parts.inodes.looked_up(node)
            assert await parts.node("l") is node
            assert (node.target, node.token) == ("far", "")
            entry = parts.pool.journal[0]
            assert (entry.operation, entry.link) == (Operation.SYMLINK, "far")
            assert node.after == entry.write.write_id
            await parts.pool.publish(published("l", "t1"))
            assert (node.token, node.after) == ("t1", None)

    async def test_are_not_there_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.changes.make_symlink(parts.root, "l", "far", RUN)
            parts.later()
            assert await parts.names() == []
            assert await parts.node("l") is None


async def test_a_node_goes_when_its_change_is_settled_and_nobody_holds_it(tmp_path: Path) -> None:
    async with front(tmp_path) as parts:
        node = await parts.changes.make_symlink(parts.root, "l", "far", RUN)
        parts.inodes.let_go(node)
        assert parts.inodes.get(node.number) is node
        await parts.pool.publish(published("l", "t1"))
        assert parts.inodes.get(node.number) is None
        assert await parts.names() == ["l"]


class TestPuttingAVersionBack:
    async def test_copies_it_over_what_is_there(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t9")
            now = await parts.file("f")
            old = version("f", "t1", 3, mode=0o600, mtime_ns=77)
            pending = await parts.changes.put_back(parts.root, "f", old, RUN)
            entry = parts.pool.journal[0]
            assert (entry.operation, entry.path, entry.target) == (Operation.COPY, "f", "f")
            assert entry.source == old.content(parts.root.remote.spec.id)
            assert (entry.write.base, entry.write.mode, entry.write.mtime_ns) == ("t9", 0o600, 77)
            node = await parts.file("f")
            assert node is not now
            assert now.removed
            assert (node.size, node.mode, node.base) == (3, 0o600, None)
            assert start_of(node) == Start(None, entry.write.write_id)
            await parts.pool.publish(published("f", "t10", 3, unchanged=False))
            assert pending.done.is_set()
            assert start_of(node) == Start(Token("t10"), None)
            assert not node.busy

    async def test_ends_what_was_synced_and_never_closed(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t9")
            node = await parts.file("f")
            await parts.write(node, b"data")
            await parts.commits.fsync(node)
            await parts.changes.put_back(parts.root, "f", version("f", "t1"), RUN)
            assert parts.pool.dropped == [1]

    async def test_leaves_what_is_being_written(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            await parts.written("f", b"data")
            with refused(errno.EBUSY):
                await parts.changes.put_back(parts.root, "f", version("f", "t1"), RUN)
            assert parts.pool.journal == []

    async def test_removes_a_link_first(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", EntryKind.SYMLINK)
            await parts.node("f")
            await parts.changes.put_back(parts.root, "f", version("f", "t1"), RUN)
            assert parts.pool.asked == [(Operation.REMOVE, "f"), (Operation.COPY, "f")]
            assert isinstance(await parts.node("f"), FileNode)

    async def test_shows_the_present_again_where_the_journal_refuses(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f", token="t9")
            await parts.file("f")
            parts.pool.refusal = NO_JOURNAL
            with pytest.raises(errors.Unavailable):
                await parts.changes.put_back(parts.root, "f", version("f", "t1", 3), RUN)
            parts.later()
            node = await parts.file("f")
            assert (node.base, node.size, node.busy) == ("t9", 5, False)


class TestAttributes:
    async def test_of_a_file_are_a_version_of_its_attributes(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await parts.file("f")
            await parts.changes.set_attributes(node, NewAttributes(mode=0o600, mtime_ns=7), RUN)
            assert (node.mode, node.mtime_ns) == (0o600, 7)
            assert parts.pool.asked == [(Operation.ATTRIBUTES, "f")]
            write = parts.pool.journal[0].write
            assert (write.mode, write.uid, write.gid, write.mtime_ns) == (0o600, None, None, 7)

    async def test_that_are_so_already_ask_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            parts.pool.listed["f"] = replace(parts.pool.listed["f"], mode=0o600)
            node = await parts.file("f")
            await parts.changes.set_attributes(node, NewAttributes(mode=0o600), RUN)
            assert parts.pool.journal == []

    async def test_travel_with_content_that_is_being_written(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await parts.written("f", b"data")
            await parts.changes.set_attributes(node, NewAttributes(mode=0o600, mtime_ns=7), RUN)
            assert parts.pool.journal == []
            await parts.close(node)
            write = parts.pool.journal[0].write
            assert (write.mode, write.mtime_ns, write.mtime_set) == (0o600, 7, True)

    @pytest.mark.parametrize("mtime_ns", [-(1 << 63) - 1, 1 << 63, 10**19, -11 * 10**18])
    @pytest.mark.parametrize("is_open", [False, True], ids=["closed", "being written"])
    async def test_with_a_time_that_no_record_can_say_are_refused(
        self, tmp_path: Path, mtime_ns: int, is_open: bool
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await (parts.written("g", b"data") if is_open else parts.file("f"))
            before = node.mtime_ns
            with refused(errno.EINVAL):
                new = NewAttributes(mode=0o600, mtime_ns=mtime_ns)
                await parts.changes.set_attributes(node, new, RUN)
            assert (node.mode, node.mtime_ns) != (0o600, mtime_ns)
            assert node.mtime_ns == before
            assert parts.pool.journal == []

    @pytest.mark.parametrize("mtime_ns", [-(1 << 63), (1 << 63) - 1])
    async def test_with_the_first_and_the_last_time_are_kept(
        self, tmp_path: Path, mtime_ns: int
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await parts.file("f")
            await parts.changes.set_attributes(node, NewAttributes(mtime_ns=mtime_ns), RUN)
            assert parts.pool.journal[0].write.mtime_ns == mtime_ns

    async def test_that_the_journal_does_not_take_are_not_shown(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("f")
            node = await parts.file("f")
            before = (node.mode, node.uid, node.gid, node.mtime_ns, node.mtime_set)
            parts.pool.refusal = NO_JOURNAL
            new = NewAttributes(mode=0o600, uid=7, gid=8, mtime_ns=9)
            with pytest.raises(errors.Unavailable):
                await parts.changes.set_attributes(node, new, RUN)
            assert (node.mode, node.uid, node.gid, node.mtime_ns, node.mtime_set) == before

    async def test_of_a_store_itself_are_not_ours(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            with refused(errno.EPERM):
                await parts.changes.set_attributes(parts.root, NewAttributes(mode=0o700), RUN)


async def test_a_link_that_is_settled_while_its_attributes_wait_is_known_by_its_token(
    tmp_path: Path,
) -> None:
    """Its removal names what the store has, or the store would take it for another host's."""
    async with front(tmp_path) as parts:
        node = await parts.changes.make_symlink(parts.root, "l", "to", RUN)
        parts.inodes.looked_up(node)
        await parts.changes.set_attributes(node, NewAttributes(uid=7), RUN)
        await parts.pool.publish(published("l", "t1"))
        assert await parts.node("l") is node
        await parts.changes.remove(parts.root, "l", RUN)
        write = parts.pool.journal[-1].write
        assert (write.base, write.after) == ("t1", None)


async def test_a_file_that_is_settled_while_its_attributes_wait_stays_that_file(
    tmp_path: Path,
) -> None:
    async with front(tmp_path) as parts:
        node = await parts.written("f", b"data")
        await parts.close(node)
        await parts.changes.set_attributes(node, NewAttributes(mode=0o600), RUN)
        await parts.pool.publish(published("f", "t1", 4))
        assert await parts.node("f") is node
        assert (node.base, node.mode) == ("t1", 0o600)
        await parts.pool.publish(Published())
        assert await parts.node("f") is node


async def test_what_is_in_the_journal_goes_to_the_store_in_order_of_its_path(
    tmp_path: Path,
) -> None:
    async with front(tmp_path) as parts:
        parts.there("f", token="t1")
        await parts.file("f")
        await parts.changes.remove(parts.root, "f", RUN)
        await parts.close(await parts.written("f", b"new"))
        await parts.changes.make_directory(parts.root, "d", 0o755, RUN)
        await under_way(parts, ["f", "d"])
        assert (await parts.pool.publish(Published())).operation is Operation.REMOVE
        await under_way(parts, ["d", "f"])
        node = await parts.file("f")
        assert token_of(node) is None
        await parts.pool.publish(Published())
        await parts.pool.publish(published("f", "t2", 3))
        assert token_of(node) == "t2"


def token_of(node: FileNode) -> Token | None:
    """What the store calls the content that a file has."""
    return node.content.token if node.content is not None else None


async def under_way(parts: Front, paths: list[str]) -> None:
    await parts.settle()
    assert [one.entry.path for one in parts.pool.under_way] == paths
