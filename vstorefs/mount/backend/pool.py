"""The front's side of the workers: ask, hear progress, replace the dead.

Each worker is a process with a socket pair. One task per worker reads its messages; an ask is a
numbered job whose owner waits on an event. When a worker dies, a new one takes its place and
everything that was under way there is asked again, so the mount notices a delay and nothing else.
Which repeats need care is decided here:

* Publish is asked again with `look`, so that the store is asked first whether the write has
  happened;
* Fetch goes on behind the last chunk that arrived;
* Hash begins anew: the worker counts what it has to read a second time, and the log says so;
* Record is asked again as it is: the journal knows an entry by its write id;
* what nobody waits for any more is not asked again, and what two workers have died of is refused: it
  must not take one worker after the other with it. A Fetch or Hash that got further than ever before is innocent;
* an answer in pages of which some were passed on is refused: they would come twice.

A worker that says what is no message is treated as a dead one.

Calls that wait for a store are bounded per store (its `concurrency`), so that a hung store cannot take
all threads of the workers, and in time (`_BOUND_S`). Owned by the front's nursery; touched only by
tasks of the front's loop.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec
import trio

from vstorefs import errors, logs, units
from vstorefs.backoff import Backoff
from vstorefs.model import StoreId
from vstorefs.workers import messages
from vstorefs.workers.channel import Decoder, encode

log = logging.getLogger(__name__)

_BOUND_S = 60.0
_OFTEN_S = 10.0
_DEATHS = 2
_RESTARTS = Backoff(0.1, _OFTEN_S / 2)

OnReport = Callable[[messages.Report], None]
A = TypeVar("A")


@dataclass(slots=True, eq=False)
class Job(Generic[A]):
    """One ask under way. `answer` is set before `done`.

    `remarks`: the last one of each kind. `deaths`: workers that have died while they had it. `given_up`: nobody
    waits for it any more. `begun`: a part of its answer was passed on. `near`: the job whose worker is to do it too.
    """

    request: messages.Request[A]
    on_report: OnReport | None
    near: Job[Any] | None = None
    done: trio.Event = field(default_factory=trio.Event)
    answer: messages.Answer | None = None
    worker: Worker | None = None
    number: int = 0
    arrived: int | None = None
    hashed: int = 0
    remarks: dict[type[messages.Remark], messages.Remark] = field(default_factory=dict)
    deaths: int = 0
    given_up: bool = False
    begun: bool = False


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process and what it was asked."""

    process: subprocess.Popen[bytes]
    stream: trio.SocketStream
    jobs: dict[int, Job[Any]] = field(default_factory=dict)
    outbox: deque[bytes] = field(default_factory=deque)
    posted: trio.Event = field(default_factory=trio.Event)
    gone: bool = False


class Pool:
    """A fixed number of workers; every public method is called from the front's loop."""

    def __init__(self, start: messages.Start, workers: int) -> None:
        self._start = start
        self._count = workers
        self._workers: list[Worker] = []
        self._numbers = 0
        self._limits = {spec.id: trio.CapacityLimiter(spec.concurrency) for spec in start.stores}
        self._nursery: trio.Nursery | None = None
        self._unassigned: list[Job[Any]] = []
        self._closing = False
        self._deaths = 0
        self._died_at = float("-inf")

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Start the workers and look after them until cancelled; then end them."""
        try:
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                for _ in range(self._count):
                    self._add_worker(nursery)
                task_status.started()
                await trio.sleep_forever()
        finally:
            self._closing = True
            for worker in self._workers:
                worker.stream.socket.close()
            with trio.CancelScope(shield=True):
                for worker in self._workers:
                    await _reap(worker.process)

    async def ask(
        self,
        request: messages.Request[A],
        *,
        on_report: OnReport | None = None,
        store: StoreId | None = None,
        bound_s: float = _BOUND_S,
        near: Job[Any] | None = None,
    ) -> A:
        """The answer to `request`. `store` names the store that it waits for, if any.

        It is done by the worker that has the job `near`, while that is under way: what both work on passes in memory.

        Raises: a StoreError that the worker met; Unavailable when no answer came within `bound_s`
        seconds.
        """
        job = Job(request, on_report, near)
        with trio.move_on_after(bound_s):
            if store is None:
                return await self._run(job)
            async with self._limit(store):
                return await self._run(job)
        raise errors.Unavailable(
            f"no answer within {units.duration(bound_s)}",
            operation=type(request).__name__.lower(),
            origin=errors.Origin.WAIT,
        )

    def start(self, request: messages.Request[A], on_report: OnReport | None = None) -> Job[A]:
        """Begin a job that its owner follows with `tell` and `finish`."""
        job = Job(request, on_report)
        self._assign(job)
        return job

    async def finish(self, job: Job[A]) -> A:
        """Wait for the answer of a job; a cancelled wait abandons it. Raises: a StoreError."""
        try:
            await job.done.wait()
        except trio.Cancelled:
            job.given_up = True
            job.on_report = None
            self.tell(job, messages.Abandon())
            raise
        if isinstance(job.answer, messages.Failure):
            raise _error(job.answer)
        assert isinstance(job.answer, job.request.answer_type()), (job.request, job.answer)
        return job.answer

    def tell(self, job: Job[Any], remark: messages.Remark) -> None:
        """Send a note about a job under way; one that is done already is left alone."""
        job.remarks[type(remark)] = remark
        if job.worker is not None and not job.done.is_set():
            self._post(job.worker, messages.Tell(job.number, remark))

    async def _run(self, job: Job[A]) -> A:
        self._assign(job)
        return await self.finish(job)

    def _limit(self, store: StoreId) -> trio.CapacityLimiter:
        return self._limits[store]

    def _assign(self, job: Job[Any]) -> None:
        if not self._workers:
            # All have died together; the first new one takes what waits.
            self._unassigned.append(job)
            return
        if isinstance(job.request, messages.Record):
            # One worker takes all records: their order is the journal's, and they commit together.
            worker = self._workers[0]
        elif isinstance(job.request, messages.Past):
            # Likewise: it keeps what it has found out.
            worker = self._workers[-1]
        elif job.near is not None and job.near.worker in self._workers:
            worker = job.near.worker
        else:
            worker = min(self._workers, key=lambda one: len(one.jobs))
        self._numbers += 1
        job.number = self._numbers
        # What cannot be said must not stay among the jobs: it would be said again when the worker dies.
        self._post(worker, messages.Ask(job.number, job.request))
        job.worker = worker
        worker.jobs[job.number] = job

    def _post(self, worker: Worker, message: messages.ToWorker) -> None:
        worker.outbox.append(encode(message))
        worker.posted.set()

    def _add_worker(self, nursery: trio.Nursery) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "vstorefs.workers.main", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
            )
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
        worker = Worker(process, stream)
        # Posted, as it may be dead before it reads: the listening task meets that.
        self._post(worker, self._start)
        self._workers.append(worker)
        nursery.start_soon(self._listen, worker)
        nursery.start_soon(_send, worker)

    async def _listen(self, worker: Worker) -> None:
        decoder: Decoder[messages.ToFront] = Decoder(messages.ToFront)
        try:
            while data := await _receive(worker):
                for message in decoder.feed(data):
                    self._handle(worker, message)
        except msgspec.MsgspecError as error:
            log.error("worker %d says what is no message (%s)", worker.process.pid, error)
            worker.process.kill()
        if not self._closing:
            await self._replace(worker)

    def _handle(self, worker: Worker, message: messages.ToFront) -> None:
        match message:
            case messages.Progress(number, report):
                job = worker.jobs.get(number)
                if job is not None:
                    if isinstance(report, messages.Arrived):
                        job.arrived, job.deaths = report.chunk, 0
                    if isinstance(report, messages.Hashed) and report.until > job.hashed:
                        job.hashed, job.deaths = report.until, 0
                    job.begun |= isinstance(report, messages.Rows | messages.Planned)
                    if job.on_report is not None:
                        job.on_report(report)
            case messages.Reply(number, answer):
                job = worker.jobs.pop(number, None)
                if job is not None:
                    job.answer = answer
                    job.done.set()
            case messages.LogLine(logger, level, text, exception):
                logs.relay(logger, level, text, exception)

    async def _replace(self, worker: Worker) -> None:
        assert self._nursery is not None
        self._workers.remove(worker)
        worker.gone = True
        worker.posted.set()
        worker.stream.socket.close()
        await _reap(worker.process)
        log.warning(
            "worker %d ended unexpectedly (status %s); %s go to another one",
            worker.process.pid,
            worker.process.returncode,
            units.count(len(worker.jobs), "job"),
        )
        # One that dies again and again must not keep the machine busy with its funerals.
        self._deaths = self._deaths + 1 if trio.current_time() - self._died_at < _OFTEN_S else 1
        self._died_at = trio.current_time()
        await trio.sleep(_RESTARTS.after(self._deaths))
        self._add_worker(self._nursery)
        waiting, self._unassigned = self._unassigned, []
        for job in worker.jobs.values():
            job.deaths += 1
            job.request = repeat(job)
        for job in (*waiting, *worker.jobs.values()):
            self._hand_on(job)

    def _hand_on(self, job: Job[Any]) -> None:
        """Ask another worker, unless that is of no use."""
        if job.given_up or job.deaths >= _DEATHS:
            _refuse(job, f"{units.count(job.deaths, 'worker')} died of it; the log has the details")
            return
        if job.begun:
            _refuse(job, "the worker died in the middle of its answer; ask again")
            return
        self._assign(job)
        for remark in tuple(job.remarks.values()):
            self.tell(job, remark)


def _refuse(job: Job[Any], why: str) -> None:
    name = type(job.request).__name__
    if not job.given_up:
        log.error("%s was given up: %s", name, why)
    message = f"internal error: {why}"
    job.answer = messages.Failure("Bug", message, operation=name.lower())
    job.done.set()


def repeat(job: Job[Any]) -> messages.AnyRequest:
    """What to ask another worker when the one that had this job died."""
    request = job.request
    if isinstance(request, messages.Fetch) and job.arrived is not None:
        return msgspec.structs.replace(request, first=min(job.arrived + 1, request.last))
    return request.again()


async def _receive(worker: Worker) -> bytes:
    """What a worker says next; empty when it is gone."""
    try:
        return bytes(await worker.stream.receive_some())
    except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
        return b""


async def _send(worker: Worker) -> None:
    """Send what is posted, in order: a note about a job must not overtake the job."""
    while not worker.gone:
        await worker.posted.wait()
        worker.posted = trio.Event()
        data = b"".join(worker.outbox)
        worker.outbox.clear()
        try:
            await worker.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            # The listening task meets the same end and asks another worker.
            return


async def _reap(process: subprocess.Popen[bytes]) -> None:
    with trio.move_on_after(3):
        await trio.to_thread.run_sync(process.wait, abandon_on_cancel=True)
    if process.poll() is None:
        process.kill()
        process.wait()


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
