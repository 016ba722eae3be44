"""Every request has a job that takes it and gives its answer, on a lane that can do it."""

from __future__ import annotations

import inspect
import typing

import pytest

from vstorefs.model import (
    Content,
    JournalEntry,
    Key,
    Operation,
    SessionId,
    StoreId,
    Token,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.lanes import Lane
from vstorefs.workers.messages import REQUESTS, AnyRequest, Fetch, Publish
from vstorefs.workers.registry import JOBS

HERE = StoreId("here")


def test_every_request_has_a_job() -> None:
    assert set(JOBS) == set(REQUESTS)


@pytest.mark.parametrize("kind", REQUESTS)
def test_a_job_takes_its_request_and_gives_its_answer(kind: type[AnyRequest]) -> None:
    job, _ = JOBS[kind]
    hints = typing.get_type_hints(job)
    taken = [hints[name] for name in inspect.signature(job).parameters]
    assert taken == [WorkerContext, kind, Call]
    assert hints["return"] is kind.answer_type()


def test_what_waits_for_a_store_says_for_which() -> None:
    of_store = {kind for kind, (_, lane) in JOBS.items() if lane in {Lane.READS, Lane.WRITES}}
    assert {Fetch, Publish} <= of_store
    assert all(hasattr(kind, "store") for kind in of_store)
    write = Write(WriteId("w"), VersionId("v"), 1, None)
    entry = JournalEntry(1, SessionId("s"), HERE, Operation.REMOVE, Key("a"), write)
    assert Publish(entry, look=False).store == HERE
    assert Fetch(Content(HERE, Key("a"), Token("t"), 1), 0, 1, pin=False).store == HERE


def test_only_what_may_have_happened_is_asked_again_otherwise() -> None:
    write = Write(WriteId("w"), VersionId("v"), 1, None)
    entry = JournalEntry(1, SessionId("s"), HERE, Operation.REMOVE, Key("a"), write)
    for overdue in (False, True):
        asked = Publish(entry, look=False, overdue=overdue)
        assert asked.again() == Publish(entry, look=True, overdue=overdue)
    assert [kind for kind in REQUESTS if "again" in vars(kind)] == [Publish]
