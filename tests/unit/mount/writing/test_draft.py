"""Content being written, over a base: what is read back is what was written, and what is frozen never changes."""

from __future__ import annotations

import errno
import os
import random
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.contents import Contents
from tests.support.pools import Gate, ScriptedPool
from vstorefs import errors
from vstorefs.model import CHUNK_BYTES, Content, SessionId, Staged, Token, WriteId
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.draft import Draft, remove_later
from vstorefs.state.staging import StagingArea
from vstorefs.workers import messages

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]

BASE = os.urandom(2 * CHUNK_BYTES + 77)


class Writer:
    """Makes drafts and reads them back whole."""

    def __init__(
        self, area: StagingArea, transfers: Transfers, remote: Remote, folder: Path
    ) -> None:
        self.area = area
        self.transfers = transfers
        self.remote = remote
        self.folder = folder

    async def over(self, under: Content | None) -> Draft:
        """A draft over a content, or over nothing."""
        base = under.token if under is not None else None
        return await Draft.over(self.area, under, base, None)

    async def read(self, draft: Draft, start: int = 0, end: int = 1 << 40) -> bytes:
        """What its readers see."""
        return await draft.read(self.transfers, self.remote, start, end)

    @property
    def staged(self) -> list[Path]:
        """The staging files that are there."""
        return [one for one in self.folder.rglob("*") if one.is_file()]


@pytest.fixture
def writer(tmp_path: Path, transfers: Transfers, remote: Remote, contents: Contents) -> Writer:
    """One session's staging area, over a store."""
    state = tmp_path / "state"
    area = StagingArea(state, SessionId("session"))
    return Writer(area, transfers, remote, state / "staging")


@pytest.fixture
def base(contents: Contents) -> Content:
    """What a writer starts from."""
    return contents.holds("a", BASE)


# --- what is read back


async def test_what_is_written_is_read_back(writer: Writer) -> None:
    draft = await writer.over(None)
    assert await draft.write(0, b"hello ") == 6
    await draft.write(6, b"world")
    assert await writer.read(draft) == b"hello world"
    assert await writer.read(draft, 3, 8) == b"lo wo"
    assert await writer.read(draft, 11, 20) == b""


async def test_a_gap_behind_the_end_is_zeros(writer: Writer, base: Content) -> None:
    fresh, over = await writer.over(None), await writer.over(base)
    await fresh.write(5, b"x")
    assert await writer.read(fresh) == b"\0\0\0\0\0x"
    await over.write(len(BASE) + 5, b"x")
    assert await writer.read(over) == BASE + b"\0\0\0\0\0x"


async def test_what_was_not_written_is_that_of_the_base(writer: Writer, base: Content) -> None:
    draft = await writer.over(base)
    assert draft.size == len(BASE)
    assert await writer.read(draft) == BASE
    await draft.write(CHUNK_BYTES - 2, b"1234")
    assert await writer.read(draft) == BASE[: CHUNK_BYTES - 2] + b"1234" + BASE[CHUNK_BYTES + 2 :]


async def test_nothing_is_fetched_until_it_is_needed_and_then_no_more_than_that(
    writer: Writer, base: Content, pool: ScriptedPool
) -> None:
    draft = await writer.over(base)
    await draft.write(2 * CHUNK_BYTES - 10, b"x" * 20)
    await draft.truncate(2 * CHUNK_BYTES + 30)
    assert await writer.read(draft, 2 * CHUNK_BYTES - 10, 2 * CHUNK_BYTES + 10) == b"x" * 20
    assert pool.asked_for(messages.Fetch) == []
    await writer.read(draft, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES + 30)
    assert [(one.first, one.last) for one in pool.asked_for(messages.Fetch)] == [(2, 3)]


async def test_what_was_cut_off_does_not_come_back(writer: Writer, base: Content) -> None:
    draft = await writer.over(base)
    await draft.write(8, b"12")
    await draft.truncate(9)
    assert draft.staged().present == ((8, 9),)
    await draft.truncate(20)
    assert await writer.read(draft) == BASE[:8] + b"1" + bytes(11)


async def test_a_cut_that_fails_changes_nothing(
    writer: Writer, base: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await writer.over(base)
    await draft.write(10, b"new")
    before = await writer.read(draft)

    def refuse(number: int, size: int) -> None:
        raise OSError(errno.EIO, "the disk is broken")

    with monkeypatch.context() as broken:
        broken.setattr("os.ftruncate", refuse)
        for size in (0, 11, len(BASE) + 5):
            with pytest.raises(OSError, match="broken"):
                await draft.truncate(size)
    assert await writer.read(draft) == before


async def test_what_a_write_that_failed_has_left_does_not_come_back(
    writer: Writer, base: Content, monkeypatch: pytest.MonkeyPatch
) -> None:
    longer = await writer.over(None)
    further = await writer.over(None)

    def write_a_part(label: str, number: int, data: bytes, offset: int) -> None:
        del label
        os.pwrite(number, data[:3], offset)
        raise OSError(errno.ENOSPC, "the disk is full")

    for draft in (longer, further):
        await draft.write(0, b"one")
        with monkeypatch.context() as full:
            full.setattr("vstorefs.files.write_all", write_a_part)
            with pytest.raises(OSError, match="full"):
                await draft.write(3, b"lost")
    await longer.truncate(8)
    await further.write(8, b"!")
    assert await writer.read(longer) == b"one\0\0\0\0\0"
    assert await writer.read(further) == b"one\0\0\0\0\0!"


async def test_a_file_that_was_emptied_has_nothing_of_its_base(
    writer: Writer, base: Content, pool: ScriptedPool
) -> None:
    draft = await writer.over(base)
    await draft.truncate(0)
    await draft.write(3, b"x")
    assert await writer.read(draft) == b"\0\0\0x"
    assert draft.staged().base is None
    assert pool.asked == []


@pytest.mark.parametrize("seed", range(6))
async def test_any_changes_leave_what_a_plain_file_would_have(
    writer: Writer, contents: Contents, seed: int
) -> None:
    chance = random.Random(seed)
    model = bytearray(chance.randbytes(100))
    draft = await writer.over(contents.holds("a", bytes(model)))
    for step in range(40):
        at = chance.randrange(200)
        match chance.randrange(4):
            case 0:
                await draft.truncate(at)
                model = model[:at].ljust(at, b"\0")
            case 1:
                draft = await draft.clone(WriteId(str(step)))
            case _:
                data = chance.randbytes(chance.randrange(1, 30))
                await draft.write(at, data)
                model = model.ljust(at, b"\0")
                model[at : at + len(data)] = data
        assert draft.size == len(model)
        assert await writer.read(draft, 0, 300) == model
        start = chance.randrange(200)
        assert await writer.read(draft, start, start + 50) == model[start : start + 50]


async def test_a_base_that_is_lost_is_an_error_where_it_is_needed(
    writer: Writer, base: Content, pool: ScriptedPool
) -> None:
    pool.answers(messages.Fetch, errors.Changed("other content"))
    draft = await writer.over(base)
    await draft.write(0, b"12345")
    assert await writer.read(draft, 0, 5) == b"12345"
    with pytest.raises(errors.Changed):
        await writer.read(draft, 0, 6)


# --- what the journal gets


async def test_the_journal_hears_what_is_there_and_where_the_rest_is(
    writer: Writer, base: Content
) -> None:
    draft = await writer.over(base)
    dirty = [draft.dirty]
    await draft.write(10, b"12345")
    await draft.write(15, b"678")
    await draft.truncate(len(BASE) + 4)
    assert [*dirty, draft.dirty] == [False, True]
    assert draft.staged() == Staged(
        draft.name, len(BASE) + 4, ((10, 18), (len(BASE), len(BASE) + 4)), base
    )
    assert draft.base == base.token


async def test_an_empty_base_is_none(writer: Writer, contents: Contents) -> None:
    draft = await writer.over(contents.holds("a", b""))
    assert draft.staged().base is None
    assert draft.base is not None


async def test_what_is_synced_has_its_full_size_on_the_disk(writer: Writer, base: Content) -> None:
    draft = await writer.over(base)
    await draft.write(3, b"x")
    await draft.sync()
    file = writer.area.path(draft.name)
    assert file.stat().st_size == len(BASE)
    assert file.read_bytes()[:4] == b"\0\0\0x"


async def test_what_is_frozen_keeps_its_content_while_its_clone_is_written_on(
    writer: Writer, base: Content
) -> None:
    draft = await writer.over(base)
    await draft.write(0, b"first")
    promised = draft.staged()
    clone = await draft.clone(WriteId("w1"))
    assert (clone.after, clone.base) == ("w1", None), "it goes on from that write"
    await clone.write(0, b"second")
    await clone.truncate(len(BASE) + 1)
    assert draft.staged() == promised
    assert await writer.read(draft) == b"first" + BASE[5:]
    assert await writer.read(clone) == b"second" + BASE[6:] + b"\0"
    assert clone.name != draft.name
    assert writer.area.path(draft.name).read_bytes()[:5] == b"first"


# --- the staging file


async def _gone(writer: Writer, draft: Draft) -> None:
    """Until a draft's staging file is removed, by a thread of its own."""
    while writer.area.path(draft.name).exists():
        await trio.sleep(0)


async def test_a_draft_that_is_not_wanted_leaves_nothing(writer: Writer, base: Content) -> None:
    draft = await writer.over(base)
    number = draft.number
    draft.discard()
    draft.discard()
    await _gone(writer, draft)
    assert writer.staged == []
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


async def test_one_that_is_being_read_goes_when_that_is_done(
    writer: Writer, base: Content, contents: Contents, pool: ScriptedPool
) -> None:
    gate = Gate(contents.fetch)
    pool.answers(messages.Fetch, gate)
    draft = await writer.over(base)
    await draft.write(0, b"12345")
    seen = []

    async def look() -> None:
        seen.append(await writer.read(draft))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(look)
        await gate.reached.wait()
        draft.discard()
        assert await writer.read(draft, 0, 5) == b"12345", "it is still open"
        gate.open.set()
    assert seen == [b"12345" + BASE[5:]]
    await _gone(writer, draft)


async def test_a_reader_who_goes_away_lets_it_go(
    writer: Writer, base: Content, contents: Contents, pool: ScriptedPool
) -> None:
    gate = Gate(contents.fetch)
    pool.answers(messages.Fetch, gate)
    draft = await writer.over(base)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.read, draft)
        await gate.reached.wait()
        draft.discard()
        nursery.cancel_scope.cancel()
    await _gone(writer, draft)


async def test_a_staging_file_that_cannot_be_removed_is_said_and_ends_nothing(
    writer: Writer, caplog: pytest.LogCaptureFixture
) -> None:
    writer.area.path("session/folder").mkdir()
    remove_later(writer.area, "session/folder")
    while not caplog.records:
        await trio.sleep(0)
    assert (writer.folder / "session" / "folder").is_dir()


async def test_a_new_draft_has_a_base_without_content_where_nothing_of_it_is_wanted(
    writer: Writer,
) -> None:
    draft = await Draft.over(writer.area, None, Token("t"), WriteId("w"))
    assert (draft.base, draft.after, draft.size) == ("t", "w", 0)
    assert await writer.read(draft) == b""


async def test_a_read_gives_nothing_of_what_is_cut_off_meanwhile(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = await writer.over(None)
    await draft.write(0, b"content")

    def cut_meanwhile(_number: int, length: int, _offset: int) -> bytes:
        draft.size = 3
        return b"con".ljust(length, b"\0")

    monkeypatch.setattr("vstorefs.mount.writing.draft._pread", cut_meanwhile)
    assert await writer.read(draft) == b"con"
