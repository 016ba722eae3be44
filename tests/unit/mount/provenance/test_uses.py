"""Notes of uses on their way: what is waited for, and what is kept when they cannot be taken."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from vstorefs import errors
from vstorefs.clock import SystemClock
from vstorefs.model import Content, Key, RunId, StoreId, Token
from vstorefs.mount.provenance.uses import Uses
from vstorefs.workers import messages

RUN = RunId("run")
REMOTE: Any = SimpleNamespace(spec=SimpleNamespace(id=StoreId("store")), moment_ns=None)


class Pool:
    """Takes notes; `before` is called when some come, and may fail."""

    def __init__(self) -> None:
        self.taken: list[Any] = []
        self.before: Any = trio.lowlevel.checkpoint

    async def ask(self, request: messages.NoteUses) -> messages.Warned:
        await self.before()
        self.taken += request.notes
        return messages.Warned(())

    @property
    def paths(self) -> list[str]:
        return [one.use.place.path for one in self.taken]


def uses_with(pool: Any) -> Uses:
    ready = trio.Event()
    ready.set()
    runs: Any = SimpleNamespace(
        ready=ready,
        catch_up=trio.lowlevel.checkpoint,
        touch=lambda: None,
        warn=lambda warning: None,
    )
    project: Any = SimpleNamespace(alias_of=lambda spec: "")
    return Uses(pool, project, runs, SystemClock(), pinned=False)


def use(uses: Uses, path: str) -> None:
    content = Content(StoreId("store"), Key(path), Token("token"), 1)
    uses.opened_version(content, REMOTE, RUN)


def test_settling_does_not_wait_for_what_comes_meanwhile() -> None:
    async def check() -> None:
        pool = Pool()
        uses = uses_with(pool)
        use(uses, "first")

        async def somebody_goes_on() -> None:
            use(uses, f"another {len(pool.taken)}")
            await trio.lowlevel.checkpoint()

        pool.before = somebody_goes_on
        with trio.fail_after(1000):
            await uses.send_notes()
        assert pool.paths == ["first"]

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


def test_notes_go_on_after_several_have_settled_at_once() -> None:
    async def check() -> None:
        pool = Pool()
        uses = uses_with(pool)
        use(uses, "first")
        pause = trio.Event()
        pool.before = pause.wait
        async with trio.open_nursery() as nursery:
            nursery.start_soon(uses.run)
            await trio.testing.wait_all_tasks_blocked()
            use(uses, "second")
            nursery.start_soon(uses.send_notes)
            nursery.start_soon(uses.send_notes)
            await trio.testing.wait_all_tasks_blocked()

            async def slowly() -> None:
                await trio.sleep(1)

            pool.before = slowly
            pause.set()
            await trio.sleep(10)
            use(uses, "third")
            await trio.sleep(10)
            nursery.cancel_scope.cancel()
        assert pool.paths == ["first", "second", "third"]

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.parametrize("given_up", [False, True], ids=["refused", "given up"])
def test_what_cannot_be_noted_now_is_noted_later(given_up: bool) -> None:
    async def check() -> None:
        pool = Pool()
        uses = uses_with(pool)
        use(uses, "input")

        async def refused() -> None:
            use(uses, "input")
            if given_up:
                await trio.sleep_forever()
            raise errors.Unavailable("the disk is full")

        pool.before = refused
        with trio.move_on_after(5):
            await uses.send_notes()
        assert pool.taken == []
        pool.before = trio.lowlevel.checkpoint
        await uses.send_notes()
        assert [one.use.opens for one in pool.taken] == [2]

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))


def test_those_who_wait_for_notes_that_cannot_be_taken_are_told_together() -> None:
    async def check() -> None:
        pool = Pool()
        uses = uses_with(pool)
        use(uses, "first")

        async def hang() -> None:
            await trio.sleep(60)
            raise errors.Unavailable("the journal hangs")

        pool.before = hang
        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(uses.send_notes)
        assert trio.current_time() == 60
        pool.before = trio.lowlevel.checkpoint
        await uses.send_notes()
        assert pool.paths == ["first"]

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0))
