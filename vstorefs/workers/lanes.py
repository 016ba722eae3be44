"""The threads of a worker: where a job is done, and so whom it may hold up.

Each store has its own threads, so that uploads, reads and hashing do not wait for each other, and nobody for a store
that hangs. One thread writes the journal, in the order of the asks, so that its order is that of the promises.
"""

from __future__ import annotations

import enum
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol, cast

from vstorefs.model import StoreId, StoreSpec
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.record import Waiting
from vstorefs.workers.messages import Answer, AnyRequest, Failure, Record, Recorded

_WRITES = 8
_OWN = 8
_TOGETHER = 64


class Lane(enum.Enum):
    """A kind of thread that does jobs."""

    JOURNAL = "one for all, in the order of the asks; what waits at the same time is done together"
    WRITES = "those that change the request's store"
    READS = "those that read from the request's store"
    OWN = "those that need no store"
    ALONE = "one for this request: it may wait for long, and no thread that others wait for may"


class OfStore(Protocol):
    """A request for `WRITES` or `READS`."""

    @property
    def store(self) -> StoreId:
        """The store whose threads do it."""


@dataclass(frozen=True, slots=True)
class Task:
    """One request, what gives its answer (and raises nothing), and where that goes."""

    request: AnyRequest
    do: Callable[[AnyRequest], Answer]
    reply: Callable[[Answer], None]
    call: Call

    def run(self) -> None:
        """Do it and reply."""
        self.reply(self.do(self.request))


Together = Callable[[Sequence[Waiting]], Answer]
"""Records what waits at the same time: a list of `Recorded` (None: withdrawn), or how all of it failed."""


class Lanes:
    """All threads of one worker, started as they are needed; called by its main thread."""

    def __init__(self, stores: Sequence[StoreSpec], together: Together) -> None:
        self._reads = {spec.id: ThreadPoolExecutor(spec.concurrency, "read") for spec in stores}
        self._writes = {spec.id: ThreadPoolExecutor(_WRITES, "write") for spec in stores}
        self._own = ThreadPoolExecutor(_OWN, "own")
        self._journal: queue.Queue[Task] = queue.Queue()
        threading.Thread(target=write_journal, args=(self._journal, together), daemon=True).start()

    def begin(self, lane: Lane, task: Task) -> None:
        """Start a task."""
        match lane:
            case Lane.JOURNAL:
                self._journal.put(task)
            case Lane.WRITES:
                self._of_store(self._writes, task).submit(task.run)
            case Lane.READS:
                self._of_store(self._reads, task).submit(task.run)
            case Lane.OWN:
                self._own.submit(task.run)
            case Lane.ALONE:
                threading.Thread(target=task.run, daemon=True).start()

    def _of_store(
        self, threads: dict[StoreId, ThreadPoolExecutor], task: Task
    ) -> ThreadPoolExecutor:
        """A store that this mount does not have is said by the job."""
        return threads.get(cast("OfStore", task.request).store, self._own)


def write_journal(waiting: queue.Queue[Task], together: Together) -> None:
    """Do what comes, for ever; what waits at the same time in one transaction."""
    while True:
        batch = [waiting.get()]
        while len(batch) < _TOGETHER and not waiting.empty():
            batch.append(waiting.get())
        do_together(batch, together)


def do_together(batch: Sequence[Task], together: Together) -> None:
    """Answer each task of a batch; if it fails, none of it was promised."""
    answer = together([(cast("Record", task.request), task.call) for task in batch])
    if not isinstance(answer, Failure):
        for task, part in zip(batch, cast("list[Recorded | None]", answer), strict=True):
            if part is not None:
                task.reply(part)
    elif len(batch) > 1 and answer.kind == "Bug":
        # One that cannot be written must not take the others with it.
        for task in batch:
            task.run()
    else:
        for task in batch:
            task.reply(answer)
