"""Record: promises into the journal. What waits at the same time is written in one transaction.

One thread does this, in the order of the requests, so that the journal's order is the order of the
promises.
"""

from __future__ import annotations

import logging
import queue
from collections.abc import Callable

from vstorefs import errors
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Answer, Failure, Record, Recorded

log = logging.getLogger(__name__)

_TOGETHER = 64

Waiting = tuple[Record, Callable[[Answer], None]]


def run(context: WorkerContext, waiting: queue.Queue[Waiting]) -> None:
    """Write what comes, for ever."""
    while True:
        batch = [waiting.get()]
        while len(batch) < _TOGETHER and not waiting.empty():
            batch.append(waiting.get())
        write(context, batch)


def write(context: WorkerContext, batch: list[Waiting]) -> None:
    """Write a batch and answer each; if it fails, none of it was promised."""
    entries = [entry for request, _ in batch for entry in request.entries]
    drop = [seq for request, _ in batch for seq in request.drop]
    try:
        seqs = context.journal.record(entries, drop)
    except errors.JournalError as error:
        for _, answer in batch:
            answer(Failure("Unavailable", str(error), operation="journal"))
        return
    except Exception:
        # One that cannot be written must not take the others with it, nor this thread.
        if len(batch) > 1:
            for one in batch:
                write(context, [one])
            return
        log.exception("an entry cannot be put into the journal")
        batch[0][1](Failure("Bug", "an error inside vstorefs; the log has the details"))
        return
    at = 0
    for request, answer in batch:
        answer(Recorded(seqs[at : at + len(request.entries)]))
        at += len(request.entries)
