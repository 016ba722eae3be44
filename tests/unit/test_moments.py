"""What people call a moment: read as what it says, or refused with examples."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vstorefs import errors
from vstorefs.model import Key, Version, VersionId, VersionKind
from vstorefs.moments import moment_ns, to_text
from vstorefs.versions.history.texts import items

NOW = int(datetime(2026, 11, 24, 20, 5, 6, tzinfo=UTC).timestamp()) * 10**9
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
PAST = st.datetimes(datetime(1970, 1, 2), datetime(2026, 11, 22), timezones=ZONES)  # noqa: DTZ001 — the zone is drawn


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0) -> int:
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * 10**9


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@given(PAST.map(lambda moment: moment.replace(microsecond=0)))
def test_iso_with_a_zone_is_that_moment(moment: datetime) -> None:
    wanted = int(moment.timestamp()) * 10**9
    assert moment_ns(moment.isoformat(), NOW) == wanted
    assert moment_ns(moment.isoformat(" "), NOW) == wanted
    assert moment_ns(f"{moment.astimezone(UTC):%Y-%m-%dT%H%M%SZ}", NOW) == wanted


@given(st.integers(0, NOW))
def test_a_moment_written_down_is_read_back(time_ns: int) -> None:
    assert moment_ns(to_text(time_ns), NOW) == time_ns


@given(st.integers(0, NOW - 10**9))
def test_a_time_copied_from_a_history_shows_the_version_that_has_it(time_ns: int) -> None:
    version = Version(Key("f"), VersionId("v"), VersionKind.CONTENT, time_ns)
    (shown,) = items("f", [version])
    assert time_ns <= moment_ns(shown.time, NOW) < time_ns + 10**6


@settings(deadline=None)
@given(st.text())
def test_any_text_is_a_past_moment_or_refused_by_name(text: str) -> None:
    try:
        moment = moment_ns(text, NOW)
    except errors.UsageError as error:
        moment, said = 0, str(error)
    else:
        said = f"{text!r} is 2026-11-01T09:00Z"
    assert moment <= NOW
    assert repr(text) in said
    assert "2026-11-01T09:00Z" in said


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("2026-11-01T0900Z", utc(2026, 11, 1, 9)),
        ("2026-11-01", utc(2026, 10, 31, 23)),
        ("2026-07-01 09:00", utc(2026, 7, 1, 7)),
        ("2 hours ago", utc(2026, 11, 24, 18, 5, 6)),
        ("yesterday 14:00", utc(2026, 11, 23, 13)),
        ("yesterday 14:00 UTC", utc(2026, 11, 23, 14)),
        ("Monday", utc(2026, 11, 22, 23)),
        ("now", NOW),
    ],
)
@pytest.mark.usefixtures("_berlin")
def test_times_as_people_write_and_say_them(text: str, wanted: int) -> None:
    assert moment_ns(text, NOW) == wanted


@pytest.mark.parametrize(
    "text", ["", "a", "12", "2026", "latest", "WARNINGS", "train.csv", "2026-13-01", "\0"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError, match="is not a valid time"):
        moment_ns(text, NOW)


@pytest.mark.parametrize("text", ["2026-11-25T00:00Z", "tomorrow", "in 2 hours"])
def test_the_future_is_refused(text: str) -> None:
    with pytest.raises(errors.UsageError, match="in the future"):
        moment_ns(text, NOW)


def test_iso_needs_no_slow_import() -> None:
    code = (
        "import sys; from vstorefs.moments import moment_ns; moment_ns('2026-11-01T09:00Z', 2**63);"
        "sys.exit('dateparser' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], env=os.environ, check=False).returncode == 0
