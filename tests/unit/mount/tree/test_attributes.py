"""What stat says: the store's attributes where it keeps them, sensible ones where not."""

from __future__ import annotations

import os
import stat

import pytest

from tests.support.clocks import TrioClock
from vstorefs.model import Key, Version, VersionId, VersionKind
from vstorefs.mount.dotversions.nodes import VersionFile
from vstorefs.mount.tree.attributes import absent, attributes_of
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Inodes, SymlinkNode, TopNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote

pytestmark = pytest.mark.trio


class Listed(Namespace):
    """Names that were listed just now."""

    def seconds_left(self, directory: DirectoryNode) -> float:
        """A minute."""
        del directory
        return 60


LISTED = Listed(Inodes(), TrioClock())


@pytest.fixture
def root(remote: Remote) -> DirectoryNode:
    """The root of a store."""
    return DirectoryNode(1, "", remote=remote)


async def test_a_file_of_a_store_that_keeps_no_attributes(root: DirectoryNode) -> None:
    node = FileNode(7, "f", remote=root.remote, parent=root, size=513, mtime_ns=5)
    shown = attributes_of(node, LISTED)
    assert (shown.st_ino, shown.st_mode) == (7, stat.S_IFREG | 0o644)
    assert (shown.st_uid, shown.st_gid) == (os.getuid(), os.getgid())
    assert (shown.st_size, shown.st_blocks, shown.st_mtime_ns) == (513, 2, 5)
    assert (shown.entry_timeout, shown.attr_timeout) == (60, 60)


async def test_a_file_of_one_that_does(root: DirectoryNode) -> None:
    node = FileNode(7, "f", remote=root.remote, parent=root, mode=0, uid=0, gid=5)
    shown = attributes_of(node, LISTED)
    assert (shown.st_mode, shown.st_uid, shown.st_gid) == (stat.S_IFREG, 0, 5)


async def test_a_folder(root: DirectoryNode) -> None:
    assert attributes_of(root, LISTED).st_mode == stat.S_IFDIR | 0o755
    root.mode = 0o700
    assert attributes_of(root, LISTED).st_mode == stat.S_IFDIR | 0o700


async def test_the_size_of_a_symlink_is_that_of_its_target_in_bytes(root: DirectoryNode) -> None:
    node = SymlinkNode(8, "l", remote=root.remote, parent=root, target="größe")
    shown = attributes_of(node, LISTED)
    assert (shown.st_mode, shown.st_size) == (stat.S_IFLNK | 0o777, 7)


@pytest.mark.parametrize(("mtime_ns", "shown_ns"), [(5, 5), (0, 9)])
async def test_a_version_cannot_be_written_and_has_its_own_time(
    root: DirectoryNode, mtime_ns: int, shown_ns: int
) -> None:
    version = Version(Key("f"), VersionId("v"), VersionKind.CONTENT, 9, size=3, mtime_ns=mtime_ns)
    shown = attributes_of(VersionFile(9, "v", remote=root.remote, version=version), LISTED)
    assert (shown.st_mode, shown.st_size) == (stat.S_IFREG | 0o444, 3)
    assert shown.st_mtime_ns == shown_ns


async def test_nothing_is_made_in_the_top_of_several_stores() -> None:
    assert attributes_of(TopNode(1, ""), LISTED).st_mode == stat.S_IFDIR | 0o555


async def test_absence_is_told_without_a_number_and_for_a_time() -> None:
    told = absent(12)
    assert (told.st_ino, told.entry_timeout) == (0, 12)
