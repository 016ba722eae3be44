"""A locked mount gives no byte before its content was found to be the lock file's, and no other byte after."""

from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from tests.support.contents import Contents, hashes_of
from tests.support.pools import Gate, ScriptedPool
from vstorefs import errors
from vstorefs.model import CHUNK_BYTES, Content, Hashes
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.locked import Locked
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.versions.locked import Lock, LockedInput
from vstorefs.workers import messages

pytestmark = pytest.mark.trio

DATA = os.urandom(2 * CHUNK_BYTES + 77)


@pytest.fixture
def hashing(pool: ScriptedPool, transfers: Transfers, nursery: trio.Nursery) -> Hashing:
    """What verifies."""
    return Hashing(*(pool, transfers, nursery, lambda _: None), whole_below=1 << 40, whole_part=0.5)


def locked(hashing: Hashing, content: Content, hashes: Hashes | None) -> Locked:
    """A mount of a lock file with one input."""
    one = LockedInput(
        store=content.store,
        path=content.key,
        size=content.size,
        token=content.token,
        hashes=hashes,
    )
    return Locked(Lock(source="run.lock", time_ns=0, inputs=(one,)), hashing)


@pytest.fixture
def content(contents: Contents) -> Content:
    """What is in the store."""
    return contents.holds("a", DATA)


@pytest.fixture
def transfer(transfers: Transfers, remote: Remote, content: Content) -> Transfer:
    """It, opened."""
    return transfers.open(content, remote, trusted=True)


async def read(transfers: Transfers, transfer: Transfer, at: int) -> bytes:
    _, data = await transfers.read(transfer, Reader(position=10_000), at, at + 5)
    return bytes(data)


async def test_the_content_that_the_lock_file_names_is_given(
    hashing: Hashing, transfers: Transfers, transfer: Transfer, content: Content
) -> None:
    await locked(hashing, content, hashes_of(DATA)).check(transfer, "/a")
    assert await read(transfers, transfer, CHUNK_BYTES) == DATA[CHUNK_BYTES : CHUNK_BYTES + 5]


async def test_another_content_is_refused_as_often_as_it_is_asked_for(
    hashing: Hashing, transfer: Transfer, content: Content, pool: ScriptedPool
) -> None:
    mount = locked(hashing, content, hashes_of(b"what was locked"))
    for _ in range(3):
        with pytest.raises(errors.Corrupt, match=hashes_of(b"what was locked").sha256) as caught:
            await mount.check(transfer, "/a")
        assert caught.value.key == "/a"
        assert "run.lock" in caught.value.message
    assert len(pool.asked_for(messages.Hash)) == 1, "it will not be another one"
    assert transfer.sums == b""


async def test_a_content_is_checked_once_for_all_its_readers(
    hashing: Hashing,
    transfers: Transfers,
    remote: Remote,
    contents: Contents,
    content: Content,
    pool: ScriptedPool,
) -> None:
    gate = Gate(contents.hash)
    pool.answers(messages.Hash, gate)
    mount = locked(hashing, content, hashes_of(DATA))
    opened = [transfers.open(content, remote, trusted=True) for _ in range(3)]
    async with trio.open_nursery() as nursery:
        for one in opened:
            nursery.start_soon(mount.check, one, "/a")
        await gate.reached.wait()
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    for one in opened:
        transfers.close(one)
    await trio.testing.wait_all_tasks_blocked()
    later = transfers.open(content, remote, trusted=True)
    await mount.check(later, "/a")
    assert len(pool.asked_for(messages.Hash)) == 1
    assert later.sums == contents.sums(content)


async def test_bytes_that_the_store_gives_differently_after_the_check_are_refused(
    hashing: Hashing,
    transfers: Transfers,
    transfer: Transfer,
    contents: Contents,
    content: Content,
) -> None:
    await locked(hashing, content, hashes_of(DATA)).check(transfer, "/a")
    contents.drop(content, 1)
    contents.spoil(content)
    assert await read(transfers, transfer, 0) == DATA[:5]
    with pytest.raises(errors.Corrupt):
        await read(transfers, transfer, CHUNK_BYTES)


async def test_where_the_lock_file_has_no_hashes_what_is_read_first_is_what_stays(
    hashing: Hashing,
    transfers: Transfers,
    transfer: Transfer,
    contents: Contents,
    content: Content,
) -> None:
    await locked(hashing, content, None).check(transfer, "/a")
    contents.drop(content, 0)
    contents.spoil(content)
    with pytest.raises(errors.Corrupt):
        await read(transfers, transfer, 0)


async def test_a_content_that_cannot_be_had_is_no_wrong_one(
    hashing: Hashing, transfer: Transfer, contents: Contents, content: Content, pool: ScriptedPool
) -> None:
    pool.answers(messages.Fetch, errors.Unavailable("no route"))
    mount = locked(hashing, content, hashes_of(DATA))
    with pytest.raises(errors.Unavailable):
        await mount.check(transfer, "/a")
    transfer.remote.note_answer()
    pool.answers(messages.Fetch, contents.fetch)
    await mount.check(transfer, "/a")
    assert transfer.sums == contents.sums(content)


async def test_a_content_that_its_store_has_lost_is_refused_by_the_lock_files_name(
    hashing: Hashing, transfer: Transfer, content: Content, pool: ScriptedPool
) -> None:
    pool.answers(messages.Hash, messages.HashDone(None, damaged="its md5 is another one"))
    mount = locked(hashing, content, hashes_of(DATA))
    for _ in range(2):
        with pytest.raises(errors.Corrupt, match=r"not that of run\.lock: its md5 is another"):
            await mount.check(transfer, "/a")
    assert len(pool.asked_for(messages.Hash)) == 1
