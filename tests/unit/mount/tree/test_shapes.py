"""What the kernel is told of each kind of node, and for how long it may keep that."""

from __future__ import annotations

import os
import stat
from typing import Any

import pytest

from vstorefs.clock import SystemClock
from vstorefs.model import (
    Entry,
    EntryKind,
    Key,
    StoreId,
    StoreSpec,
    Version,
    VersionId,
    VersionKind,
)
from vstorefs.mount.dotversions.nodes import (
    FileHistory,
    LatestLink,
    SpecialFile,
    SpecialName,
    VersionFile,
    VersionsFolder,
    WarningsFile,
)
from vstorefs.mount.dotversions.snapshot import SnapshotFolder
from vstorefs.mount.dotversions.top import AllWarnings, TopVersions
from vstorefs.mount.tree.attributes import absent_for, attributes_of
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Inodes, Node, SymlinkNode, TopNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote

FOR_EVER = 3600.0


class Still(SystemClock):
    """A clock that stands still."""

    def monotonic_s(self) -> float:
        return 1000.0


def parts() -> tuple[Namespace, DirectoryNode]:
    """Names, and the root of a store that was listed twenty seconds ago, good for sixty."""
    pool: Any = None
    clock = Still()
    inodes = Inodes()
    namespace = Namespace(inodes, clock)
    root = namespace.new_root(Remote(StoreSpec(StoreId("s"), "s", "file:///s"), pool, clock))
    root.listed_at = 980.0
    return namespace, root


def node_of(namespace: Namespace, root: DirectoryNode, entry: Entry) -> Node:
    return namespace.node(root, entry.key, entry)


def test_what_a_store_lists_is_kept_for_the_rest_of_the_listing() -> None:
    namespace, root = parts()
    file = node_of(namespace, root, Entry(Key("f"), EntryKind.FILE, 1025, 7, mode=0o600, uid=5))
    folder = node_of(namespace, root, Entry(Key("d"), EntryKind.DIRECTORY, mtime_ns=8))
    link = node_of(namespace, root, Entry(Key("l"), EntryKind.SYMLINK, 2, 9, target="äö"))
    shown = [attributes_of(one, namespace) for one in (file, folder, link)]
    assert [one.st_mode for one in shown] == [
        stat.S_IFREG | 0o600,
        stat.S_IFDIR | 0o755,
        stat.S_IFLNK | 0o777,
    ]
    assert [one.st_size for one in shown] == [1025, 0, 4]
    assert [one.st_mtime_ns for one in shown] == [7, 8, 9]
    assert [one.st_uid for one in shown] == [5, os.getuid(), os.getuid()]
    assert shown[0].st_blocks == 3
    assert {one.attr_timeout for one in shown} == {one.entry_timeout for one in shown} == {40.0}
    assert absent_for(root, namespace) == 40.0


def versions_nodes(root: DirectoryNode) -> dict[str, Node]:
    top = TopNode(90, "", stores={"s": root})
    folder = VersionsFolder(91, ".versions", directory=root)
    history = FileHistory(92, "f", folder=folder, file="f")
    version = Version(Key("f"), VersionId("v"), VersionKind.CONTENT, 11, size=6)
    return {
        "folder": folder,
        "history": history,
        "version": VersionFile(93, "v", remote=root.remote, version=version),
        "latest": LatestLink(94, "latest", history=history),
        "table": SpecialFile(95, "HISTORY", history=history, special=SpecialName.TABLE),
        "warnings": WarningsFile(96, "@WARNINGS", folder=folder),
        "top folder": TopVersions(97, ".versions", top=top),
        "all warnings": AllWarnings(98, "@WARNINGS", top=top),
        "past of all": top,
        "past": SnapshotFolder(99, "@x", remote=root.remote, base=Key("")),
    }


@pytest.mark.parametrize(
    ("name", "mode", "size", "kept_s"),
    [
        ("folder", stat.S_IFDIR | 0o555, 0, 1.0),
        ("history", stat.S_IFDIR | 0o555, 0, 1.0),
        ("version", stat.S_IFREG | 0o444, 6, FOR_EVER),
        ("latest", stat.S_IFLNK | 0o777, 0, 0.0),
        ("table", stat.S_IFREG | 0o444, 4096, 0.0),
        ("warnings", stat.S_IFREG | 0o400, 4096, 0.0),
        ("top folder", stat.S_IFDIR | 0o555, 0, 1.0),
        ("all warnings", stat.S_IFREG | 0o400, 4096, 0.0),
        ("past of all", stat.S_IFDIR | 0o555, 0, 0.0),
        ("past", stat.S_IFDIR | 0o755, 0, 0.0),
    ],
)
def test_what_has_no_listing_says_itself_how_long_it_holds(
    name: str, mode: int, size: int, kept_s: float
) -> None:
    namespace, root = parts()
    shown = attributes_of(versions_nodes(root)[name], namespace)
    assert (shown.st_mode, shown.st_size) == (mode, size)
    assert (shown.attr_timeout, shown.entry_timeout) == (kept_s, kept_s)


def test_the_top_of_several_stores_holds_and_lacks_for_ever() -> None:
    namespace, _ = parts()
    top = TopNode(1, "")
    assert attributes_of(top, namespace).entry_timeout == FOR_EVER
    assert absent_for(top, namespace) == FOR_EVER


@pytest.mark.parametrize("name", ["folder", "history", "top folder", "past", "past of all"])
def test_what_a_history_lacks_may_be_there_a_moment_later(name: str) -> None:
    namespace, root = parts()
    assert absent_for(versions_nodes(root)[name], namespace) == 0.0


def test_every_kind_of_node_is_told_of_here() -> None:
    namespace, root = parts()
    entries = (Entry(Key("f"), EntryKind.FILE), Entry(Key("l"), EntryKind.SYMLINK, target="t"))
    told = {type(node_of(namespace, root, one)) for one in entries}
    told |= {type(root)} | {type(one) for one in versions_nodes(root).values()}
    assert told >= {FileNode, SymlinkNode, DirectoryNode, SnapshotFolder}
    assert told == set(_kinds(Node))  # type: ignore[type-abstract]  # asked for its subclasses


def _kinds(kind: type[Node]) -> list[type[Node]]:
    """All classes of nodes; a dataclass with slots is made twice, and only the second is in its module."""
    found = []
    for one in kind.__subclasses__():
        if getattr(__import__(one.__module__, fromlist=["_"]), one.__name__) is one:
            found.append(one)
        found += _kinds(one)
    return found
