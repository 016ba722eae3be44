"""Record: promises are on disk before they are given, in order, together where they wait together."""

from __future__ import annotations

import functools
import queue
import threading
from typing import Any

from vstorefs.model import JournalEntry, Key, Operation, VersionId, Write, WriteId
from vstorefs.workers.jobs import record
from vstorefs.workers.jobs.setting import Setting
from vstorefs.workers.messages import Answer, Failure, Record, Recorded


def _entry(setting: Setting, name: str) -> JournalEntry:
    write = Write(WriteId(f"w-{name}"), VersionId(f"v-{name}"), 1, None)
    store = next(iter(setting.start.stores)).id
    return JournalEntry(0, setting.session, store, Operation.REMOVE, Key(name), write)


def _waiting(requests: list[Record]) -> tuple[list[record.Waiting], dict[int, list[Any]]]:
    answers: dict[int, list[Any]] = {}
    batch: list[record.Waiting] = [
        (request, functools.partial(_answer, answers, n)) for n, request in enumerate(requests)
    ]
    return batch, answers


def _answer(answers: dict[int, list[Any]], number: int, answer: Answer) -> None:
    answers.setdefault(number, []).append(answer)


def _put(answers: queue.Queue[tuple[int, Answer]], number: int, answer: Answer) -> None:
    answers.put((number, answer))


def test_each_gets_the_numbers_of_its_own_entries(setting: Setting) -> None:
    names = [["a"], [], ["b", "c"], ["d"]]
    batch, answers = _waiting(
        [Record(tuple(_entry(setting, name) for name in group)) for group in names]
    )
    record.write(setting, batch)
    pending = {str(entry.path): entry.seq for entry in setting.journal.pending()}
    assert {n: list(given[0].seqs) for n, given in answers.items()} == {
        n: [pending[name] for name in group] for n, group in enumerate(names)
    }
    assert list(pending) == ["a", "b", "c", "d"]


def test_what_ends_with_it_ends_in_the_same_transaction(setting: Setting) -> None:
    (seq,) = setting.journal.record([_entry(setting, "a")])
    batch, answers = _waiting([Record((_entry(setting, "b"),), drop=(seq,))])
    record.write(setting, batch)
    assert isinstance(answers[0][0], Recorded)
    assert [entry.path for entry in setting.journal.pending()] == ["b"]


def test_an_entry_that_cannot_be_written_spoils_no_other_and_not_the_thread(
    setting: Setting,
) -> None:
    bad = Record((_entry(setting, "x" * 5),), drop=("no number",))  # type: ignore[arg-type]
    waiting: queue.Queue[record.Waiting] = queue.Queue()
    answers: queue.Queue[tuple[int, Answer]] = queue.Queue()
    good = [Record((_entry(setting, name),)) for name in ("a", "b", "c")]
    for n, request in enumerate([good[0], bad, good[1]]):
        waiting.put((request, functools.partial(_put, answers, n)))
    thread = threading.Thread(target=record.run, args=(setting, waiting), daemon=True)
    thread.start()
    given = dict(answers.get(timeout=30) for _ in range(3))
    assert isinstance(given[1], Failure)
    assert given[1].kind == "Bug"
    assert isinstance(given[0], Recorded)
    assert isinstance(given[2], Recorded)
    waiting.put((good[2], functools.partial(_put, answers, 3)))
    assert isinstance(answers.get(timeout=30)[1], Recorded)
    assert [entry.path for entry in setting.journal.pending()] == ["a", "b", "c"]
