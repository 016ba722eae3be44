"""What is read through open files, what is hashed, and what runs are said to have read."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pyfuse3
import pytest

from tests.support.assembled import SOMEBODY, assembled
from vstorefs.model import CHUNK_BYTES, Entry, EntryKind, Key, RunId, StoreId, Token
from vstorefs.mount.assembly import Parts
from vstorefs.mount.tree.inodes import ROOT, FileNode

pytestmark = pytest.mark.trio
RUN = RunId("command")


async def looked_up(parts: Parts, pool: Any, data: bytes, token: str = "t1") -> FileNode:
    """A file of the store that has these bytes."""
    pool.listed["f"] = Entry(Key("f"), EntryKind.FILE, len(data), 1, Token(token))
    pool.contents[token] = data
    shown = await parts.operations.lookup(ROOT, b"f", SOMEBODY)
    node = parts.tree.inodes.get(shown.st_ino)
    assert isinstance(node, FileNode)
    return node


async def opened(parts: Parts, node: FileNode) -> int:
    return (await parts.operations.open(node.number, os.O_RDONLY, SOMEBODY)).fh


async def noted(parts: Parts, pool: Any) -> list[tuple[str, int, int]]:
    """Run, opens, and how much was read at most, of each use that was noted until now."""
    parts.provenance.runs.ready.set()
    await parts.provenance.uses.send_notes()
    return [(one.run, one.use.opens, one.use.read_bytes) for one in pool.notes]


async def test_gives_the_bytes_and_remembers_which_the_kernel_has(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        data = bytes(range(256)) * (3 * CHUNK_BYTES // 256) + b"end"
        node = await looked_up(parts, pool, data)
        handle = await opened(parts, node)
        middle = 2 * CHUNK_BYTES - 5
        assert await parts.operations.read(handle, middle, 10) == data[middle : middle + 10]
        assert node.served == 0b0110
        assert await parts.operations.read(handle, len(data) - 3, 100) == b"end"
        assert node.served == 0b1110
        assert await parts.operations.read(handle, len(data) + 1, 100) == b""
        assert pool.hashes_asked == ["f"]
        await parts.operations.release(handle)
        own = parts.provenance.runs.own.id
        assert await noted(parts, pool) == [(own, 1, 3 * CHUNK_BYTES)]


async def test_is_of_the_content_that_the_file_has_by_then(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        node = await looked_up(parts, pool, b"old", "t1")
        handle = await opened(parts, node)
        assert await parts.operations.read(handle, 0, 10) == b"old"
        pool.contents["t2"] = b"new"
        node.set_entry(Entry(Key("f"), EntryKind.FILE, 3, 1, Token("t2")))
        assert await parts.operations.read(handle, 0, 10) == b"new"
        assert pool.hashes_asked == ["f", "f"]


async def test_fails_where_the_store_has_another_content_and_the_next_open_sees_that(
    tmp_path: Path,
) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        node = await looked_up(parts, pool, b"old", "t1")
        handle = await opened(parts, node)
        pool.contents = {"t2": b"other"}
        with pytest.raises(pyfuse3.FUSEError) as failed:
            await parts.operations.read(handle, 0, 10)
        assert failed.value.errno == errno.ESTALE
        with pytest.raises(pyfuse3.FUSEError) as failed:
            await opened(parts, node)
        assert failed.value.errno == errno.ESTALE
        await noted(parts, pool)
        assert [one.torn for one in pool.notes] == [False, True]
        fresh = await looked_up(parts, pool, b"other", "t2")
        assert fresh is not node
        assert await parts.operations.read(await opened(parts, fresh), 0, 10) == b"other"


async def test_of_an_empty_file_is_its_open(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        await opened(parts, await looked_up(parts, pool, b""))
        assert pool.hashes_asked == ["f"]


async def test_is_said_of_a_run_whose_files_are_open_when_it_begins_and_ends(
    tmp_path: Path,
) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        node = await looked_up(parts, pool, b"data")
        parts.readings.note_inherited([node.number, ROOT, 12345], RUN)
        assert await noted(parts, pool) == [(RUN, 1, 0)]
        assert pool.notes[0].use.inherited
        handle = await opened(parts, node)
        own = parts.provenance.runs.own.id
        assert await noted(parts, pool) == [(RUN, 1, 0), (own, 1, 0)]
        await parts.operations.read(handle, 0, 4)
        parts.readings.note_all(RUN)
        assert len(await noted(parts, pool)) == 2
        parts.readings.note_all(own)
        assert (await noted(parts, pool))[2:] == [(own, 0, 4)]


async def test_of_what_is_being_written_is_no_use_of_the_store(tmp_path: Path) -> None:
    async with assembled(tmp_path, "one") as (parts, pool):
        await parts.tree.roots[StoreId("id-one")].remote.check()
        info, _ = await parts.operations.create(ROOT, b"g", 0o644, os.O_RDWR, SOMEBODY)
        await parts.operations.write(info.fh, 0, b"data")
        assert await parts.operations.read(info.fh, 1, 2) == b"at"
        assert (await noted(parts, pool), pool.hashes_asked) == ([], [])
