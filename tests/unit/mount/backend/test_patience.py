"""How long a question waits for its answer: a worker that says what the test says, and a clock that jumps."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace

import msgspec
import pytest
import trio
import trio.testing

from tests.support.runningpools import running
from tests.workers.asking import Place
from vstorefs import errors
from vstorefs.model import Content, Key, StoreId, Token
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.backend.worker import Worker
from vstorefs.workers import messages
from vstorefs.workers.channel import encode

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]

FOUND = messages.Found(None)
AWAY = messages.Failure("Unavailable", "it cannot be reached", origin=errors.Origin.STORE)
DENIED = messages.Failure("Denied", "not for you", origin=errors.Origin.KEY)


class Prompted(Worker):
    """A worker without a process, which says what a test tells it to."""

    def __init__(self) -> None:
        ended = subprocess.Popen(["true"])
        ended.wait()
        ours, theirs = socket.socketpair()
        theirs.close()
        super().__init__(ended, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        self._says, self._heard = trio.open_memory_channel[bytes](0)

    async def receive(self) -> bytes:
        """What it was told to say."""
        return await self._heard.receive()

    async def send(self) -> None:
        """Nobody reads it."""

    def ping(self) -> bool:
        """It lives."""
        return True

    async def say(self, message: messages.ToFront) -> None:
        """Say something, and let it have its effect."""
        await self._says.send(encode(message))
        await trio.testing.wait_all_tasks_blocked()

    async def report(self, part: int) -> None:
        """A part of the only answer arrives."""
        (number,) = self.jobs
        await self.say(messages.Progress(number, messages.Arrived(part)))

    async def answer_first(self, store: StoreId, answer: messages.Answer = FOUND) -> None:
        """Answer whoever has a store's place."""
        number = next(
            number
            for number, job in self.jobs.items()
            if isinstance(job.request, messages.Find) and job.request.store == store
        )
        await self.say(messages.Reply(number, answer))


class Questions:
    """Questions under way, each for a name, and what became of them."""

    def __init__(self, pool: Pool, nursery: trio.Nursery) -> None:
        self._pool = pool
        self._nursery = nursery
        self.answered: list[str] = []
        self.failed: list[str] = []

    async def ask(self, name: str, store: StoreId, bound_s: float | None = None) -> None:
        """Begin to ask for a name."""
        self._nursery.start_soon(self._ask, name, messages.Find(store, Key(name)), store, bound_s)
        await trio.testing.wait_all_tasks_blocked()

    async def _ask(
        self, name: str, request: messages.Find, store: StoreId, bound_s: float | None
    ) -> None:
        try:
            await self._pool.ask(request, store=store, bound_s=bound_s)
        except errors.StoreError:
            self.failed.append(name)
        else:
            self.answered.append(name)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Prompted:
    """The only worker of the pool."""
    worker = Prompted()
    monkeypatch.setattr(Worker, "start", lambda start: worker)
    return worker


@pytest.fixture
async def pool(place: Place, worker: Prompted) -> AsyncIterator[Pool]:
    """A pool of two stores, `here` and `there`, with one place each."""
    here = replace(place.spec, concurrency=1)
    there = replace(here, id=StoreId("there"), alias="there")
    project = replace(place.start.project, stores=(here, there))
    start = msgspec.structs.replace(place.start, project=project)
    async with running(start, 1) as pool:
        yield pool


@pytest.fixture
async def questions(pool: Pool) -> AsyncIterator[Questions]:
    """None so far."""
    async with trio.open_nursery() as nursery:
        yield Questions(pool, nursery)
        nursery.cancel_scope.cancel()


async def pass_by(clock: trio.testing.MockClock, seconds: float) -> None:
    clock.jump(seconds)
    await trio.testing.wait_all_tasks_blocked()


async def test_who_gets_a_part_now_and_then_is_not_given_up(
    pool: Pool, place: Place, worker: Prompted, mock_clock: trio.testing.MockClock
) -> None:
    content = Content(place.spec.id, Key("a"), Token("t"), 1 << 30)
    ended: list[float] = []

    async def fetch() -> None:
        with pytest.raises(errors.Unavailable, match="no answer"):
            await pool.ask(messages.Fetch(content, 0, 99, pin=False), store=place.spec.id)
        ended.append(trio.current_time())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fetch)
        await trio.testing.wait_all_tasks_blocked()
        for part in range(12):
            await pass_by(mock_clock, 50)
            assert not ended
            await worker.report(part)
        await pass_by(mock_clock, 59)
        assert not ended
        await pass_by(mock_clock, 1)
        assert ended


@pytest.mark.parametrize("answer", [FOUND, DENIED])
async def test_who_waits_for_a_place_waits_while_others_get_answers(
    answer: messages.Answer,
    questions: Questions,
    place: Place,
    worker: Prompted,
    mock_clock: trio.testing.MockClock,
) -> None:
    for number in range(10):
        await questions.ask(f"f{number}", place.spec.id)
    for _ in range(9):
        await pass_by(mock_clock, 50)
        await worker.answer_first(place.spec.id, answer)
    await worker.answer_first(place.spec.id)
    assert len(questions.answered) + len(questions.failed) == 10
    assert "f9" in questions.answered


async def test_all_are_told_together_when_a_store_is_silent(
    questions: Questions, place: Place, worker: Prompted, mock_clock: trio.testing.MockClock
) -> None:
    for number in range(5):
        await questions.ask(f"f{number}", place.spec.id)
    await pass_by(mock_clock, 30)
    await worker.answer_first(place.spec.id)
    await pass_by(mock_clock, 59)
    # The minute of all of them began anew with the answer, also that of f1, which has the place since.
    assert questions.failed == []
    await pass_by(mock_clock, 1)
    assert questions.answered == ["f0"]
    assert sorted(questions.failed) == ["f1", "f2", "f3", "f4"]


async def test_failures_to_reach_a_store_are_no_news_of_it(
    questions: Questions, place: Place, worker: Prompted, mock_clock: trio.testing.MockClock
) -> None:
    for number in range(5):
        await questions.ask(f"f{number}", place.spec.id)
    for _ in range(2):
        await pass_by(mock_clock, 20)
        await worker.answer_first(place.spec.id, AWAY)
    await pass_by(mock_clock, 20)
    assert sorted(questions.failed) == ["f0", "f1", "f2", "f3", "f4"]


async def test_another_store_s_answers_are_no_news(
    questions: Questions, place: Place, worker: Prompted, mock_clock: trio.testing.MockClock
) -> None:
    there = StoreId("there")
    for name in ("a", "b"):
        await questions.ask(name, place.spec.id)
    await pass_by(mock_clock, 30)
    await questions.ask("other", there)
    await worker.answer_first(there)
    assert questions.answered == ["other"]
    await pass_by(mock_clock, 30)
    assert sorted(questions.failed) == ["a", "b"]


async def test_a_bound_is_kept_whatever_comes(
    questions: Questions, place: Place, worker: Prompted, mock_clock: trio.testing.MockClock
) -> None:
    await questions.ask("first", place.spec.id)
    await questions.ask("bound", place.spec.id, bound_s=10)
    await questions.ask("last", place.spec.id)
    await pass_by(mock_clock, 9)
    await worker.answer_first(place.spec.id)
    await pass_by(mock_clock, 1)
    assert questions.failed == ["bound"]
