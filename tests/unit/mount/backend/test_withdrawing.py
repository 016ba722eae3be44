"""What a definite request is answered is so: an error means that it did not happen, and never will."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.mortal_worker import DEADLY, DEADLY_WRITTEN, REFUSED, UNREADABLE
from tests.support.runningpools import Deaths, Mortals, running, workers_now
from tests.workers.asking import SESSION, Place
from vstorefs import errors
from vstorefs.backoff import Backoff
from vstorefs.clock import utc
from vstorefs.ledger.manifest import Run, RunKind
from vstorefs.ledger.opening import ledger_of
from vstorefs.model import JournalEntry, Key, Operation, RunId, VersionId, Write, WriteId
from vstorefs.mount.backend.pool import Pool
from vstorefs.state.env import State
from vstorefs.state.journal import Journal
from vstorefs.stores.ids import new_id
from vstorefs.workers import messages

pytestmark = [pytest.mark.trio, pytest.mark.timeout(120)]

_HANGS_S = 60.0


@pytest.fixture
async def pool(place: Place) -> AsyncIterator[Pool]:
    """Two workers that have begun."""
    async with running(place.start, 2) as pool:
        await pool.ask(messages.Record((), ()))
        yield pool


@contextmanager
def journal_of(place: Place) -> Iterator[Journal]:
    """The journal, opened by this process."""
    state = State.open(Path(place.state_dir))
    try:
        yield Journal(state)
    finally:
        state.close()


@contextmanager
def hanging(place: Place) -> Iterator[None]:
    """The journal's disk hangs, or a process that was stopped has the journal: no worker gets to write."""
    state = State.open(Path(place.state_dir))
    try:
        with state.writing():
            yield
    finally:
        state.close()


def record(place: Place, name: str) -> messages.Record:
    write = Write(WriteId(f"w-{name}"), VersionId(f"v-{name}"), 0, None)
    entry = JournalEntry(0, SESSION, place.spec.id, Operation.REMOVE, Key(name), write)
    return messages.Record((entry,))


def recorded(place: Place) -> list[str]:
    with journal_of(place) as journal:
        return [one.path for one in journal.pending()]


async def test_many_that_wait_for_a_journal_that_hangs_get_errors_side_by_side(
    pool: Pool, place: Place
) -> None:
    failed: list[str] = []

    async def promise(name: str) -> None:
        with pytest.raises(errors.Unavailable, match="no answer") as caught:
            await pool.ask(record(place, name), bound_s=1)
        assert caught.value.origin is errors.Origin.WAIT
        failed.append(name)

    with hanging(place), trio.fail_after(_HANGS_S):
        async with trio.open_nursery() as nursery:
            for number in range(200):
                nursery.start_soon(promise, f"f{number}")
    assert len(failed) == 200
    await pool.ask(record(place, "later"))
    assert recorded(place) == ["later"]


async def test_what_a_cancelled_caller_wanted_is_never_carried_out(
    pool: Pool, place: Place
) -> None:
    with hanging(place), trio.fail_after(_HANGS_S):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pool.ask, record(place, "a"))
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
    await pool.ask(record(place, "later"))
    assert recorded(place) == ["later"]


async def test_what_is_asked_while_workers_are_stopped_is_answered_as_it_is(
    pool: Pool, place: Place
) -> None:
    """Whether it is withdrawn before it is begun is chance; what is told is what happened."""
    told: list[str] = []

    async def promise(name: str) -> None:
        try:
            await pool.ask(record(place, name), bound_s=0.5)
        except errors.Unavailable:
            return
        told.append(name)

    for number in range(5):
        workers = workers_now()
        for worker in workers:
            os.kill(worker, signal.SIGSTOP)
        with trio.fail_after(_HANGS_S):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(promise, f"f{number}")
                with trio.move_on_after(0.6):
                    await trio.sleep_forever()
                for worker in workers:
                    os.kill(worker, signal.SIGCONT)
    await pool.ask(record(place, "later"))
    assert recorded(place) == [*told, "later"]


async def test_what_a_worker_may_have_done_before_it_died_is_found_out(
    pool: Pool, place: Place, deaths: Deaths
) -> None:
    """Whoever does not wait for that could be told an error that is none."""
    told: list[str] = []
    scope = trio.CancelScope()

    async def promise() -> None:
        with scope:
            await pool.ask(record(place, "a"))
            told.append("a")

    with trio.fail_after(_HANGS_S):
        async with trio.open_nursery() as nursery:
            with hanging(place):
                nursery.start_soon(promise)
                await trio.testing.wait_all_tasks_blocked()
                for worker in workers_now():
                    os.kill(worker, signal.SIGKILL)
                await deaths.wait(2)
                scope.cancel()
                await trio.testing.wait_all_tasks_blocked()
    await pool.ask(record(place, "later"))
    assert recorded(place) == [*told, "later"]


async def test_records_keep_their_order_when_the_worker_that_has_some_dies(
    pool: Pool, place: Place, deaths: Deaths
) -> None:
    names = [f"f{number}" for number in range(10)]
    async with trio.open_nursery() as nursery:

        async def promise(some: list[str]) -> None:
            for name in some:
                nursery.start_soon(pool.ask, record(place, name))
                await trio.testing.wait_all_tasks_blocked()

        with trio.fail_after(_HANGS_S), hanging(place):
            await promise(names[:5])
            os.kill(min(workers_now()), signal.SIGKILL)
            await deaths.wait(1)
            await promise(names[5:])
    assert recorded(place) == names


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next worker comes at once."""
    monkeypatch.setattr("vstorefs.mount.backend.pool._RESTARTS", Backoff(0.01, 0.01))


@pytest.mark.usefixtures("no_pauses")
async def test_what_no_worker_lived_to_say_is_answered_as_the_journal_has_it(
    mortals: Mortals, place: Place, deaths: Deaths
) -> None:
    failed: list[str] = []

    async def refused(pool: Pool, name: str) -> None:
        with pytest.raises(errors.StoreError, match="6 workers died") as caught:
            await pool.ask(record(place, name))
        assert not isinstance(caught.value, errors.OutcomeUnknown)
        failed.append(name)

    with trio.fail_after(_HANGS_S):
        async with mortals(1) as pool, trio.open_nursery() as nursery:
            nursery.start_soon(refused, pool, DEADLY)
            answer = await pool.ask(record(place, DEADLY_WRITTEN))
    with journal_of(place) as journal:
        (entry,) = journal.pending()
    assert (entry.path, answer.seqs, failed) == (DEADLY_WRITTEN, (entry.seq,), [DEADLY])
    assert len(deaths.times) == 6


async def test_a_failure_is_not_believed_where_a_worker_that_died_had_done_it(
    mortals: Mortals, place: Place, deaths: Deaths
) -> None:
    with trio.fail_after(_HANGS_S):
        async with mortals(1) as pool:
            answer = await pool.ask(record(place, REFUSED))
    with journal_of(place) as journal:
        assert answer.seqs == tuple(entry.seq for entry in journal.pending())
    assert len(deaths.times) == 1


@pytest.mark.usefixtures("no_pauses")
async def test_where_the_journal_cannot_be_read_either_the_error_says_so_and_the_mount_goes_on(
    mortals: Mortals, place: Place, deaths: Deaths, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(_HANGS_S):
        async with mortals(1) as pool:
            with pytest.raises(errors.OutcomeUnknown, match="6 workers died"):
                await pool.ask(record(place, UNREADABLE))
            assert len(deaths.times) == 8
            assert (await pool.ask(record(place, "later"))).seqs
    assert "the next mount may carry it out" in caplog.text


async def test_a_run_that_could_not_begin_does_not_begin_later(pool: Pool, place: Place) -> None:
    run = Run(
        id=RunId(new_id()),
        project=place.spec.id,
        kind=RunKind.COMMAND,
        sequence=0,
        started=utc(0),
        user="u",
        host="h",
        mount_point="/m",
        software="0",
    )
    with hanging(place), trio.fail_after(_HANGS_S), pytest.raises(errors.Unavailable):
        await pool.ask(messages.BeginRun(run), bound_s=0.5)
    await pool.ask(record(place, "later"))
    state = State.open(Path(place.state_dir))
    assert list(ledger_of(state, place.spec).runs()) == []
    state.close()
