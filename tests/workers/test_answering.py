"""A job's failure is an answer; what was denied is tried again where credentials may be new."""

from __future__ import annotations

import errno

import pytest

from tests.workers.asking import Place
from vstorefs import errors
from vstorefs.model import JournalEntry, Key, Operation, VersionId, Write, WriteId
from vstorefs.workers.answering import Job, answer
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import Failure, Publish, Published

CALL = Call(lambda _: None)


@pytest.fixture
def request_(context: WorkerContext, place: Place) -> Publish:
    write = Write(WriteId("w"), VersionId("v"), 1, None)
    entry = JournalEntry(1, context.session, place.spec.id, Operation.REMOVE, Key("a"), write)
    return Publish(entry, look=False)


def _raises(*raised: Exception) -> tuple[Job, list[Publish]]:
    """A job that fails so, time after time, and then succeeds; and what it was asked."""
    left = list(raised)
    asked: list[Publish] = []

    def job(_context: WorkerContext, request: Publish, _call: Call) -> Published:
        asked.append(request)
        if left:
            raise left.pop(0)
        return Published()

    return job, asked


@pytest.mark.parametrize(
    ("raised", "failure"),
    [
        (
            errors.Changed("other content", store="s", key="k", operation="read"),
            Failure("Changed", "other content", "s", "k", "read"),
        ),
        (
            errors.Unavailable("no route", origin=errors.Origin.STORE),
            Failure("Unavailable", "no route", origin=errors.Origin.STORE),
        ),
        (
            errors.JournalError("the disk is full"),
            Failure("Unavailable", "the disk is full", origin=errors.Origin.DISK),
        ),
        (
            errors.JournalError("the disk is full", errno.ENOSPC),
            Failure(
                "StoreError", "the disk is full", origin=errors.Origin.DISK, number=errno.ENOSPC
            ),
        ),
        (
            OSError(errno.EDQUOT, "quota"),
            Failure(
                "StoreError",
                f"[Errno {errno.EDQUOT}] quota",
                origin=errors.Origin.DISK,
                number=errno.EDQUOT,
            ),
        ),
        (
            errors.NotSupported("too long", store="s", key="k", number=errno.ENAMETOOLONG),
            Failure("NotSupported", "too long", "s", "k", number=errno.ENAMETOOLONG),
        ),
        (
            ValueError("of ours"),
            Failure(
                "Bug",
                "internal error (ValueError); the log has the traceback",
                origin=errors.Origin.US,
            ),
        ),
    ],
)
def test_a_failure_is_told(
    context: WorkerContext, request_: Publish, raised: Exception, failure: Failure
) -> None:
    job, asked = _raises(raised)
    assert answer(job, context, request_, CALL) == failure
    assert asked == [request_]


def test_with_new_credentials_it_looks_first(
    context: WorkerContext, request_: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context.stores, "doubt", lambda alias: alias == "here")
    job, asked = _raises(errors.Denied("expired", store="here"))
    assert answer(job, context, request_, CALL) == Published()
    assert [one.look for one in asked] == [False, True]


def test_what_stays_denied_is_denied(
    context: WorkerContext, request_: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    denied = errors.Denied("no permission", store="here")
    job, asked = _raises(denied)
    monkeypatch.setattr(context.stores, "doubt", lambda _alias: False)
    assert answer(job, context, request_, CALL) == Failure("Denied", "no permission", "here")
    assert len(asked) == 1
    job, asked = _raises(denied, denied)
    monkeypatch.setattr(context.stores, "doubt", lambda _alias: True)
    assert answer(job, context, request_, CALL) == Failure("Denied", "no permission", "here")
    assert len(asked) == 2
