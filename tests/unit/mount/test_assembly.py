"""The parts of a mount, put together without a kernel: nothing begins, and the upcalls find what the stores list."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pyfuse3
import pytest

from tests.support.assembled import SOMEBODY, assembled
from vstorefs.model import Entry, EntryKind, Key, Operation, StoreId
from vstorefs.mount.tree.inodes import ROOT, DirectoryNode, TopNode

pytestmark = pytest.mark.trio


async def test_the_only_store_is_the_root(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        root = parts.tree.inodes.get(ROOT)
        assert isinstance(root, DirectoryNode)
        assert parts.tree.roots == {StoreId("id-one"): root}
        assert pool.listings == 0


async def test_several_stores_are_folders_of_the_root(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one", "two") as (parts, _):
        top = parts.tree.inodes.get(ROOT)
        assert isinstance(top, TopNode)
        assert set(top.stores) == {"one", "two"}
        assert parts.tree.roots == {
            StoreId("id-one"): top.stores["one"],
            StoreId("id-two"): top.stores["two"],
        }
        shown = await parts.operations.lookup(ROOT, b"two", SOMEBODY)
        assert shown.st_ino == top.stores["two"].number


async def test_the_upcalls_find_what_the_store_lists(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        pool.listed["f"] = Entry(Key("f"), EntryKind.FILE, 5, mode=0o640)
        shown = await parts.operations.lookup(ROOT, b"f", SOMEBODY)
        assert (shown.st_mode, shown.st_size) == (stat.S_IFREG | 0o640, 5)
        node = parts.tree.inodes.get(shown.st_ino)
        assert node is not None
        assert node.lookups == 1
        missing = await parts.operations.lookup(ROOT, b"g", SOMEBODY)
        assert (missing.st_ino, missing.entry_timeout) == (0, 60.0)
        assert parts.tree.absences.take() == [(ROOT, b"g")]


async def test_the_upcalls_change_what_the_writing_parts_know(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        await parts.tree.roots[StoreId("id-one")].remote.check()
        shown = await parts.operations.mkdir(ROOT, b"d", 0o755, SOMEBODY)
        info, _ = await parts.operations.create(shown.st_ino, b"f", 0o644, os.O_WRONLY, SOMEBODY)
        assert await parts.operations.write(info.fh, 0, b"data") == 4
        assert await parts.operations.read(info.fh, 0, 100) == b"data"
        await parts.operations.rename(shown.st_ino, b"f", ROOT, b"g", 0, SOMEBODY)
        assert pool.asked == [(Operation.MAKE_DIRECTORY, "d")]
        assert len(parts.writing.uploads) == 1
        await parts.operations.unlink(ROOT, b"g", SOMEBODY)
        await parts.operations.release(info.fh)
        assert pool.asked == [(Operation.MAKE_DIRECTORY, "d")]


async def test_what_the_kernel_asks_of_a_node_that_is_gone_is_stale(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, _):
        with pytest.raises(pyfuse3.FUSEError) as failed:
            await parts.operations.getattr(12345, SOMEBODY)
        assert failed.value.errno == errno.ESTALE
