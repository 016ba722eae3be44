"""What people read as sizes, durations, times and counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from vstorefs import units


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1024, "1.0 kB"),
        (28_900, "28.9 kB"),
        (999_949, "999.9 kB"),
        (999_999, "1.0 MB"),
        (1 << 30, "1.1 GB"),
        (57_600_000_000, "57.6 GB"),
        (2_500_000_000_000, "2.5 TB"),
        (10**18, "1000.0 PB"),
    ],
)
def test_sizes(number: int, shown: str) -> None:
    assert units.size(number) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.96, "10 s"),
        (59.6, "1 min"),
        (65, "1 min 5 s"),
        (725, "12 min 5 s"),
        (11_400, "3 h 10 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    assert units.duration(seconds) == shown


def test_times_are_utc() -> None:
    time = datetime(2026, 11, 26, 2, 31, 52, 123_000, timezone(timedelta(hours=1)))
    assert units.moment(time) == "2026-11-26 01:31:52"
    assert units.moment(datetime(2026, 11, 26, 2, 31, 52, tzinfo=UTC)) == "2026-11-26 02:31:52"
    assert units.moment_of("2026-11-26T02:31:52.123Z") == "2026-11-26 02:31:52.123"


def test_counts() -> None:
    assert [units.count(number, "input") for number in (0, 1, 2, 11)] == [
        "0 inputs",
        "1 input",
        "2 inputs",
        "11 inputs",
    ]
    assert units.count(1, "history", "histories") == "1 history"
    assert units.count(2, "version is", "versions are") == "2 versions are"
