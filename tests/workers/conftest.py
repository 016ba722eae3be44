"""Workers, as processes and as parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workers.asking import BeginWorker, Front, Place
from tests.workers.fakes import FakeStore, use
from vstorefs.workers import messages
from vstorefs.workers.jobs.context import WorkerContext


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Folders and a `file` store."""
    return Place(tmp_path / "place")


@pytest.fixture
def worker() -> Iterator[BeginWorker]:
    """Starts worker processes, ended afterwards."""
    fronts: list[Front] = []

    def begin(start: messages.Start) -> Front:
        fronts.append(Front(start))
        return fronts[-1]

    yield begin
    for front in fronts:
        front.close()


@pytest.fixture
def context(place: Place) -> Iterator[WorkerContext]:
    """A worker's context, in this process."""
    one = WorkerContext(place.start)
    yield one
    one.close()


@pytest.fixture
def fake(context: WorkerContext, place: Place) -> FakeStore:
    """A store that fails when told to, in the place of the real one."""
    store = FakeStore(place.spec)
    use(context, store)
    return store
