"""A pool without workers: it answers each kind of request as a test says, and remembers what it was asked.

    pool = ScriptedPool(nursery)
    pool.answers(messages.Find, messages.Found(None))
    pool.answers(messages.Publish, errors.Unavailable("away"), messages.Published())

The scripts of a kind are used one after the other, the last one again and again. A script is an
answer, an error, or an async function that is given the `Call` and may report, hear what is told,
wait, and answer. `NEVER` is a reply that is lost.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import trio

from vstorefs import errors
from vstorefs.model import StoreId
from vstorefs.mount.backend.job import Job, OnReport
from vstorefs.mount.backend.pool import Pool
from vstorefs.workers import messages

R = TypeVar("R", bound=messages.AnyRequest)
A = TypeVar("A")


@dataclass(slots=True, eq=False)
class Call:
    """One request that is being answered. `begun`: it cannot be withdrawn any more."""

    job: Job[Any]
    begun: bool = False
    _told: tuple[
        trio.MemorySendChannel[messages.Remark], trio.MemoryReceiveChannel[messages.Remark]
    ] = field(default_factory=lambda: trio.open_memory_channel[messages.Remark](math.inf))

    @property
    def request(self) -> messages.AnyRequest:
        """What was asked."""
        return self.job.request

    def report(self, report: messages.Report) -> None:
        """Say something before the answer."""
        if self.job.on_report is not None:
            self.job.on_report(report)

    def tell(self, remark: messages.Remark) -> None:
        """Take in a note."""
        self._told[0].send_nowait(remark)

    async def hear(self) -> messages.Remark:
        """The next note about this request."""
        return await self._told[1].receive()


Script = messages.Answer | errors.StoreError | Callable[[Call], Awaitable[messages.Answer]]


async def NEVER(call: Call) -> messages.Answer:  # noqa: N802 — it reads as a value
    """A reply that is lost."""
    del call
    await trio.sleep_forever()
    raise AssertionError("that is never reached")


class Gate:
    """A script that waits until a test opens it, then goes on with another one."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self.reached = trio.Event()
        self.open = trio.Event()

    async def __call__(self, call: Call) -> messages.Answer:
        """Wait, then answer."""
        self.reached.set()
        await self.open.wait()
        return await _play(self._script, call)


class ScriptedPool(Pool):
    """Stands in for the workers. Like the real one, it is called from the loop only."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._jobs = nursery
        self._scripts: dict[type, list[Script]] = defaultdict(list)
        self._calls: dict[Job[Any], Call] = {}
        self.asked: list[messages.AnyRequest] = []
        self.told: list[tuple[messages.AnyRequest, messages.Remark]] = []

    def answers(self, kind: type[messages.AnyRequest], *scripts: Script) -> None:
        """From now on, answer requests of a kind so."""
        self._scripts[kind] = list(scripts)

    def asked_for(self, kind: type[R]) -> list[R]:
        """The requests of a kind so far."""
        return [one for one in self.asked if isinstance(one, kind)]

    async def ask(
        self,
        request: messages.Request[A],
        *,
        on_report: OnReport | None = None,
        store: StoreId | None = None,
        bound_s: float | None = None,
        near: Job[Any] | None = None,
    ) -> A:
        """See `Pool`."""
        del store
        seconds = 60.0 if bound_s is None else bound_s
        job = Job(request, on_report, near)
        with trio.move_on_after(seconds):
            self._play(job)
            return await self.finish(job)
        raise errors.Unavailable(f"no answer within {seconds:.0f} s", origin=errors.Origin.WAIT)

    def start(self, request: messages.Request[A], on_report: OnReport | None = None) -> Job[A]:
        """See `Pool`."""
        job = Job(request, on_report)
        self._play(job)
        return job

    def _play(self, job: Job[Any]) -> None:
        self.asked.append(job.request)
        scripts = self._scripts[type(job.request)]
        if not scripts:
            raise AssertionError(f"the test says nothing of {job.request}")
        self._calls[job] = Call(job)
        self._jobs.start_soon(self._work, job, scripts[0])
        if len(scripts) > 1:
            del scripts[0]

    def tell(self, job: Job[Any], remark: messages.Remark) -> None:
        """See `Pool`."""
        if not job.done.is_set():
            self.told.append((job.request, remark))
            self._calls[job].tell(remark)

    async def _withdraw(self, job: Job[Any]) -> None:
        self.told.append((job.request, messages.Withdraw()))
        if not self._calls[job].begun:
            job.answer = messages.WITHDRAWN
            job.done.set()
        with trio.CancelScope(shield=True):
            await job.done.wait()

    async def _work(self, job: Job[Any], script: Script) -> None:
        try:
            answer = await _play(script, self._calls[job])
        except errors.StoreError as error:
            kind = type(error).__name__
            where = (error.store, error.key, error.operation)
            answer = messages.Failure(kind, error.message, *where, error.origin, error.number)
        # As from a process, an answer comes on a later turn of the loop.
        await trio.lowlevel.checkpoint()
        if not job.done.is_set():
            job.answer = answer
            job.done.set()


async def _play(script: Script, call: Call) -> messages.Answer:
    if isinstance(script, errors.StoreError):
        raise script
    if callable(script):
        return await script(call)
    return script
