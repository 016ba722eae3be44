"""Record: promises into the journal. What waits at the same time is joined, and written in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vstorefs import errors
from vstorefs.state.journal import Addition
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import FindRecorded, Record, Recorded, RecordedFound

Waiting = tuple[Record, Call]


def record(context: WorkerContext, request: Record, call: Call) -> Recorded:
    """Write entries. Raises: StoreError where the journal does not take them; then none was promised."""
    (found,) = record_all(context, [(request, call)])
    if found is None:
        raise errors.Unavailable("it was withdrawn", origin=errors.Origin.WAIT)
    return found


def record_all(context: WorkerContext, waiting: Sequence[Waiting]) -> list[Recorded | None]:
    """Write the entries of all, in their order; None for what was withdrawn before it was written.

    Raises: StoreError where the journal does not take them; then none was promised.
    """
    additions = [Addition(request.entries, request.drop, call.begin) for request, call in waiting]
    with answering_for_journal():
        found = context.journal.record_all(additions)
    return [Recorded(seqs) if seqs is not None else None for seqs in found]


def find_recorded(context: WorkerContext, request: FindRecorded, _call: Call) -> RecordedFound:
    """What workers that have ended have written of these; reads only."""
    found = [context.journal.recorded(one.entries, one.drop) for one in request.records]
    return RecordedFound(tuple(Recorded(seqs) if seqs is not None else None for seqs in found))


@contextmanager
def answering_for_journal() -> Iterator[None]:
    """What the journal fails at is a failure of this host's disk. Raises: StoreError."""
    try:
        yield
    except errors.JournalError as error:
        raise errors.of_disk(str(error), error.number, operation="journal") from error
