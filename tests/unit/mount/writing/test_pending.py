"""What a change shows, what becomes of that when its store has it, and when the journal does not take it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.frontparts import RUN, Front, front, published, version
from vstorefs.model import CHUNK_BYTES, Content, Entry, EntryKind, Key, Token, WriteId
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode
from vstorefs.mount.writing.draft import Draft
from vstorefs.mount.writing.pending import (
    CommittedDraft,
    FileVersion,
    LinkVersion,
    MovedFolder,
    PendingChange,
    ShownName,
    start_of,
)
from vstorefs.workers.messages import Published

pytestmark = pytest.mark.trio
WRITE = WriteId("write")
OTHER = WriteId("other")


def entry(path: str, kind: EntryKind = EntryKind.FILE) -> Entry:
    return Entry(Key(path), kind, 5, 1, Token("shown"))


class TestNames:
    async def test_are_shown_over_listings_until_one_that_is_newer_than_the_store(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            parts.there("old")
            change = PendingChange(
                (ShownName(parts.root, "old", None), ShownName(parts.root, "new", entry("new")))
            )
            assert await parts.names() == ["old"]
            change.show(parts.namespace)
            assert await parts.names() == ["new"]
            parts.clock.now_s += 100
            assert await parts.names() == ["new"]
            change.settle(parts.namespace, Published())
            assert await parts.names() == ["new"]
            parts.clock.now_s += 100
            assert await parts.names() == ["old"]

    async def test_are_asked_for_again_where_it_is_refused(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("old")
            change = PendingChange((ShownName(parts.root, "old", None),))
            await parts.names()
            change.show(parts.namespace)
            change.undo(parts.namespace)
            parts.later()
            asked = parts.pool.listings
            assert await parts.names() == ["old"]
            assert parts.pool.listings == asked + 1

    async def test_are_kept_without_asking_where_what_was_shown_holds(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            change = PendingChange((ShownName(parts.root, "new", entry("new")),), relists=False)
            await parts.names()
            change.show(parts.namespace)
            change.undo(parts.namespace)
            asked = parts.pool.listings
            assert await parts.names() == ["new"]
            assert parts.pool.listings == asked

    @pytest.mark.parametrize("refused", [False, True], ids=["settled", "refused"])
    async def test_that_are_held_since_a_creation_stay_so_where_it_is_refused(
        self, tmp_path: Path, refused: bool
    ) -> None:
        async with front(tmp_path) as parts:
            parts.namespace.hold(parts.root, "f", None)
            change = PendingChange((ShownName(parts.root, "f", entry("f"), held=True),))
            change.show(parts.namespace)
            assert await parts.names() == ["f"]
            if refused:
                change.undo(parts.namespace)
            else:
                change.settle(parts.namespace, Published())
            parts.clock.now_s += 100
            assert await parts.names() == (["f"] if refused else [])


async def listed_file(parts: Front) -> FileNode:
    parts.there("f")
    return await parts.file("f")


class TestAFileVersion:
    async def test_is_what_the_file_has_once_the_store_has_it(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await listed_file(parts)
            subject = FileVersion(node, WRITE, False, start_of(node), RUN, _nobody)
            subject.begin()
            assert node.pending == 1
            subject.settle(published("g", "t1", 5), parts.namespace)
            assert node.busy is False
            assert (node.base, node.after) == ("t1", None)
            assert node.content == version("g", "t1", 5).content(node.remote.spec.id)

    async def test_of_an_older_write_says_nothing(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await listed_file(parts)
            subject = FileVersion(node, OTHER, False, start_of(node), RUN, _nobody)
            subject.begin()
            node.after = WRITE
            subject.settle(published("g", "t1"), parts.namespace)
            assert (node.base, node.after, node.pending) == (None, WRITE, 0)
            assert node.content is not None
            assert node.content.token == "t0"

    async def test_is_the_base_of_what_is_being_written(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await listed_file(parts)
            await parts.write(node, b"new")
            subject = FileVersion(node, WRITE, False, start_of(node), RUN, _nobody)
            subject.begin()
            subject.settle(published("g", "t1"), parts.namespace)
            assert node.base == "t1"
            assert node.content is not None
            assert node.content.token == "t0"

    @pytest.mark.parametrize("is_new", [True, False], ids=["put back", "moved"])
    async def test_brings_its_attributes_where_the_node_was_made_for_it(
        self, tmp_path: Path, is_new: bool
    ) -> None:
        async with front(tmp_path) as parts:
            node = await listed_file(parts)
            subject = FileVersion(node, WRITE, is_new, start_of(node), RUN, _nobody)
            subject.begin()
            made = Published(version("f", "t1", mode=0o600, mtime_ns=77))
            before = node.mode, node.mtime_ns
            subject.settle(made, parts.namespace)
            assert (node.mode, node.mtime_ns) == ((0o600, 77) if is_new else before)

    async def test_that_was_put_back_goes_where_it_is_refused(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node = await listed_file(parts)
            subject = FileVersion(node, WRITE, True, start_of(node), RUN, _nobody)
            change = PendingChange((ShownName(parts.root, "f", node.entry()),), subject)
            change.show(parts.namespace)
            change.undo(parts.namespace)
            assert node.removed
            assert not node.busy
            parts.later()
            fresh = await parts.file("f")
            assert fresh.number != node.number
            assert fresh.base == "t0"


class TestALink:
    async def test_gets_its_token(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("l", EntryKind.SYMLINK)
            node = await parts.node("l")
            subject = LinkVersion(node, WRITE, True, node.token, node.after)
            subject.begin()
            assert node.busy
            subject.settle(published("l", "t1"), parts.namespace)
            assert (node.token, node.after, node.busy) == ("t1", None, False)

    async def test_goes_where_it_is_refused(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            parts.there("l", EntryKind.SYMLINK)
            node = await parts.node("l")
            change = PendingChange(
                (ShownName(parts.root, "l", node.entry()),),
                LinkVersion(node, WRITE, True, node.token, node.after),
            )
            change.show(parts.namespace)
            change.undo(parts.namespace)
            assert (node.removed, node.busy) == (True, False)
            assert "l" not in parts.root.children


async def test_a_moved_folder_has_everything_below_listed_anew(tmp_path: Path) -> None:
    async with front(tmp_path) as parts:
        for path in ("d", "d/e"):
            parts.there(path, EntryKind.DIRECTORY)
        folder = await parts.folder("d")
        below = await parts.node("e", folder)
        assert isinstance(below, DirectoryNode)
        for one in (folder, below):
            await parts.names(one)
        subject = MovedFolder.of(folder, WRITE)
        subject.begin()
        parts.later()
        asked = parts.pool.listings
        subject.settle(Published(), parts.namespace)
        for one in (folder, below, parts.root):
            await parts.names(one)
        assert parts.pool.listings == asked + 2


def _nobody(content: Content | None, under: Content | None) -> None:
    """Who need not know."""


async def committed(parts: Front, size: int = 3) -> tuple[FileNode, Draft, CommittedDraft]:
    """A new file whose draft is on its way."""
    node = await parts.written("f", b"x" * size)
    draft = await parts.commits.draft(node)
    subject = CommittedDraft(
        node,
        parts.root,
        draft,
        WRITE,
        True,
        start_of(node),
        lambda content, under: parts.told.append((node.name, content)),
    )
    subject.begin()
    return node, draft, subject


class TestACommittedDraft:
    async def test_is_not_written_on(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node, draft, _ = await committed(parts)
            assert (draft.frozen, node.created, node.pending) == (True, False, 1)
            await parts.write(node, b"again")
            assert node.draft is not draft

    async def test_becomes_what_the_file_has(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            size = 2 * CHUNK_BYTES + 1
            node, _, subject = await committed(parts)
            subject.settle(published("f", "t1", size), parts.namespace)
            content = version("f", "t1", size).content(node.remote.spec.id)
            assert (node.draft, node.content, node.pending) == (None, content, 0)
            assert (node.base, node.after) == ("t1", None)
            assert node.served == 0b111
            assert parts.told == [("f", content)]

    async def test_leaves_what_was_written_since_with_its_version_as_base(
        self, tmp_path: Path
    ) -> None:
        async with front(tmp_path) as parts:
            node, _, subject = await committed(parts)
            await parts.write(node, b"again")
            newer = await parts.commits.draft(node)
            assert (newer.base, newer.after) == (None, WRITE)
            subject.settle(published("f", "t1", 3), parts.namespace)
            assert node.draft is newer
            assert node.content is None
            assert (newer.base, newer.after) == ("t1", None)
            assert (node.base, node.after) == ("t1", None)

    async def test_that_comes_late_is_not_what_the_name_shows(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node, _, subject = await committed(parts)
            await parts.names()
            parts.later()
            asked = parts.pool.listings
            subject.settle(published("f", "t1", 3, late=True), parts.namespace)
            assert (node.draft, node.content) == (None, None)
            assert parts.told == [("f", None)]
            await parts.names()
            assert parts.pool.listings == asked + 1

    async def test_goes_on_being_written_where_it_is_refused(self, tmp_path: Path) -> None:
        async with front(tmp_path) as parts:
            node, draft, subject = await committed(parts)
            subject.undo(ShownName(parts.root, "f", node.entry()))
            assert (draft.frozen, node.created, node.pending) == (False, True, 0)
            await parts.write(node, b"again")
            assert node.draft is draft
            assert not parts.told
