"""Whose process it is, and runs whose processes are gone."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing

from vstorefs import files
from vstorefs.clock import SystemClock
from vstorefs.ledger.manifest import RunStatus
from vstorefs.model import RunId, StoreId
from vstorefs.mount.provenance.processes import Processes
from vstorefs.mount.provenance.runs import Runs
from vstorefs.workers import messages

RUN = RunId("run")


def test_a_process_whose_parent_ends_meanwhile_stays_in_its_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # 30 was started by 20, which ends just now; the run's root, 10, takes 30 in.
    parents = {10: (1, 100), 20: (10, 200), 30: (20, 300)}

    def parent_of(pid: int) -> tuple[int, int] | None:
        found = parents.get(pid)
        if pid == 30 and 20 in parents:
            del parents[20]
            parents[30] = (10, 300)
        return found

    monkeypatch.setattr(files, "process_parent", parent_of)
    processes = Processes()
    processes.add((10, 100), RUN)
    assert processes.run_of(30) == RUN


def test_a_run_that_begins_while_dead_ones_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = Processes()
    processes.add((10, 100), RUN)

    def begins_meanwhile(pid: int) -> None:
        processes.add((pid + 1, 100), RunId(f"run {pid}"))

    monkeypatch.setattr(files, "process_start", begins_meanwhile)
    assert processes.dead() == [RUN]


class Pool:
    async def ask(self, request: Any) -> Any:
        await trio.lowlevel.checkpoint()
        match request:
            case messages.BeginRun():
                return messages.RunBegun(request.run)
            case messages.EndRun():
                return messages.RunEnded(None)
            case messages.EndAbandoned():
                return messages.RunsClosed(())
            case _:
                return messages.Exchanged()


def test_a_run_that_ends_while_its_process_is_found_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "process_start", lambda pid: None)

    async def check() -> None:
        pool: Any = Pool()
        project: Any = SimpleNamespace(default_store=SimpleNamespace(id=StoreId("store")))
        runs = Runs(pool, project, SystemClock(), "/mnt")
        ended = trio.Event()

        async def settle() -> None:
            if not ended.is_set():
                await runs.end(run.id, RunStatus.FINISHED, 0)
                ended.set()

        run = await runs.begin({"command": ("true",)}, (10, 100))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runs.keep, settle, trio.lowlevel.checkpoint)
            await ended.wait()
            # The mount lives on.
            await trio.sleep(10)
            nursery.cancel_scope.cancel()

    trio.run(check, clock=trio.testing.MockClock(autojump_threshold=0.05))
