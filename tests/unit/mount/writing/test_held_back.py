"""Closed scratch files: published when nobody renamed them, at once when everything is wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from vstorefs import errors
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode
from vstorefs.mount.writing.held_back import HOLD_S, HeldBack


class Publisher:
    """Remembers what was published, and when; fails as often as told."""

    def __init__(self, failures: int = 0) -> None:
        self.published: list[tuple[str, float]] = []
        self._failures = failures
        self._began = trio.current_time()

    async def __call__(self, node: FileNode) -> None:
        await trio.lowlevel.checkpoint()
        if self._failures:
            self._failures -= 1
            raise errors.JournalError("the disk is full")
        self.published.append((node.name, round(trio.current_time() - self._began, 3)))


def file(name: str) -> FileNode:
    remote: Any = None
    return FileNode(2, name, remote=remote, parent=DirectoryNode(1, "", remote=remote))


@pytest.fixture
def clock() -> MockClock:
    return MockClock(autojump_threshold=0)


def run(clock: MockClock, story: Callable[[trio.Nursery], Awaitable[None]]) -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await story(nursery)
            nursery.cancel_scope.cancel()

    trio.run(main, clock=clock)


def test_each_is_published_when_its_time_has_come(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        publisher = Publisher()
        held = HeldBack(publisher)
        nursery.start_soon(held.run)
        held.hold(file("a.tmp"))
        await trio.sleep(2)
        held.hold(file("b.tmp"))
        assert len(held) == 2
        await trio.sleep(30)
        assert publisher.published == [("a.tmp", HOLD_S), ("b.tmp", HOLD_S + 2)]
        assert len(held) == 0

    run(clock, story)


def test_one_that_was_renamed_in_time_is_not(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        publisher = Publisher()
        held = HeldBack(publisher)
        nursery.start_soon(held.run)
        renamed, stays = file("a.tmp"), file("b.tmp")
        held.hold(renamed)
        held.hold(stays)
        await trio.sleep(HOLD_S - 0.1)
        held.release(renamed)
        await trio.sleep(30)
        assert publisher.published == [("b.tmp", HOLD_S)]

    run(clock, story)


def test_time_counts_from_the_last_close(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        publisher = Publisher()
        held = HeldBack(publisher)
        nursery.start_soon(held.run)
        node = file("log.tmp")
        for _ in range(4):
            held.hold(node)
            await trio.sleep(HOLD_S - 1)
        assert publisher.published == []
        await trio.sleep(30)
        assert publisher.published == [("log.tmp", 3 * (HOLD_S - 1) + HOLD_S)]

    run(clock, story)


def test_all_are_published_at_once_when_that_is_wanted(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        publisher = Publisher()
        held = HeldBack(publisher)
        nursery.start_soon(held.run)
        held.hold(file("a.tmp"))
        held.hold(file("b.tmp"))
        await held.publish_all()
        assert publisher.published == [("a.tmp", 0), ("b.tmp", 0)]
        await trio.sleep(30)
        assert len(publisher.published) == 2

    run(clock, story)


def test_what_fails_is_held_and_tried_again(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        publisher = Publisher(failures=2)
        held = HeldBack(publisher)
        nursery.start_soon(held.run)
        held.hold(file("a.tmp"))
        await held.publish_all()
        assert len(held) == 1
        await trio.sleep(30)
        assert publisher.published == [("a.tmp", 2 * HOLD_S)]

    run(clock, story)


def test_who_wants_everything_sent_waits_for_what_is_being_published(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        going_on, published = trio.Event(), []

        async def slowly(node: FileNode) -> None:
            going_on.set()
            await trio.sleep(1)
            published.append(node.name)

        held = HeldBack(slowly)
        nursery.start_soon(held.run)
        held.hold(file("a.tmp"))
        await going_on.wait()
        assert len(held) == 1
        await held.publish_all()
        assert (published, len(held)) == (["a.tmp"], 0)

    run(clock, story)


def test_a_close_while_it_is_being_published_counts(clock: MockClock) -> None:
    async def story(nursery: trio.Nursery) -> None:
        going_on, published = trio.Event(), []

        async def slowly(node: FileNode) -> None:
            going_on.set()
            await trio.sleep(1)
            published.append(node.name)

        held = HeldBack(slowly)
        nursery.start_soon(held.run)
        node = file("a.tmp")
        held.hold(node)
        await going_on.wait()
        held.hold(node)
        await trio.sleep(HOLD_S + 2)
        assert published == ["a.tmp", "a.tmp"]

    run(clock, story)
