"""Nodes stay as long as somebody holds them and no longer; numbers are never used twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from vstorefs.model import Entry, EntryKind, Key, Token, VersionId
from vstorefs.mount.tree.inodes import (
    ROOT,
    DirectoryNode,
    FileNode,
    Inodes,
    Local,
    SymlinkNode,
    TopNode,
)
from vstorefs.mount.tree.remote import Remote

pytestmark = pytest.mark.trio

N = TypeVar("N", DirectoryNode, FileNode)


@pytest.fixture
def inodes() -> Inodes:
    """An empty table."""
    return Inodes()


@pytest.fixture
def root(inodes: Inodes, remote: Remote) -> DirectoryNode:
    """The root of a store."""
    node = DirectoryNode(inodes.number(), "", remote=remote)
    inodes.add(node)
    return node


def file_in(inodes: Inodes, directory: DirectoryNode, name: str) -> FileNode:
    return _grown(
        inodes, FileNode(inodes.number(), name, remote=directory.remote, parent=directory)
    )


def folder_in(inodes: Inodes, directory: DirectoryNode, name: str) -> DirectoryNode:
    node = DirectoryNode(inodes.number(), name, remote=directory.remote, parent=directory)
    return _grown(inodes, node)


def _grown(inodes: Inodes, node: N) -> N:
    assert node.parent is not None
    node.parent.children[node.name] = node
    inodes.add(node)
    return node


async def test_a_number_is_never_given_twice(inodes: Inodes, root: DirectoryNode) -> None:
    assert root.number == ROOT
    seen = {ROOT}
    for _ in range(10):
        node = file_in(inodes, root, "f")
        inodes.looked_up(node)
        inodes.forget(node.number, 1)
        seen.add(node.number)
    assert len(seen) == 11


async def test_a_node_lives_until_the_kernel_gave_back_all_it_was_told(
    inodes: Inodes, root: DirectoryNode
) -> None:
    node = file_in(inodes, root, "f")
    for _ in range(3):
        inodes.looked_up(node)
    inodes.forget(node.number, 2)
    assert inodes.get(node.number) is node
    inodes.forget(node.number, 1)
    assert inodes.get(node.number) is None
    assert root.children == {}


async def test_the_root_stays_whatever_the_kernel_forgets(
    inodes: Inodes, root: DirectoryNode
) -> None:
    inodes.forget(ROOT, 1)
    assert inodes.get(ROOT) is root


async def test_nor_does_the_top_of_several_stores_go(inodes: Inodes) -> None:
    top = TopNode(inodes.number(), "")
    inodes.looked_up(top)
    inodes.forget(ROOT, 1)
    assert inodes.get(ROOT) is top


async def test_forgetting_what_is_unknown_does_nothing(inodes: Inodes, root: DirectoryNode) -> None:
    inodes.forget(4711, 1)
    assert inodes.all() == [root]


def _open(node: FileNode) -> None:
    node.pins += 1


def _close(node: FileNode) -> None:
    node.pins -= 1


def _begin(node: FileNode) -> None:
    node.pending += 1


def _publish(node: FileNode) -> None:
    node.pending -= 1


def _open_to_write(node: FileNode) -> None:
    node.write_handles += 1


def _close_written(node: FileNode) -> None:
    node.write_handles -= 1


@pytest.mark.parametrize(
    ("take", "give_back"),
    [(_open, _close), (_begin, _publish), (_open_to_write, _close_written)],
    ids=["open", "on its way", "being written"],
)
async def test_what_the_kernel_forgot_stays_while_it_is_held_here(
    inodes: Inodes,
    root: DirectoryNode,
    take: Callable[[FileNode], None],
    give_back: Callable[[FileNode], None],
) -> None:
    node = file_in(inodes, root, "f")
    inodes.looked_up(node)
    take(node)
    inodes.forget(node.number, 1)
    assert inodes.get(node.number) is node
    give_back(node)
    inodes.let_go(node)
    assert inodes.get(node.number) is None


async def test_folders_go_with_the_last_thing_in_them(inodes: Inodes, root: DirectoryNode) -> None:
    a = folder_in(inodes, root, "a")
    b = folder_in(inodes, a, "b")
    one, other = file_in(inodes, b, "one"), file_in(inodes, b, "other")
    for node in (one, other):
        inodes.looked_up(node)
    inodes.forget(one.number, 1)
    assert {node.name for node in inodes.all()} == {"", "a", "b", "other"}
    inodes.forget(other.number, 1)
    assert inodes.all() == [root]
    assert root.children == {}


async def test_a_folder_whose_names_are_held_over_listings_stays(
    inodes: Inodes, root: DirectoryNode
) -> None:
    folder = folder_in(inodes, root, "a")
    folder.local["removed"] = Local(None, pending=1)
    inodes.looked_up(folder)
    inodes.forget(folder.number, 1)
    assert inodes.get(folder.number) is folder


async def test_a_node_that_goes_leaves_its_name_to_its_successor(
    inodes: Inodes, root: DirectoryNode
) -> None:
    old = file_in(inodes, root, "f")
    inodes.looked_up(old)
    new = file_in(inodes, root, "f")
    inodes.forget(old.number, 1)
    assert inodes.get(old.number) is None
    assert root.children == {"f": new}


async def test_a_renamed_folder_takes_what_is_below_along(
    inodes: Inodes, root: DirectoryNode
) -> None:
    a, b = folder_in(inodes, root, "a"), folder_in(inodes, root, "b")
    deep = folder_in(inodes, a, "deep")
    node = file_in(inodes, deep, "f")
    assert node.path == "a/deep/f"
    deep.name, deep.parent = "new", b
    assert node.path == "b/new/f"
    assert root.path_of("x") == "x"


async def test_only_files_are_given_as_files(inodes: Inodes, root: DirectoryNode) -> None:
    node = file_in(inodes, folder_in(inodes, root, "a"), "f")
    inodes.add(TopNode(inodes.number(), "other"))
    assert list(inodes.files()) == [node]


async def test_a_file_shows_what_its_listing_said(inodes: Inodes, root: DirectoryNode) -> None:
    entry = Entry(
        *(Key("f"), EntryKind.FILE, 10, 20, Token("t"), False, VersionId("v")),
        mode=0o640,
        uid=1,
        gid=2,
    )
    node = file_in(inodes, root, "f")
    node.set_entry(entry)
    assert (node.entry().size, node.entry().token, node.entry().strong) == (10, "t", False)
    assert (node.entry().mode, node.entry().uid, node.entry().gid) == (0o640, 1, 2)
    assert node.base == "t"
    assert node.content is not None
    assert (node.content.store, node.content.version) == (root.remote.spec.id, "v")


async def test_a_symlink_shows_what_its_listing_said(inodes: Inodes, root: DirectoryNode) -> None:
    entry = Entry(*(Key("l"), EntryKind.SYMLINK, 6, 20, Token("t")), uid=1, gid=2, target="../far")
    node = SymlinkNode(inodes.number(), "l", remote=root.remote, parent=root)
    node.set_entry(entry)
    assert node.entry() == entry


async def test_a_tree_is_as_deep_as_paths_are_long(inodes: Inodes, root: DirectoryNode) -> None:
    """Deeper than calls may be nested."""
    deepest = root
    for _ in range(2000):
        deepest = folder_in(inodes, deepest, "d")
    found = file_in(inodes, deepest, "f")
    assert found.path == "/".join(["d"] * 2000 + ["f"])
    assert max(root.known_below(), key=len) == found.path
