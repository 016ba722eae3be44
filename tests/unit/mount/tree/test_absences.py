"""Names that the kernel remembers as absent: exactly those are given out to be forgotten."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.ledgers import SetClock
from vstorefs.mount.tree.absences import Absences
from vstorefs.mount.tree.inodes import DirectoryNode, Inodes
from vstorefs.mount.tree.remote import Remote


def test_what_the_kernel_remembers_still_is_given_out_once() -> None:
    absences = Absences(SetClock(), Inodes())
    absences.told(1, b"a", 60)
    absences.told(2, b"a", 60)
    assert absences.take() == [(1, b"a"), (2, b"a")]
    assert absences.take() == []


def test_what_it_has_forgotten_by_itself_is_not() -> None:
    clock = SetClock()
    absences = Absences(clock, Inodes())
    absences.told(1, b"short", 10)
    absences.told(1, b"long", 60)
    absences.told(1, b"never", 0)
    clock.now += timedelta(seconds=10)
    assert absences.take() == [(1, b"long")]


def test_a_name_that_is_told_again_is_remembered_from_then_on() -> None:
    clock = SetClock()
    absences = Absences(clock, Inodes())
    absences.told(1, b"a", 10)
    clock.now += timedelta(seconds=9)
    absences.told(1, b"a", 10)
    clock.now += timedelta(seconds=9)
    assert absences.take() == [(1, b"a")]


def test_of_too_many_the_newest_are_kept() -> None:
    absences = Absences(SetClock(), Inodes())
    for number in range(100_010):
        absences.told(1, b"%d" % number, 60)
    absences.told(1, b"10", 60)
    absences.told(1, b"last", 60)
    kept = absences.take()
    assert len(kept) == 100_000
    assert (1, b"11") not in kept, "the oldest goes first"
    assert {(1, b"10"), (1, b"12"), (1, b"last")} <= set(kept)


@pytest.mark.trio
async def test_what_has_come_into_being_since_is_left_alone(remote: Remote) -> None:
    inodes = Inodes()
    root = DirectoryNode(inodes.number(), "", remote=remote)
    inodes.add(root)
    absences = Absences(SetClock(), inodes)
    for told in (b"made", b"listed", b"absent"):
        absences.told(root.number, told, 60)
    for name in ("made", "listed"):
        node = DirectoryNode(inodes.number(), name, remote=remote, parent=root)
        root.children[name] = node
        inodes.add(node)
    # The kernel knows of one of them; of the other it still believes that it is not there.
    inodes.looked_up(root.children["made"])
    assert absences.take() == [(root.number, b"listed"), (root.number, b"absent")]
