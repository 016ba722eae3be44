"""Record: promises are on disk before they are given, in order, together where they wait together."""

from __future__ import annotations

import queue
import threading

from vstorefs.model import JournalEntry, Key, Operation, VersionId, Write, WriteId
from vstorefs.workers.jobs import record
from vstorefs.workers.messages import Failure, Record, Recorded


def _entry(context, name: str) -> JournalEntry:
    write = Write(WriteId(f"w-{name}"), VersionId(f"v-{name}"), 1, None)
    store = next(iter(context.start.stores)).id
    return JournalEntry(0, context.session, store, Operation.REMOVE, Key(name), write)


def _waiting(requests):
    answers: dict[int, list] = {}
    batch = [
        (request, lambda answer, n=n: answers.setdefault(n, []).append(answer))
        for n, request in enumerate(requests)
    ]
    return batch, answers


def test_each_gets_the_numbers_of_its_own_entries(context):
    names = [["a"], [], ["b", "c"], ["d"]]
    batch, answers = _waiting(
        [Record(tuple(_entry(context, name) for name in group)) for group in names]
    )
    record.write(context, batch)
    pending = {entry.path: entry.seq for entry in context.journal.pending()}
    assert {n: list(given[0].seqs) for n, given in answers.items()} == {
        n: [pending[name] for name in group] for n, group in enumerate(names)
    }
    assert list(pending) == ["a", "b", "c", "d"]


def test_what_ends_with_it_ends_in_the_same_transaction(context):
    (seq,) = context.journal.record([_entry(context, "a")])
    batch, answers = _waiting([Record((_entry(context, "b"),), drop=(seq,))])
    record.write(context, batch)
    assert isinstance(answers[0][0], Recorded)
    assert [entry.path for entry in context.journal.pending()] == ["b"]


def test_an_entry_that_cannot_be_written_spoils_no_other_and_not_the_thread(context):
    bad = Record((_entry(context, "x" * 5),), drop=("no number",))  # type: ignore[arg-type]
    waiting: queue.Queue[record.Waiting] = queue.Queue()
    answers: queue.Queue = queue.Queue()
    good = [Record((_entry(context, name),)) for name in ("a", "b", "c")]
    for n, request in enumerate([good[0], bad, good[1]]):
        waiting.put((request, lambda answer, n=n: answers.put((n, answer))))
    thread = threading.Thread(target=record.run, args=(context, waiting), daemon=True)
    thread.start()
    given = dict(answers.get(timeout=30) for _ in range(3))
    assert isinstance(given[1], Failure)
    assert given[1].kind == "Bug"
    assert isinstance(given[0], Recorded)
    assert isinstance(given[2], Recorded)
    waiting.put((good[2], lambda answer: answers.put((3, answer))))
    assert isinstance(answers.get(timeout=30)[1], Recorded)
    assert [entry.path for entry in context.journal.pending()] == ["a", "b", "c"]
