"""Runs of a mount without workers: what is waited for, and what is kept when it cannot be told."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio
import trio.testing

from tests.support.clocks import TrioClock
from tests.support.pools import NEVER, Call, Gate, ScriptedPool
from vstorefs import errors
from vstorefs.ledger.manifest import RunStatus
from vstorefs.model import StoreSpec
from vstorefs.mount.provenance.runs import Runs
from vstorefs.project import Project
from vstorefs.workers import messages

pytestmark = pytest.mark.trio


@dataclass
class Begun:
    """A mount whose own run has begun."""

    runs: Runs
    pool: ScriptedPool


async def begin(call: Call) -> messages.Answer:
    request = call.request
    assert isinstance(request, messages.BeginRun)
    await trio.lowlevel.checkpoint()
    return messages.RunBegun(request.run)


@pytest.fixture
async def begun(pool: ScriptedPool, spec: StoreSpec) -> Begun:
    """Workers who take everything."""
    pool.answers(messages.BeginRun, begin)
    pool.answers(messages.EndRun, messages.RunEnded(None))
    pool.answers(messages.ExchangeLedger, messages.Exchanged())
    runs = Runs(pool, Project("", (spec,), "here", single=True), TrioClock(), "/mnt")
    await runs.begin_own()
    return Begun(runs, pool)


async def test_those_who_wait_for_other_hosts_do_so_together(begun: Begun) -> None:
    gate = Gate(messages.Exchanged(waiting=3))
    begun.pool.answers(messages.ExchangeLedger, gate, messages.Exchanged(waiting=2))

    async def exchange() -> None:
        await begun.runs.exchange(whole=False)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange)
        await gate.reached.wait()
        for _ in range(10):
            nursery.start_soon(exchange)
        await trio.testing.wait_all_tasks_blocked()
        gate.open.set()
    # The first had begun before the others had something to send; the second is for all of those.
    assert len(begun.pool.asked_for(messages.ExchangeLedger)) == 2
    assert begun.runs.state.waiting == 2


async def test_an_exchange_that_was_given_up_serves_nobody(begun: Begun) -> None:
    gates = [Gate(messages.Exchanged()) for _ in range(2)]
    begun.pool.answers(messages.ExchangeLedger, *gates, messages.Exchanged(waiting=2))
    scope = trio.CancelScope()

    async def give_up() -> None:
        with scope:
            await begun.runs.exchange(whole=False)

    async def exchange() -> None:
        await begun.runs.exchange(whole=False)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(exchange)
        await gates[0].reached.wait()
        nursery.start_soon(give_up)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(exchange)
        await trio.testing.wait_all_tasks_blocked()
        gates[0].open.set()
        await gates[1].reached.wait()
        scope.cancel()
    assert begun.runs.state.waiting == 2


async def test_an_end_that_the_journal_does_not_take_is_told_again_as_it_was(
    begun: Begun, autojump_clock: trio.testing.MockClock
) -> None:
    begun.pool.answers(
        messages.EndRun, errors.Unavailable("the disk hangs"), messages.RunEnded(None)
    )
    run = begun.runs.own.id
    with pytest.raises(errors.Unavailable):
        await begun.runs.end(run, RunStatus.FAILED, 3)
    await begun.runs.end_all()
    await begun.runs.end_all()
    assert begun.pool.asked_for(messages.EndRun) == [
        messages.EndRun(run, RunStatus.FAILED, 3),
        messages.EndRun(run, RunStatus.FAILED, 3),
    ]


async def test_a_run_whose_end_was_not_taken_ends_when_the_journal_does(
    begun: Begun, nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    begun.pool.answers(messages.EndAbandoned, messages.RunsClosed(()))
    begun.pool.answers(
        messages.EndRun, errors.Unavailable("the disk hangs"), messages.RunEnded(None)
    )
    run = await begun.runs.begin({}, (0, 0))
    with pytest.raises(errors.Unavailable):
        await begun.runs.end(run.id, RunStatus.FINISHED, 0)
    nursery.start_soon(begun.runs.keep, trio.lowlevel.checkpoint, trio.lowlevel.checkpoint)
    await trio.sleep(70)
    assert begun.pool.asked_for(messages.EndRun)[1:] == [
        messages.EndRun(run.id, RunStatus.FINISHED, 0)
    ]


async def test_what_kills_workers_is_not_told_again(begun: Begun) -> None:
    begun.pool.answers(messages.EndRun, errors.StoreError("two died", origin=errors.Origin.US))
    await begun.runs.end_all()
    await begun.runs.end_all()
    assert len(begun.pool.asked_for(messages.EndRun)) == 1


async def test_a_mount_that_ends_waits_for_no_news(
    begun: Begun, autojump_clock: trio.testing.MockClock
) -> None:
    begun.pool.answers(messages.ExchangeLedger, NEVER)
    await trio.sleep(100)
    before = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(begun.runs.catch_up)
        await trio.testing.wait_all_tasks_blocked()
        begun.runs.hurry()
    assert trio.current_time() == before
    await trio.sleep(100)
    await begun.runs.catch_up()
    assert trio.current_time() == before + 100
