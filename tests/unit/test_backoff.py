"""Pauses double up to the longest one, and stay there however long it takes."""

from __future__ import annotations

import pytest

from vstorefs import errors
from vstorefs.backoff import Backoff
from vstorefs.clock import SystemClock
from vstorefs.mount.backend.health import Health


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.5, 30.0)
    assert [backoff.after(n) for n in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 30, 30]


@pytest.mark.parametrize("failures", [61, 1024, 1025, 10**6])
def test_a_store_that_is_away_for_days_is_tried_as_before(failures: int) -> None:
    assert Backoff(0.5, 30.0).after(failures) == 30.0


def test_jitter_spreads_pauses_around_theirs() -> None:
    backoff = Backoff(0.1, 5.0, jitter=0.5)
    for failures, middle_s in [(1, 0.1), (3, 0.4), (40, 5.0)]:
        pauses = [backoff.after(failures) for _ in range(200)]
        assert all(0.5 * middle_s <= one <= 1.5 * middle_s for one in pauses)
        assert min(pauses) < middle_s < max(pauses)


def test_a_store_that_was_away_for_hours_is_still_looked_at() -> None:
    health = Health("away", SystemClock())
    for _ in range(1100):
        health.failed(errors.Unavailable("no answer"))
    assert 0 < health.closed_until - health.clock.monotonic_s() <= 10
