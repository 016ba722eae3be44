"""What the front asks is answered by what its type says, or by the error that the worker met."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tests.workers.asking import Place
from vstorefs import errors
from vstorefs.model import Key
from vstorefs.mount.backend.job import Job
from vstorefs.mount.backend.pool import Pool
from vstorefs.workers import messages


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Folders and a store."""
    return Place(tmp_path / "place")


def finished(place: Place, answer: messages.Answer) -> messages.Found:
    """What whoever asked whether a name is there gets, where a worker answers so."""
    job = Job(messages.Find(place.spec.id, Key("a")), None)
    job.answer = answer
    job.done.set()
    return trio.run(Pool(place.start, 1).finish, job)


def test_the_answer_of_a_request_comes_as_it_is(place: Place) -> None:
    found = messages.Found(None)
    assert finished(place, found) is found


def test_an_answer_of_another_kind_is_a_fault_of_ours(place: Place) -> None:
    with pytest.raises(AssertionError, match="Find"):
        finished(place, messages.Noted())


@pytest.mark.parametrize(
    ("kind", "raised"), [("Changed", errors.Changed), ("Bug", errors.StoreError)]
)
def test_a_failure_is_raised_with_where_it_happened(
    place: Place, kind: str, raised: type[errors.StoreError]
) -> None:
    with pytest.raises(raised) as caught:
        finished(place, messages.Failure(kind, "why", "store", "key", "read"))
    assert str(caught.value) == "read store:key: why"
