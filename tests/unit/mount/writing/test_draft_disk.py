"""Every single change of a staging file fails once: what was written before stays, and the same call again works."""

from __future__ import annotations

import errno
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.contents import Contents
from tests.support.diskfaults import FAULTS, disk
from vstorefs import files
from vstorefs.model import CHUNK_BYTES, SessionId
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.draft import Draft
from vstorefs.state.staging import StagingArea

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]

BASE = os.urandom(CHUNK_BYTES + 77)
SIZE = len(BASE)


@dataclass(frozen=True)
class Step:
    """What a program does to a file, and what the file is then."""

    act: Callable[[Draft], Awaitable[object]]
    makes: Callable[[bytes], bytes]


def _written(at: int, data: bytes) -> Step:
    def makes(before: bytes) -> bytes:
        padded = before.ljust(at, b"\0")
        return padded[:at] + data + padded[at + len(data) :]

    return Step(lambda draft: draft.write(at, data), makes)


def _cut(size: int) -> Step:
    return Step(lambda draft: draft.truncate(size), lambda before: before[:size].ljust(size, b"\0"))


STEPS = {
    "over the base": _written(10, b"some bytes"),
    "at the end": _written(SIZE, b"x" * 1000),
    "behind a gap": _written(SIZE + 5000, b"far away"),
    "shorter": _cut(100),
    "longer": _cut(SIZE + 9000),
    "a gap where it was cut": _written(3000, b"y" * 100),
    "to nothing": _cut(0),
    "from nothing": _written(4, b"z"),
    "on disk": Step(lambda draft: draft.sync(), lambda before: before),
}


class Writer:
    """Makes drafts over one content, and reads them."""

    def __init__(
        self, folder: Path, transfers: Transfers, remote: Remote, contents: Contents
    ) -> None:
        self.folder = folder / "staging"
        self.area = StagingArea(folder, SessionId("session"))
        self.transfers = transfers
        self.remote = remote
        self.base = contents.holds("a", BASE)

    async def after(self, count: int) -> tuple[Draft, bytes]:
        """A draft after so many steps."""
        draft = await Draft.over(self.area, self.base, self.base.token, None)
        content = BASE
        for step in list(STEPS.values())[:count]:
            await step.act(draft)
            content = step.makes(content)
        return draft, content

    async def read(self, draft: Draft) -> bytes:
        """What readers see, also behind where it ends."""
        return await draft.read(self.transfers, self.remote, 0, 1 << 40)

    async def left(self) -> list[Path]:
        """The staging files that are there when all has been cleared away."""
        await trio.testing.wait_all_tasks_blocked(0.01)
        with trio.fail_after(10):
            while found := [one for one in self.folder.rglob("*") if one.is_file()]:
                await trio.sleep(0.01)
        return found


@pytest.fixture
def writer(tmp_path: Path, transfers: Transfers, remote: Remote, contents: Contents) -> Writer:
    """One session's staging area, over a store."""
    return Writer(tmp_path / "state", transfers, remote, contents)


@pytest.mark.parametrize("number", range(len(STEPS)), ids=list(STEPS))
async def test_a_change_that_the_disk_refuses_has_not_happened(writer: Writer, number: int) -> None:
    step = list(STEPS.values())[number]
    draft, before = await writer.after(number)
    with disk(watched=_is_awaited) as whole:
        await step.act(draft)
    draft.discard()
    for at, label in enumerate(whole.made):
        for fault in FAULTS:
            draft, before = await writer.after(number)
            with disk(at, fault, watched=_is_awaited):
                refused = await _refusal(step.act(draft))
            if fault is None:
                assert refused is None
            else:
                assert refused == fault
                assert await writer.read(draft) == before, label
                # What the disk took of it all the same does not show where the file grows later.
                await draft.truncate(len(before) + 20_000)
                assert await writer.read(draft) == before + bytes(20_000)
                await draft.truncate(len(before))
                await step.act(draft)
            assert await writer.read(draft) == step.makes(before)
            draft.discard()
    assert await writer.left() == []


async def test_a_write_that_the_full_disk_took_in_part_has_not_happened(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft, before = await writer.after(0)
    writes = 0

    def filling(label: str) -> int | None:
        nonlocal writes
        writes += label == "staging.write"
        if writes == 2:
            writes += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return 500

    monkeypatch.setattr(files, "before_change", filling)
    assert await _refusal(draft.write(SIZE, b"x" * 1000)) == errno.ENOSPC
    monkeypatch.undo()
    assert await writer.read(draft) == before
    await draft.truncate(SIZE + 2000)
    assert await writer.read(draft) == before + bytes(2000)
    draft.discard()


async def test_what_a_sync_refused_is_written_again_for_the_next_one(writer: Writer) -> None:
    """The kernel takes what it could not write for written: another sync alone would succeed, and lose it."""
    draft, content = await writer.after(2)
    with disk(watched=_is_awaited) as whole:
        await draft.sync()
    with disk(whole.made.index("staging.sync"), errno.EIO, watched=_is_awaited) as broken:
        assert await _refusal(draft.sync()) == errno.EIO
    assert broken.made[-2:] == ["staging.write-again", "staging.write-again"]
    assert len(draft.present) == 2
    assert await writer.read(draft) == content
    draft.discard()


async def test_drafts_that_cannot_be_made_leave_nothing(writer: Writer) -> None:
    draft, content = await writer.after(2)
    made: list[Draft] = []

    async def make() -> None:
        made.append(await draft.clone(None))
        assert await writer.read(made[-1]) == content
        made.append(await Draft.over(writer.area, writer.base, writer.base.token, None))

    with disk(watched=_is_awaited) as whole:
        await make()
    assert {"staging.create", "staging.open", "staging.copy", "staging.size"} <= set(whole.made)
    for at in range(len(whole.made)):
        for fault in FAULTS:
            with disk(at, fault, watched=_is_awaited):
                assert await _refusal(make()) == fault
    for one in (*made, draft):
        one.discard()
    assert await writer.left() == []


def _is_awaited(label: str) -> bool:
    # Drafts of before are cleared away meanwhile, in threads.
    return label.startswith("staging.") and label != "staging.remove"


async def _refusal(call: Awaitable[object]) -> int | None:
    try:
        await call
    except OSError as error:
        return error.errno
    return None
