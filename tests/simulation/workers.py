"""Workers without processes: the pool is the real one, and so are the jobs; between them are pipes that may break.

A worker reads what the front asks and carries it out by the registry's jobs, each in a greenlet, so that every request
to a store is a moment at which others go on. It can die at any of them: its pipe ends, what it was doing stops where it
is, and the real pool asks another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import trio

from tests.simulation.schedule import carry_out, wait
from vstorefs import errors
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.backend.worker import Worker
from vstorefs.workers import messages
from vstorefs.workers.answering import answer
from vstorefs.workers.call import Call
from vstorefs.workers.channel import Decoder, encode
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.registry import JOBS

if TYPE_CHECKING:
    from tests.simulation.world import Life, World


class Pipe:
    """One end of a socket pair, as the pool has it."""

    def __init__(self) -> None:
        self.socket = self
        self.closed = False
        self._to_worker: list[bytes] = []
        self._to_front: list[bytes] = []
        self._moved = trio.Event()

    def close(self) -> None:
        """Neither side says anything more."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    async def send_all(self, data: bytes) -> None:
        """See `trio.SocketStream`."""
        await trio.lowlevel.checkpoint()
        if self.closed:
            raise trio.BrokenResourceError
        self._to_worker.append(data)
        self._wake()

    async def receive_some(self) -> bytes:
        """See `trio.SocketStream`. What was said before the end is heard."""
        return await self._take(self._to_front)

    async def hear(self) -> bytes:
        """What the front says next; empty at the end."""
        return await self._take(self._to_worker)

    def say(self, message: messages.ToFront) -> None:
        """Tell the front."""
        if not self.closed:
            self._to_front.append(encode(message))
            self._wake()

    async def _take(self, box: list[bytes]) -> bytes:
        await trio.lowlevel.checkpoint()
        while not box and not self.closed:
            await self._moved.wait()
        data = b"".join(box)
        box.clear()
        return data


class WaitingCall(Call):
    """A call whose job waits as worker code does here."""

    def __init__(self, report: Callable[[messages.Report], None]) -> None:
        super().__init__(report)
        self._heard = trio.Event()

    def heed(self, remark: messages.Remark) -> None:
        """See `Call`."""
        super().heed(remark)
        self._heard.set()
        self._heard = trio.Event()

    def wait_for(self, chunk: int) -> bool:
        """See `Call`."""
        while not self.abandoned and self.available <= chunk:
            wait(self._heard.wait)
        return not self.abandoned


class SimulatedPool(Pool):
    """The pool, of workers that are none."""

    def __init__(self, world: World, life: Life, start: messages.Start, workers: int) -> None:
        super().__init__(start, workers)
        self._world = world
        self._life = life

    def _begin(self) -> Worker:
        assert self._nursery is not None
        simulated = SimulatedWorker(self._world, self._start)
        self._life.workers.append(simulated)
        process: Any = simulated.process
        stream: Any = simulated.pipe
        worker = Worker(process, stream)
        worker.post(self._start)
        worker.post(messages.Ping())
        self._nursery.start_soon(simulated.run)
        self._nursery.start_soon(self._listen, worker)
        self._nursery.start_soon(worker.send)
        return worker


class SimulatedWorker:
    """One worker; `doing` are the requests of its jobs."""

    def __init__(self, world: World, start: messages.Start) -> None:
        self.world = world
        self.pipe = Pipe()
        self.process = SimpleNamespace(
            pid=os.getpid(), returncode=-9, poll=lambda: -9, wait=lambda: -9, kill=self.kill
        )
        self.doing: list[messages.AnyRequest] = []
        self._start = start
        self._scope = trio.CancelScope()
        self._calls: dict[int, WaitingCall] = {}
        self._journal = trio.Lock()
        self._tidying = trio.Lock()

    def kill(self) -> None:
        """It is gone, in the middle of whatever it does."""
        self.pipe.close()
        self._scope.cancel()

    async def run(self) -> None:
        """Work until killed, or until the front is gone."""
        context = self.world.new_context(self._start)
        decoder: Decoder[messages.ToWorker] = Decoder(messages.ToWorker)
        with self._scope:
            async with trio.open_nursery() as nursery:
                while data := await self.pipe.hear():
                    for message in decoder.feed(data):
                        self._begin(context, nursery, message)
                nursery.cancel_scope.cancel()

    def _begin(
        self, context: WorkerContext, nursery: trio.Nursery, message: messages.ToWorker
    ) -> None:
        match message:
            case messages.Ask(number, request):
                call = WaitingCall(lambda report: self.pipe.say(messages.Progress(number, report)))
                self._calls[number] = call
                nursery.start_soon(self._work, context, number, request, call)
            case messages.Ping():
                self.pipe.say(messages.Pong())
            case messages.Tell(number, messages.Withdraw()):
                if number in self._calls and self._calls[number].withdraw():
                    del self._calls[number]
                    self.pipe.say(messages.Reply(number, messages.WITHDRAWN))
            case messages.Tell(number, remark):
                if number in self._calls:
                    self._calls[number].heed(remark)

    async def _work(
        self,
        context: WorkerContext,
        number: int,
        request: messages.AnyRequest,
        call: WaitingCall,
    ) -> None:
        name = type(request).__name__
        self.doing.append(request)
        try:
            if isinstance(request, messages.Record):
                # One lane: the journal's order is that of the requests.
                async with self._journal:
                    found = await self._answer(context, request, call)
            else:
                found = await self._answer(context, request, call)
        finally:
            self.doing.remove(request)
        self.world.note("answer", name, _told(found))
        # What was withdrawn has its answer.
        if self._calls.pop(number, None) is not None:
            self.pipe.say(messages.Reply(number, found))
        if isinstance(request, messages.Publish):
            await self._tidy(context)

    async def _answer(
        self, context: WorkerContext, request: messages.AnyRequest, call: WaitingCall
    ) -> Any:
        job, _ = JOBS[type(request)]
        await self.world.job_begins(self, request)
        found = await carry_out(partial(answer, job, context, request, call), self.world.abandoned)
        await self.world.job_ends(self, request)
        return found

    async def _tidy(self, context: WorkerContext) -> None:
        """What a thread of a worker does, behind everything else."""
        async with self._tidying:
            waiting = context.tidier._waiting
            while waiting:
                (store, path), _ = waiting.popitem(last=False)
                work = partial(_tidy_one, context, store, path)
                await carry_out(work, self.world.abandoned)


def _tidy_one(context: WorkerContext, store: Any, path: Any) -> None:
    try:
        context.stores.get(store).tidy(path)
    except errors.StoreError:
        # The next writer of this path tries again.
        return


def _told(found: Any) -> str:
    name = type(found).__name__
    if isinstance(found, messages.Failure):
        return f"{name}: {found.kind} {found.operation} {found.key}: {found.message}"
    return name
