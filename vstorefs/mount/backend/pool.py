"""The front's side of the workers: ask, hear progress, replace the dead.

Each worker is a process with a socket pair (`worker.py`). One task per worker reads its messages; an ask is a
numbered job whose owner waits on an event. When a worker dies, a new one takes its place and
everything that was under way there is asked again, so the mount notices a delay and nothing else.
Which repeats need care is decided here and in `job.py`:

* Publish is asked again with `look`, so that the store is asked first whether the write has
  happened;
* Fetch goes on behind the last chunk that arrived;
* Hash begins anew: the worker counts what it has to read a second time, and the log says so;
* Record is asked again as it is: the journal knows an entry by its write id. Where it fails, or is given up, after
  a worker died with it, the journal is read (FindRecorded), for that one may have written it;
* a definite request that is not waited for any more (the bound of `ask`, a cancelled caller) is withdrawn, unless it
  is being carried out by then, or a worker died that may have carried it out: then its answer is waited for, whatever
  the bound. So an error always means that it did not happen, and never will;
* what nobody waits for any more is not asked again, nor what two workers have died of;
* an answer in pages of which some were passed on is refused: they would come twice.

A worker that says what is no message, or does not say for half a minute that it lives (it was stopped, or hangs as a
whole), is treated as a dead one: it is killed. Its jobs are asked again when it has ended. Where this host gives no new
process, that is tried until it does.

Calls that wait for a store are bounded per store (its `concurrency`), so that a hung store cannot take
all threads of the workers, and in time (`patience.py`). Owned by the front's nursery; touched only by
tasks of the front's loop.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec
import trio

from vstorefs import errors, logs, units
from vstorefs.backoff import Backoff
from vstorefs.model import StoreId
from vstorefs.mount.backend.job import Job, OnReport, sort_out
from vstorefs.mount.backend.patience import Patience, Places
from vstorefs.mount.backend.worker import Worker
from vstorefs.workers import messages
from vstorefs.workers.channel import Decoder

log = logging.getLogger(__name__)

_BOUND_S = 60.0
_OFTEN_S = 10.0
_RESTARTS = Backoff(0.1, _OFTEN_S / 2)
_PING_EVERY_S = 5.0
_APART = 4
_END_S = 3.0
_KILLED_S = 1.0

_ENDED = messages.Failure("Unavailable", "the mount ends", origin=errors.Origin.US)

A = TypeVar("A")


class Pool:
    """A fixed number of workers; every public method is called from the front's loop."""

    def __init__(self, start: messages.Start, workers: int) -> None:
        self._start = start
        self._count = workers
        self._workers: list[Worker] = []
        self._apart: list[Worker] = []
        self._mourned: list[Worker] = []
        self._unassigned: list[Job[Any]] = []
        self._under_way: set[Job[Any]] = set()
        self._numbers = 0
        self._places = {spec.id: Places(spec.concurrency) for spec in start.stores}
        self._nursery: trio.Nursery | None = None
        self._closing = False
        self._deaths = 0
        self._died_at = float("-inf")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the workers and look after them until cancelled; then end them.

        Raises: VstorefsError where this host gives no process for one.
        """
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                self._begin_all()
                nursery.start_soon(self._watch)
                task_status.started()
                await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await self.end(trio.current_time() + _END_S)

    def _begin_all(self) -> None:
        try:
            for _ in range(self._count):
                self._workers.append(self._begin())
        except OSError as error:
            raise errors.VstorefsError(f"cannot start a worker process: {error}") from error

    def close_at(self, when: float) -> None:
        """From that moment of the loop's time on, whoever waits for an answer gets an error."""
        assert self._nursery is not None
        self._nursery.start_soon(self._close_later, when)

    async def _close_later(self, when: float) -> None:
        await trio.sleep_until(when)
        self._close()

    def _close(self) -> None:
        self._closing = True
        for job in tuple(self._under_way):
            self._answer(job, _ENDED)

    async def end(self, until: float) -> None:
        """End the workers, by that moment of the loop's time: those that have not ended by then are killed."""
        self._close()
        workers = (*self._workers, *self._apart, *self._mourned)
        for worker in workers:
            worker.let_go()
        patience_s = max(0.0, until - trio.current_time())
        # One that hangs in the kernel ends when the kernel lets it go.
        with trio.move_on_after(patience_s + _KILLED_S):
            async with trio.open_nursery() as nursery:
                for worker in workers:
                    nursery.start_soon(worker.ended, patience_s)

    async def ask(
        self,
        request: messages.Request[A],
        *,
        on_report: OnReport | None = None,
        store: StoreId | None = None,
        bound_s: float | None = None,
        near: Job[Any] | None = None,
    ) -> A:
        """The answer to `request`. `store` names the store that it waits for, if any.

        It is done by the worker that has the job `near`, while that is under way: what both work on passes in memory.
        With `bound_s`, it is waited for so many seconds and no longer. Without, for a minute in which nothing is heard
        of it, or of the store by anybody as long as it waits for a place there (`Patience`); a definite request for
        a minute in all.

        Raises: a StoreError that the worker met; Unavailable when no answer came in time. A definite request did not
        happen then, and that may take longer to find out.
        """
        seconds = _BOUND_S if bound_s is None else bound_s
        patience = Patience(seconds, renews=bound_s is None and not request.definite)
        places = None if store is None else self._places[store]

        def heard(report: messages.Report) -> None:
            patience.heard()
            if places is not None:
                places.heard()
            if on_report is not None:
                on_report(report)

        job = Job(request, heard, near)
        with patience.scope:
            if places is None:
                return await self._run(job)
            async with places.taken(patience):
                return await self._run_at(places, job)
        raise errors.Unavailable(
            f"no answer within {units.duration(seconds)}",
            operation=type(request).__name__.lower(),
            origin=errors.Origin.WAIT,
        )

    def start(self, request: messages.Request[A], on_report: OnReport | None = None) -> Job[A]:
        """Begin a job that its owner follows with `tell` and `finish`."""
        job = Job(request, on_report)
        self._assign(job)
        return job

    async def finish(self, job: Job[A]) -> A:
        """Wait for the answer of a job; a cancelled wait abandons it, or withdraws it. Raises: a StoreError."""
        try:
            await job.done.wait()
        except trio.Cancelled:
            if not job.request.definite:
                job.given_up = True
                job.on_report = None
                self.tell(job, messages.Abandon())
                raise
            await self._withdraw(job)
            if isinstance(job.answer, messages.Failure):
                raise
            # It has happened, and must not be told as if it had not; the next await is cancelled all the same.
        if isinstance(job.answer, messages.Failure):
            raise _error(job.answer)
        assert isinstance(job.answer, job.request.answer_type()), (job.request, job.answer)
        return job.answer

    async def _withdraw(self, job: Job[Any]) -> None:
        """See that a job never happens, or learn whether it has; it is done then."""
        if job.worker is None:
            self._unassigned.remove(job)
            self._answer(job, messages.WITHDRAWN)
        elif not job.deaths:
            # What a worker may have done before it died is found out by doing it again.
            self.tell(job, messages.Withdraw())
        with trio.CancelScope(shield=True):
            await job.done.wait()

    def tell(self, job: Job[Any], remark: messages.Remark) -> None:
        """Send a note about a job under way; one that is done already is left alone."""
        job.remarks[type(remark)] = remark
        if job.worker is not None and not job.done.is_set():
            job.worker.post(messages.Tell(job.number, remark))

    async def _run(self, job: Job[A]) -> A:
        self._assign(job)
        return await self.finish(job)

    async def _run_at(self, places: Places, job: Job[A]) -> A:
        """Likewise; who waits for a place learns whether the store itself has answered."""
        try:
            answer = await self._run(job)
        except (errors.Unavailable, errors.Throttled):
            raise
        except errors.StoreError as error:
            if error.origin.blames_store:
                places.heard()
            raise
        if not (isinstance(answer, messages.Listed) and answer.stale):
            places.heard()
        return answer

    # --- who does it

    def _assign(self, job: Job[Any]) -> None:
        """Give a job to a worker, or to the next one that there is."""
        self._under_way.add(job)
        if self._closing:
            self._answer(job, _ENDED)
        elif messages.Withdraw in job.remarks:
            # It was withdrawn before any worker had it that lived.
            self._answer(job, messages.WITHDRAWN)
        elif not self._workers or self._is_behind_the_dead(job):
            self._unassigned.append(job)
        elif isinstance(job.request, messages.Record):
            # One worker takes all records: their order is the journal's, and they commit together.
            self._give(self._workers[0], job)
        elif isinstance(job.request, messages.Past):
            # Likewise: it keeps what it has found out.
            self._give(self._workers[-1], job)
        elif job.near is not None and job.near.worker in self._workers:
            self._give(job.near.worker, job)
        else:
            self._give(min(self._workers, key=lambda one: len(one.jobs)), job)

    def _is_behind_the_dead(self, job: Job[Any]) -> bool:
        """Whether earlier records, of a worker that died, are not handed on yet: they go first."""
        return isinstance(job.request, messages.Record) and any(
            isinstance(one.request, messages.Record)
            for worker in self._mourned
            for one in worker.jobs.values()
        )

    def _give(self, worker: Worker, job: Job[Any]) -> None:
        self._numbers += 1
        job.number = self._numbers
        # What cannot be said must not stay among the jobs: it would be said again when the worker dies.
        worker.post(messages.Ask(job.number, job.request))
        job.worker = worker
        worker.jobs[job.number] = job
        for remark in tuple(job.remarks.values()):
            self.tell(job, remark)

    def _assign_waiting(self) -> None:
        waiting, self._unassigned = self._unassigned, []
        for job in waiting:
            self._assign(job)

    # --- what a worker says

    def _begin(self) -> Worker:
        """A new worker, heard from now on. Raises: OSError."""
        assert self._nursery is not None
        worker = Worker.start(self._start)
        self._nursery.start_soon(self._listen, worker)
        self._nursery.start_soon(worker.send)
        return worker

    async def _listen(self, worker: Worker) -> None:
        decoder: Decoder[messages.ToFront] = Decoder(messages.ToFront)
        try:
            while data := await worker.receive():
                for message in decoder.feed(data):
                    self._handle(worker, message)
        except msgspec.MsgspecError as error:
            log.error("worker %d says what is no message (%s)", worker.process.pid, error)
            worker.faulty = worker.heard = True
            worker.kill()
        if not self._closing:
            await self._bury(worker)

    def _handle(self, worker: Worker, message: messages.ToFront) -> None:
        match message:
            case messages.Progress(number, report):
                job = worker.jobs.get(number)
                if job is not None:
                    job.reported(report)
            case messages.Reply(number, answer):
                job = worker.jobs.pop(number, None)
                if job is not None:
                    self._hear(job, answer)
                if worker in self._apart:
                    self._dismiss_idle(worker)
            case messages.LogLine(logger, level, text, exception):
                logs.relay(logger, level, text, exception)
            case messages.Pong():
                worker.answered()

    def _hear(self, job: Job[Any], answer: messages.Answer) -> None:
        """A worker's answer. That a record failed says nothing of what another one did with it before it died."""
        assert self._nursery is not None
        is_record = isinstance(job.request, messages.Record)
        if is_record and job.deaths and isinstance(answer, messages.Failure):
            self._nursery.start_soon(self._find_out, [(job, answer)])
        else:
            self._answer(job, answer)

    def _answer(self, job: Job[Any], answer: messages.Answer) -> None:
        self._under_way.discard(job)
        job.answer = answer
        job.done.set()

    def _refuse(self, job: Job[Any], why: str) -> None:
        self._answer(job, _refusal(job, why))

    async def _watch(self) -> None:
        """Treat workers that hang as dead. Counted in pings, for the front may have been stopped itself."""
        while True:
            await trio.sleep(_PING_EVERY_S)
            for worker in (*self._workers, *self._apart):
                if not worker.ping():
                    log.error("worker %d does not answer; it is killed", worker.process.pid)
                    worker.kill()

    # --- when one dies

    async def _bury(self, worker: Worker) -> None:
        """A worker has died: another one takes its place, and others what it had, once it has ended for good."""
        assert self._nursery is not None
        worker.let_go()
        if worker in self._workers:
            self._workers.remove(worker)
            self._nursery.start_soon(self._replace)
        elif worker in self._apart:
            self._apart.remove(worker)
        self._mourned.append(worker)
        await worker.ended()
        self._mourned.remove(worker)
        if not worker.dismissed:
            log.warning(
                "worker %d ended unexpectedly (status %s); %s go to another one",
                worker.process.pid,
                worker.process.returncode,
                units.count(len(worker.jobs), "job"),
            )
        for job in worker.jobs.values() if worker.heard else ():
            job.survived(was_killed=worker.was_killed)
        self._hand_on(worker.jobs.values())
        self._assign_waiting()

    async def _replace(self) -> None:
        """Start one in the place of one that died; one after the other that dies must not keep the machine busy."""
        self._deaths = self._deaths + 1 if trio.current_time() - self._died_at < _OFTEN_S else 1
        self._died_at = trio.current_time()
        await trio.sleep(_RESTARTS.after(self._deaths))
        self._workers.append(await self._begun())
        self._assign_waiting()

    async def _begun(self) -> Worker:
        """A new worker, as soon as this host gives a process for it."""
        failures = 0
        while True:
            try:
                return self._begin()
            except OSError as error:
                failures += 1
                if failures == 1:
                    log.error("cannot start a worker (%s); trying again", error)
            await trio.sleep(_RESTARTS.after(failures))

    def _hand_on(self, jobs: Iterable[Job[Any]]) -> None:
        assert self._nursery is not None
        found = sort_out(jobs)
        records = []
        for job, why in found.refused:
            if isinstance(job.request, messages.Record):
                records.append((job, _refusal(job, why)))
            else:
                self._refuse(job, why)
        if records:
            self._nursery.start_soon(self._find_out, records)
        for job in found.again:
            self._assign(job)
        for first in range(min(len(found.apart), _APART)):
            self._nursery.start_soon(self._work_apart, found.apart[first::_APART])

    async def _find_out(self, failed: list[tuple[Job[Any], messages.Failure]]) -> None:
        """Answer records that failed as the journal has it: a worker that died with them may have written them."""
        records = tuple(cast("messages.Record", job.request) for job, _ in failed)
        try:
            found = (await self.finish(self.start(messages.FindRecorded(records)))).records
        except errors.StoreError as error:
            log.error(
                "%s failed, but the next mount may carry it out: what the journal has cannot be read (%s)",
                units.count(len(failed), "change"),
                error,
            )
            found = None
        for number, (job, failure) in enumerate(failed):
            if job.done.is_set():
                # The mount ends.
                continue
            if found is None:
                self._answer(job, _unknown(failure))
            else:
                self._answer(job, found[number] or failure)

    async def _work_apart(self, jobs: list[Job[Any]]) -> None:
        """Give jobs, of which one may be what workers die of, to a worker that has no others, and ends after them."""
        worker = await self._begun()
        self._apart.append(worker)
        for job in jobs:
            if job.given_up:
                self._refuse(job, "nobody waits for it any more")
            else:
                self._give(worker, job)
        self._dismiss_idle(worker)

    def _dismiss_idle(self, worker: Worker) -> None:
        if not worker.jobs:
            self._apart.remove(worker)
            worker.dismissed = True
            worker.let_go()


def _refusal(job: Job[Any], why: str) -> messages.Failure:
    """How a job ends that is given to no worker any more; the log has it, too."""
    name = type(job.request).__name__
    if not job.given_up:
        log.error("%s was given up: %s", name, why)
    return messages.Failure("Bug", f"internal error: {why}", operation=name.lower())


def _unknown(failure: messages.Failure) -> messages.Failure:
    return msgspec.structs.replace(failure, kind="OutcomeUnknown", origin=errors.Origin.US)


def _error(failure: messages.Failure) -> errors.StoreError:
    kind = errors.BY_NAME.get(failure.kind, errors.StoreError)
    return kind(
        failure.message,
        store=failure.store,
        key=failure.key,
        operation=failure.operation,
        origin=failure.origin,
        number=failure.number,
    )
