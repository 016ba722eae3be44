"""Each seed is gone through once, on however many processes."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.simulation import many


@pytest.mark.parametrize("jobs", [1, 3])
def test_no_seed_is_left_out(jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    gone_through: list[int] = []

    def go_through(first: int, count: int) -> tuple[int, list[many.Failure]]:
        gone_through.extend(range(first, first + count))
        return count, []

    def in_threads(count: int, **_: Any) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(count)

    monkeypatch.setattr(many, "_chunk", go_through)
    monkeypatch.setattr(many, "ProcessPoolExecutor", in_threads)
    sizes = [size for size, _ in many.chunks(7, 1020, jobs)]
    assert sorted(gone_through) == list(range(7, 1027))
    assert list(itertools.accumulate(sizes))[-1] == 1020
