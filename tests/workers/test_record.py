"""Record: promises are on disk before they are given, in order, together where they wait together."""

from __future__ import annotations

import errno
import functools
import queue
import threading
from collections.abc import Callable
from typing import Any

import pytest

from vstorefs import errors
from vstorefs.model import JournalEntry, Key, Operation, VersionId, Write, WriteId
from vstorefs.workers.answering import answer, told
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.record import find_recorded, record, record_all
from vstorefs.workers.lanes import Task, Together, do_together, write_journal
from vstorefs.workers.messages import Answer, Failure, FindRecorded, Record, Recorded


def _entry(context: WorkerContext, name: str) -> JournalEntry:
    write = Write(WriteId(f"w-{name}"), VersionId(f"v-{name}"), 1, None)
    store = next(iter(context.start.stores)).id
    return JournalEntry(0, context.session, store, Operation.REMOVE, Key(name), write)


def _task(context: WorkerContext, request: Record, reply: Callable[[Answer], None]) -> Task:
    call = Call(lambda _: None)
    return Task(request, lambda asked: answer(record, context, asked, call), reply, call)


def _together(context: WorkerContext) -> Together:
    return lambda waiting: told(lambda: record_all(context, waiting))


def _waiting(
    context: WorkerContext, requests: list[Record]
) -> tuple[list[Task], dict[int, list[Any]]]:
    answers: dict[int, list[Any]] = {}
    batch = [
        _task(context, request, functools.partial(_keep, answers, number))
        for number, request in enumerate(requests)
    ]
    return batch, answers


def _keep(answers: dict[int, list[Any]], number: int, found: Answer) -> None:
    answers.setdefault(number, []).append(found)


def _put(answers: queue.Queue[tuple[int, Answer]], number: int, found: Answer) -> None:
    answers.put((number, found))


def test_each_gets_the_numbers_of_its_own_entries(context: WorkerContext) -> None:
    names = [["a"], [], ["b", "c"], ["d"]]
    batch, answers = _waiting(
        context, [Record(tuple(_entry(context, name) for name in group)) for group in names]
    )
    do_together(batch, _together(context))
    pending = {str(entry.path): entry.seq for entry in context.journal.pending()}
    assert {n: list(given[0].seqs) for n, given in answers.items()} == {
        n: [pending[name] for name in group] for n, group in enumerate(names)
    }
    assert list(pending) == ["a", "b", "c", "d"]


def test_what_ends_with_it_ends_in_the_same_transaction(context: WorkerContext) -> None:
    (seq,) = context.journal.record([_entry(context, "a")])
    batch, answers = _waiting(context, [Record((_entry(context, "b"),), drop=(seq,))])
    do_together(batch, _together(context))
    assert isinstance(answers[0][0], Recorded)
    assert [entry.path for entry in context.journal.pending()] == ["b"]


def test_an_entry_that_cannot_be_written_spoils_no_other_and_not_the_thread(
    context: WorkerContext,
) -> None:
    bad = Record((_entry(context, "x" * 5),), drop=("no number",))  # type: ignore[arg-type]
    waiting: queue.Queue[Task] = queue.Queue()
    answers: queue.Queue[tuple[int, Answer]] = queue.Queue()
    good = [Record((_entry(context, name),)) for name in ("a", "b", "c")]
    for n, request in enumerate([good[0], bad, good[1]]):
        waiting.put(_task(context, request, functools.partial(_put, answers, n)))
    thread = threading.Thread(target=write_journal, args=(waiting, _together(context)), daemon=True)
    thread.start()
    given = dict(answers.get(timeout=30) for _ in range(3))
    assert isinstance(given[1], Failure)
    assert given[1].kind == "Bug"
    assert isinstance(given[0], Recorded)
    assert isinstance(given[2], Recorded)
    waiting.put(_task(context, good[2], functools.partial(_put, answers, 3)))
    assert isinstance(answers.get(timeout=30)[1], Recorded)
    assert [entry.path for entry in context.journal.pending()] == ["a", "b", "c"]


def test_a_journal_that_takes_nothing_has_promised_nothing(
    context: WorkerContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_arguments: object) -> None:
        raise errors.JournalError("the disk is full", errno.ENOSPC)

    batch, answers = _waiting(context, [Record((_entry(context, name),)) for name in ("a", "b")])
    monkeypatch.setattr(context.journal, "record_all", full)
    do_together(batch, _together(context))
    refused = Failure(
        "StoreError",
        "the disk is full",
        operation="journal",
        origin=errors.Origin.DISK,
        number=errno.ENOSPC,
    )
    assert answers == {0: [refused], 1: [refused]}
    assert list(context.journal.pending()) == []


def test_what_was_withdrawn_while_another_process_had_the_journal_is_never_written(
    context: WorkerContext,
) -> None:
    batch, answers = _waiting(context, [Record((_entry(context, name),)) for name in ("a", "b")])
    thread = threading.Thread(target=do_together, args=(batch, _together(context)), daemon=True)
    with context.state.writing():
        thread.start()
        assert batch[0].call.withdraw()
    thread.join(30)
    assert [entry.path for entry in context.journal.pending()] == ["b"]
    assert isinstance(answers[1][0], Recorded)
    assert not batch[1].call.withdraw(), "it has happened"


def test_what_was_recorded_is_found_with_the_numbers_that_its_answer_had(
    context: WorkerContext,
) -> None:
    (old,) = context.journal.record([_entry(context, "old")])
    request = Record((_entry(context, "a"), _entry(context, "b")), drop=(old,))
    (answer,) = record_all(context, [(request, Call(lambda _: None))])
    context.journal.record([_entry(context, "later")])
    before = context.journal.pending()
    found = find_recorded(context, FindRecorded((request,)), Call(lambda _: None))
    assert found.records == (answer,)
    assert context.journal.pending() == before


def test_what_was_not_recorded_is_told_as_such_and_is_not_recorded_by_asking(
    context: WorkerContext,
) -> None:
    (old,) = context.journal.record([_entry(context, "old")])
    done = Record((), drop=(context.journal.record([_entry(context, "gone")])[0],))
    record_all(context, [(done, Call(lambda _: None))])
    lost = [Record((_entry(context, "a"),)), Record((), drop=(old,)), done]
    found = find_recorded(context, FindRecorded(tuple(lost)), Call(lambda _: None))
    assert found.records == (None, None, Recorded(()))
    assert [entry.path for entry in context.journal.pending()] == ["old"]
