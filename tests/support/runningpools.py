"""Pools of real worker processes, and what is seen of them from outside."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import trio

from vstorefs.files import process_parent
from vstorefs.mount.backend.pool import Pool
from vstorefs.workers import messages

Mortals = Callable[[int], AbstractAsyncContextManager[Pool]]


class Deaths(logging.Handler):
    """Hears of workers that died."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.times: list[float] = []
        self._heard = trio.Event()

    def emit(self, record: logging.LogRecord) -> None:
        if "ended unexpectedly" not in record.getMessage():
            return
        self.times.append(trio.current_time())
        self._heard.set()

    async def wait(self, number: int) -> None:
        """Until so many have died."""
        while len(self.times) < number:
            await self._heard.wait()
            self._heard = trio.Event()


class Reports:
    """What was reported of a job, in order."""

    def __init__(self) -> None:
        self.all: list[messages.Report] = []
        self._more = trio.Event()

    def __call__(self, report: messages.Report) -> None:
        self.all.append(report)
        self._more.set()

    async def wait(self, report: messages.Report, times: int = 1) -> None:
        """Until it was reported so often."""
        while self.all.count(report) < times:
            await self._more.wait()
            self._more = trio.Event()


@asynccontextmanager
async def running(start: messages.Start, workers: int) -> AsyncIterator[Pool]:
    """A pool with its workers."""
    pool = Pool(start, workers)
    async with trio.open_nursery() as nursery:
        await nursery.start(pool.run)
        yield pool
        nursery.cancel_scope.cancel()


def workers_now() -> list[int]:
    """The workers that this process has started."""
    found = []
    for pid in [int(one) for one in os.listdir("/proc") if one.isdigit()]:
        parent = process_parent(pid)
        if parent is not None and parent[0] == os.getpid():
            with contextlib.suppress(OSError):
                if b"vstorefs.workers.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
    return found
