"""Whether a store answers: asked at once no more when it does not, looked after at growing intervals."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.ledgers import SetClock
from vstorefs import errors
from vstorefs.mount.backend.health import Health, confirms


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


@pytest.mark.parametrize(
    ("origin", "of_root", "of_another"),
    [
        (errors.Origin.KEY, False, True),
        (errors.Origin.STORE, True, True),
        (errors.Origin.WAIT, True, True),
        (errors.Origin.DISK, False, False),
        (errors.Origin.US, False, False),
    ],
)
def test_two_keys_that_fail_or_a_root_out_of_reach_are_a_store_that_is_down(
    origin: errors.Origin, of_root: bool, of_another: bool
) -> None:
    look = errors.Unavailable("no", origin=origin)
    assert confirms(look, about_root=True) is of_root
    assert confirms(look, about_root=False) is of_another


def test_a_store_is_silent_while_a_request_waits_and_nothing_is_heard() -> None:
    clock = SetClock()
    health = Health("here", clock)
    assert not health.is_silent()
    with health.request():
        wait(clock, 4)
        assert not health.is_silent()
        wait(clock, 1)
        assert health.is_silent()
        health.heard()
        assert not health.is_silent()
        wait(clock, 60)
        assert not health.is_silent(), "it answered others meanwhile"
        with health.request():
            wait(clock, 5)
            assert health.is_silent()
            health.looked()
            assert not health.is_silent(), "one look is enough"
    wait(clock, 60)
    assert not health.is_silent()
