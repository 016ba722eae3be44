"""Workers as the front has them: real processes, stopped, killed and dying of themselves; a job outlives them."""

from __future__ import annotations

import errno
import itertools
import math
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
import trio.testing

from tests.support.contents import hashes_of
from tests.support.runningpools import Deaths, Mortals, Reports, running, workers_now
from tests.workers.asking import SESSION, Place
from vstorefs import errors
from vstorefs.model import (
    CHUNK_BYTES,
    Content,
    JournalEntry,
    Key,
    Operation,
    StoreId,
    Token,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.mount.backend.job import Job, repeat
from vstorefs.workers import messages

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]

TOKEN = Token("token")


def entry(store: StoreId) -> JournalEntry:
    write = Write(WriteId("w"), VersionId("v"), 0, None)
    return JournalEntry(1, SESSION, store, Operation.REMOVE, Key("a"), write)


async def test_reports_come_in_order_and_before_the_answer(place: Place) -> None:
    content = place.content("a", os.urandom(5 * CHUNK_BYTES + 1))
    reports: list[messages.Report] = []
    async with running(place.start, 2) as pool:
        answer = await pool.ask(messages.Fetch(content, 0, 6, pin=False), on_report=reports.append)
        assert reports == [messages.Arrived(chunk) for chunk in range(6)]
    assert answer == messages.Fetched(content.size)


async def test_an_error_comes_with_its_class_and_place(mortals: Mortals) -> None:
    async with mortals(1) as pool:
        with pytest.raises(errors.Denied, match="not for you") as caught:
            await pool.ask(messages.Find(StoreId("s"), Key("a/b")))
    assert (caught.value.store, caught.value.key, caught.value.operation) == ("s", "a/b", "list")


async def test_what_a_worker_has_to_say_is_in_the_log(
    mortals: Mortals, place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    async with mortals(1) as pool:
        await pool.ask(messages.Check(place.spec.id))
    assert "that is odd" in [record.getMessage() for record in caplog.records]


async def test_a_job_of_a_worker_that_was_killed_is_asked_again(place: Place) -> None:
    data = os.urandom(CHUNK_BYTES)
    content = place.content("a", data)
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Check(place.spec.id))
        (worker,) = workers_now()
        # It can take in nothing any more, so that it dies with the job undone.
        os.kill(worker, signal.SIGSTOP)
        job = pool.start(messages.Fetch(content, 0, 1, pin=False))
        await trio.testing.wait_all_tasks_blocked()
        os.kill(worker, signal.SIGKILL)
        assert await pool.finish(job) == messages.Fetched(len(data))
        assert worker not in workers_now()


async def test_what_was_told_of_a_job_is_told_the_next_worker_too(place: Place) -> None:
    data = os.urandom(9 * CHUNK_BYTES)
    content = place.content("a", data)
    reports = Reports()
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Fetch(content, 0, 9, pin=True))
        job = pool.start(messages.Hash(content, 0), reports)
        pool.tell(job, messages.Available(8))
        await reports.wait(messages.Hashed(8))
        (worker,) = workers_now()
        os.kill(worker, signal.SIGKILL)
        await reports.wait(messages.Hashed(8), times=2)
        pool.tell(job, messages.Available(9))
        answer = await pool.finish(job)
    assert isinstance(answer, messages.HashDone)
    assert answer.hashes == hashes_of(data)


async def test_a_job_outlives_all_workers_that_somebody_kills(place: Place) -> None:
    data = os.urandom(2 * CHUNK_BYTES)
    content = place.content("a", data)
    reports = Reports()
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Fetch(content, 0, 2, pin=True))
        job = pool.start(messages.Hash(content, 0), reports)
        pool.tell(job, messages.Available(1))
        for number in range(1, 6):
            await reports.wait(messages.Hashed(1), times=number)
            (worker,) = workers_now()
            os.kill(worker, signal.SIGKILL)
        pool.tell(job, messages.Available(2))
        assert (await pool.finish(job)).hashes == hashes_of(data)


async def test_a_worker_that_was_stopped_costs_its_jobs_a_delay(
    place: Place, deaths: Deaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vstorefs.mount.backend.pool._PING_EVERY_S", 0.3)
    data = os.urandom(CHUNK_BYTES)
    content = place.content("a", data)
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Check(place.spec.id))
        (worker,) = workers_now()
        os.kill(worker, signal.SIGSTOP)
        answer = await pool.ask(messages.Fetch(content, 0, 1, pin=False))
        assert answer == messages.Fetched(len(data))
        assert worker not in workers_now()


async def test_workers_that_die_before_they_have_begun_say_nothing_of_what_they_were_given(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = place.content("a", b"not read yet")
    script, died = tmp_path / "python", tmp_path / "died"
    script.write_text(
        f'#!/bin/sh\n[ "$(cat {died} | wc -c)" -ge 3 ] && exec {sys.executable} "$@"\n'
        f"printf x >>{died}\n"
    )
    script.chmod(0o700)
    died.touch()
    monkeypatch.setattr(sys, "executable", str(script))
    async with running(place.start, 1) as pool:
        assert await pool.ask(messages.Known(content)) == messages.HashesKnown(None, read=False)
    assert died.read_text() == "xxx"


class Refusals:
    """A host that gives no new process for a while."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = iter(numbers)
        self._popen = subprocess.Popen

    def __call__(self, *arguments: Any, **more: Any) -> subprocess.Popen[bytes]:
        number = next(self._numbers, None)
        if number is not None:
            raise OSError(number, os.strerror(number))
        return self._popen(*arguments, **more)


async def test_a_host_that_gives_no_process_for_a_while_delays_what_is_asked(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Check(place.spec.id))
        refusals = Refusals([errno.EMFILE, errno.ENOMEM, errno.EAGAIN])
        monkeypatch.setattr(subprocess, "Popen", refusals)
        for worker in workers_now():
            os.kill(worker, signal.SIGKILL)
        checked = await pool.ask(messages.Check(place.spec.id))
        assert checked.capabilities.writable


async def test_the_workers_that_are_left_do_what_a_dead_one_had(
    place: Place, monkeypatch: pytest.MonkeyPatch, deaths: Deaths
) -> None:
    content = place.content("a", b"not read yet")
    async with running(place.start, 2) as pool:
        await pool.ask(messages.Check(place.spec.id))
        monkeypatch.setattr(subprocess, "Popen", Refusals(itertools.repeat(errno.EAGAIN)))
        for worker in workers_now():
            os.kill(worker, signal.SIGSTOP)
        jobs = [pool.start(messages.Known(content)) for _ in range(4)]
        await trio.testing.wait_all_tasks_blocked()
        dead, living = workers_now()
        os.kill(dead, signal.SIGKILL)
        os.kill(living, signal.SIGCONT)
        for job in jobs:
            assert await pool.finish(job) == messages.HashesKnown(None, read=False)
        assert workers_now() == [living]


async def test_a_mount_for_which_there_are_no_processes_says_so(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subprocess, "Popen", Refusals(itertools.repeat(errno.EAGAIN)))
    with pytest.raises(ExceptionGroup) as caught:
        async with running(place.start, 1):
            pass
    assert caught.group_contains(errors.VstorefsError, match="cannot start a worker")


async def test_a_fetch_goes_on_behind_the_last_chunk_that_arrived(mortals: Mortals) -> None:
    content = Content(StoreId("s"), Key("a"), TOKEN, 5 * CHUNK_BYTES)
    reports: list[messages.Report] = []
    async with mortals(1) as pool:
        job = pool.start(messages.Fetch(content, 0, 5, pin=False), reports.append)
        await pool.finish(job)
    assert reports == [messages.Arrived(chunk) for chunk in range(5)]


async def test_a_fetch_that_gets_further_each_time_is_not_refused(mortals: Mortals) -> None:
    content = Content(StoreId("s"), Key("a"), TOKEN, 9 * CHUNK_BYTES)
    reports: list[messages.Report] = []
    async with mortals(1) as pool:
        job = pool.start(messages.Fetch(content, 0, 9, pin=False), reports.append)
        assert await pool.finish(job) == messages.Fetched(0)
    assert reports == [messages.Arrived(chunk) for chunk in range(9)]


async def test_nor_a_hash_that_gets_further_than_ever_before(
    mortals: Mortals, deaths: Deaths
) -> None:
    content = Content(StoreId("s"), Key("a"), TOKEN, 9 * CHUNK_BYTES)
    async with mortals(1) as pool:
        job = pool.start(messages.Hash(content, 9))
        await deaths.wait(3)
        assert not job.done.is_set()


@pytest.mark.parametrize(
    "request_",
    [
        messages.NoteRecency(()),
        messages.ListDirectory(StoreId("s"), Key(""), 0.0),
        messages.Hash(Content(StoreId("s"), Key("a"), TOKEN, 1), 0, sums=True),
    ],
    ids=lambda request: type(request).__name__,
)
async def test_what_two_workers_have_died_of_is_refused_and_the_mount_goes_on(
    mortals: Mortals, deaths: Deaths, request_: messages.Request[messages.Answer]
) -> None:
    """One ends them, another makes them say what is no message, and one gets no further at the second try."""
    content = Content(StoreId("s"), Key("a"), TOKEN, 1)
    async with mortals(1) as pool:
        with pytest.raises(errors.StoreError, match="2 workers died") as caught:
            await pool.ask(request_)
        assert type(caught.value) is errors.StoreError, "an error of ours, not of a store"
        assert (await pool.ask(messages.Known(content))).read


async def test_what_was_there_by_chance_when_workers_died_of_another_job_is_answered(
    mortals: Mortals,
) -> None:
    """They are with it each time, for there is one worker only."""
    innocent = messages.HistoryNames(StoreId("s"), Key(""))
    async with mortals(1) as pool:
        jobs = [pool.start(innocent) for _ in range(7)]
        guilty = pool.start(messages.NoteRecency(()))
        jobs += [pool.start(innocent) for _ in range(7)]
        with pytest.raises(errors.StoreError, match="workers died"):
            await pool.finish(guilty)
        for job in jobs:
            assert await pool.finish(job) == messages.Names(())
        await trio.testing.wait_all_tasks_blocked()
        known = await pool.ask(messages.Known(Content(StoreId("s"), Key("a"), TOKEN, 1)))
        assert known.read


async def test_no_page_of_an_answer_comes_twice(mortals: Mortals) -> None:
    reports: list[messages.Report] = []
    async with mortals(1) as pool:
        with pytest.raises(errors.StoreError, match="ask again"):
            await pool.ask(messages.Log(StoreId("s"), Key("")), on_report=reports.append)
    assert reports == [messages.Rows(b"[]")]


async def test_that_a_job_is_abandoned_is_told_the_next_worker_whatever_was_told_since(
    place: Place,
) -> None:
    content = place.content("a", os.urandom(2 * CHUNK_BYTES))
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Check(place.spec.id))
        (worker,) = workers_now()
        os.kill(worker, signal.SIGSTOP)
        job = pool.start(messages.Hash(content, 0))
        pool.tell(job, messages.Abandon())
        pool.tell(job, messages.Available(1))
        os.kill(worker, signal.SIGKILL)
        assert await pool.finish(job) == messages.HashDone(None)


async def test_what_is_reported_to_one_who_went_away_harms_nobody(place: Place) -> None:
    """As of `vstorefs log`, where nobody reads the rest."""
    content = place.content("a", os.urandom(3 * CHUNK_BYTES))
    outbox, inbox = trio.open_memory_channel[messages.Report](10)
    outbox.close()
    inbox.close()
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Fetch(content, 0, 3, pin=False))
        (worker,) = workers_now()
        os.kill(worker, signal.SIGSTOP)
        with trio.CancelScope() as scope:
            scope.cancel()
            await pool.ask(messages.Fetch(content, 0, 3, pin=False), on_report=outbox.send_nowait)
        os.kill(worker, signal.SIGCONT)
        await pool.ask(messages.Fetch(content, 0, 3, pin=False))
        assert workers_now() == [worker]


async def test_what_nobody_waits_for_is_not_asked_of_another_worker(place: Place) -> None:
    content = place.content("a", b"never said to be there")
    async with running(place.start, 1) as pool:
        await pool.ask(messages.Check(place.spec.id))
        (worker,) = workers_now()
        os.kill(worker, signal.SIGSTOP)
        job = pool.start(messages.Hash(content, 0))
        with trio.CancelScope() as scope:
            scope.cancel()
            await pool.finish(job)
        os.kill(worker, signal.SIGKILL)
        await job.done.wait()
        assert isinstance(job.answer, messages.Failure)


async def test_workers_that_die_before_they_were_told_anything_do_not_end_the_mount(
    place: Place,
    deaths: Deaths,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")
    # More than a socket takes in, so that the end comes while it is being said.
    start = msgspec.structs.replace(place.start, cache_dir="x" * (16 << 20))
    async with running(start, 2):
        await deaths.wait(4)


async def test_a_publish_looks_whether_it_has_happened_when_it_is_asked_again(
    mortals: Mortals, place: Place
) -> None:
    async with mortals(1) as pool:
        job = pool.start(messages.Publish(entry(place.spec.id), look=False, overdue=True))
        assert await pool.finish(job) == messages.Published(unchanged=True)


async def test_a_fetch_whose_answer_alone_was_lost_brings_nothing_twice(place: Place) -> None:
    content = place.content("a", os.urandom(4 * CHUNK_BYTES))
    job = Job(messages.Fetch(content, 2, 4, pin=False), None, arrived=3)
    reports: list[messages.Report] = []
    async with running(place.start, 1) as pool:
        answer = await pool.ask(repeat(job), on_report=reports.append)
    assert (answer, reports) == (messages.Fetched(0), [])


async def test_what_is_asked_while_no_worker_lives_is_asked_of_the_next(
    mortals: Mortals, deaths: Deaths, mock_clock: trio.testing.MockClock
) -> None:
    content = Content(StoreId("s"), Key("a"), TOKEN, 3 * CHUNK_BYTES)
    async with mortals(1) as pool:
        first = pool.start(messages.Fetch(content, 0, 3, pin=False))
        # The clock stands still: the next worker is not started yet.
        await deaths.wait(1)
        second = pool.start(messages.Known(content))
        await trio.testing.wait_all_tasks_blocked()
        assert not second.done.is_set()
        mock_clock.jump(1)
        known, fetched = await pool.finish(second), await pool.finish(first)
        assert (known.read, fetched.downloaded) == (True, 0)


async def test_workers_that_die_at_once_are_replaced_less_and_less_often(
    place: Place,
    deaths: Deaths,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    autojump_clock: trio.testing.MockClock,
) -> None:
    # Time jumps here, and so would a worker that is only slow seem to hang.
    monkeypatch.setattr("vstorefs.mount.backend.pool._PING_EVERY_S", math.inf)
    script = tmp_path / "python"
    script.write_text('#!/bin/bash\nexec head -c 1 <&"$4" >/dev/null\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    async with running(place.start, 1):
        await deaths.wait(10)
    pauses = [after - before for before, after in zip(deaths.times, deaths.times[1:], strict=False)]
    # Up to 3 s of them go by while the dead one is buried.
    assert pauses[0] < 4
    assert sum(pauses[-3:]) > 3 * 4.9 - 3
    assert max(pauses) < 8.1


async def test_a_wait_that_is_cancelled_abandons_the_job(place: Place) -> None:
    content = place.content("a", b"never said to be there")
    async with running(place.start, 1) as pool:
        job = pool.start(messages.Hash(content, 0))
        with trio.CancelScope() as scope:
            scope.cancel()
            await pool.finish(job)
        assert scope.cancelled_caught
        await job.done.wait()
    assert job.answer == messages.HashDone(None)


async def test_nobody_waits_longer_than_the_bound(
    place: Place, mock_clock: trio.testing.MockClock
) -> None:
    content = place.content("a", b"never said to be there")
    async with running(place.start, 1) as pool:

        async def ask() -> None:
            with pytest.raises(errors.Unavailable, match="1 min") as caught:
                await pool.ask(messages.Hash(content, 0), bound_s=60)
            assert caught.value.operation == "hash"

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked()
            mock_clock.jump(60)


async def test_a_store_that_hangs_takes_no_more_than_its_share(
    place: Place, mock_clock: trio.testing.MockClock
) -> None:
    content = place.content("a", b"never said to be there")
    store = place.spec.id
    async with running(place.start, 1) as pool, trio.open_nursery() as nursery:

        async def hang() -> None:
            with pytest.raises(errors.Unavailable):
                await pool.ask(messages.Hash(content, 0), store=store)

        async def one_too_many() -> None:
            with pytest.raises(errors.Unavailable):
                await pool.ask(messages.Check(store), store=store)

        for _ in range(place.spec.concurrency):
            nursery.start_soon(hang)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(one_too_many)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(3):
            checked = await pool.ask(messages.Check(store))
            assert checked.capabilities.writable
        mock_clock.jump(60)


async def test_one_worker_takes_all_records_and_others_spread(
    mortals: Mortals, place: Place
) -> None:
    content = Content(StoreId("s"), Key("a"), TOKEN, 1)
    async with mortals(2) as pool:
        records = [pool.start(messages.Record((entry(place.spec.id),))) for _ in range(4)]
        answers = [await pool.finish(job) for job in records]
        assert len({str(answer) for answer in answers}) == 1
        others = [pool.start(messages.Known(content)) for _ in range(4)]
        known = [await pool.finish(job) for job in others]
        assert len({str(answer) for answer in known}) == 2


async def test_a_job_goes_to_the_worker_of_the_one_that_it_is_to_be_near(mortals: Mortals) -> None:
    async with mortals(2) as pool:
        known = messages.Known(Content(StoreId("s"), Key("a"), TOKEN, 1))
        first, second = pool.start(known), pool.start(known)
        answers = [await pool.finish(first), await pool.finish(second)]
        assert answers[0] != answers[1]
        assert await pool.ask(known, near=second) == answers[1]
        assert await pool.ask(known, near=first) == answers[0]


async def test_the_workers_end_with_the_pool(place: Place) -> None:
    async with running(place.start, 2) as pool:
        await pool.ask(messages.Check(place.spec.id))
        workers = workers_now()
        assert len(workers) == 2
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)


async def test_the_end_of_a_pool_waits_for_nobody_who_hangs(place: Place) -> None:
    """Not for a worker that was stopped, nor for the answer to a request that cannot be taken back."""

    async def promise() -> None:
        with trio.CancelScope() as scope:
            scope.cancel()
            await pool.ask(messages.Record((entry(place.spec.id),)))

    with trio.fail_after(30):
        async with running(place.start, 1) as pool:
            await pool.ask(messages.Check(place.spec.id))
            (worker,) = workers_now()
            os.kill(worker, signal.SIGSTOP)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(promise)
                await trio.testing.wait_all_tasks_blocked()
                await pool.end(trio.current_time() + 0.2)
            assert workers_now() == []
            with pytest.raises(errors.Unavailable, match="the mount ends"):
                await pool.ask(messages.Check(place.spec.id))
