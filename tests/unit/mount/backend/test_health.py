"""Whether a store answers: asked at once no more when it does not, looked after at growing intervals."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.ledgers import SetClock
from vstorefs import errors
from vstorefs.mount.backend.health import Health


def wait(clock: SetClock, seconds: float) -> None:
    clock.now += timedelta(seconds=seconds)


def test_a_store_is_up_until_it_fails_and_down_until_it_answers() -> None:
    health = Health("here", SetClock())
    health.check()
    down = [health.down]
    health.failed(errors.Unavailable("no route"))
    down.append(health.down)
    with pytest.raises(errors.Unavailable, match="no route") as caught:
        health.check()
    assert caught.value.store == "here"
    health.succeeded()
    down.append(health.down)
    health.check()
    assert down == [False, True, False]


def test_going_down_and_coming_back_are_news_once() -> None:
    health = Health("here", SetClock())
    assert not health.succeeded()
    assert [health.failed(errors.Unavailable("away")) for _ in range(3)] == [True, False, False]
    assert [health.succeeded() for _ in range(2)] == [True, False]
    assert health.failed(errors.Unavailable("away"))


def test_the_newest_reason_is_given() -> None:
    health = Health("here", SetClock())
    health.failed(errors.Unavailable("no route"))
    health.failed(errors.Unavailable("time-out"))
    with pytest.raises(errors.Unavailable, match="time-out"):
        health.check()


def test_nobody_looks_whether_a_store_is_back_that_is_up() -> None:
    assert not Health("here", SetClock()).is_due()


def test_each_failure_makes_the_next_look_later_up_to_ten_seconds() -> None:
    clock = SetClock()
    health = Health("here", clock)
    pauses = []
    for _ in range(7):
        health.failed(errors.Unavailable("away"))
        waited = 0
        while not health.is_due():
            wait(clock, 1)
            waited += 1
        pauses.append(waited)
    assert pauses == [1, 2, 4, 8, 10, 10, 10]


def test_after_an_answer_the_first_look_is_soon_again() -> None:
    clock = SetClock()
    health = Health("here", clock)
    for _ in range(5):
        health.failed(errors.Unavailable("away"))
    health.succeeded()
    health.failed(errors.Unavailable("away"))
    wait(clock, 1)
    assert health.is_due()
