"""Record: promises into the journal. What waits at the same time is joined, and written in one transaction."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vstorefs import errors
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Record, Recorded


def record(context: WorkerContext, request: Record, _call: Call) -> Recorded:
    """Write entries. Raises: StoreError where the journal does not take them; then none was promised."""
    with answering_for_journal():
        return Recorded(context.journal.record(request.entries, request.drop))


@contextmanager
def answering_for_journal() -> Iterator[None]:
    """What the journal fails at is a failure of this host's disk. Raises: StoreError."""
    try:
        yield
    except errors.JournalError as error:
        raise errors.of_disk(str(error), error.number, operation="journal") from error


def joined(requests: Sequence[Record]) -> Record:
    """One request for all, in their order. Pure."""
    return Record(
        tuple(entry for one in requests for entry in one.entries),
        tuple(seq for one in requests for seq in one.drop),
    )


def parted(answer: Recorded, requests: Sequence[Record]) -> Iterator[Recorded]:
    """The answers to what was joined, in the same order. Pure."""
    at = 0
    for one in requests:
        yield Recorded(answer.seqs[at : at + len(one.entries)])
        at += len(one.entries)
