"""What people call a moment, as nanoseconds since the epoch.

ISO 8601 first: `2026-11-01T09:00Z`, `2026-11-01T0900Z`, `2026-11-01 09:00:05.123+01:00`, `2026-11-01`;
without a zone it is local time. A fraction of a second means up to the end of its last digit, so that
a time copied from a history shows the version that the history shows. Anything else is read by
dateparser, in English: `yesterday 14:00`, `2 hours ago`, `monday`; it is imported only then. What only
means something to a guesser (`12`, `a`, `2026-13-01`) is no time.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from vstorefs import errors

EXAMPLES = "2026-11-01T09:00Z, 2026-11-01 (local time), 'yesterday 14:00', '2 hours ago'"
SETTLED_NS = 10_000_000_000
"""How old a moment is before what other hosts wrote by then is taken to be in their stores."""
_SECOND_NS = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FRACTION = re.compile(r"(.{8,10}[T ]\d\d:?\d\d:?\d\d)[.,](\d{1,9})(Z|[+-].*|)")
_NEVER_SAID = re.compile(r"\d{1,9}|.{0,2}|\d{4}-.*", re.DOTALL)


def moment_ns(text: str, now_ns: int) -> int:
    """The moment that a text names, seen from `now_ns`.

    Raises: UsageError for what is no time, and for what has not happened yet.
    """
    found = _iso(text.strip())
    if found is None:
        found = _said(text.strip(), now_ns)
    if found is None:
        raise errors.UsageError(f"{text!r} is not a valid time; write it as {EXAMPLES}")
    if found > now_ns:
        raise errors.UsageError(f"{text!r} is in the future; write a time like {EXAMPLES}")
    return found


def to_text(time_ns: int) -> str:
    """A moment in ISO 8601, to the nanosecond: `moment_ns` reads it back as the same."""
    seconds, rest = divmod(time_ns, _SECOND_NS)
    fraction = f".{rest:09d}" if rest else ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}{fraction}Z"


def _iso(text: str) -> int | None:
    fraction = _FRACTION.fullmatch(text)
    whole = text if fraction is None else fraction[1] + fraction[3]
    try:
        seconds = _seconds(datetime.fromisoformat(whole))
    except (ValueError, OverflowError):
        return None
    rest = int(fraction[2].ljust(9, "9")) if fraction is not None else 0
    return seconds * _SECOND_NS + rest


def _seconds(moment: datetime) -> int:
    """Whole seconds since the epoch; without a zone it is local time. Raises: ValueError, OverflowError."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(seconds=1)


def _said(text: str, now_ns: int) -> int | None:
    if _NEVER_SAID.fullmatch(text):
        return None
    import dateparser  # noqa: PLC0415 — slow to import, and seldom needed

    now = datetime.fromtimestamp(now_ns // _SECOND_NS, UTC).astimezone()
    try:
        moment = dateparser.parse(
            text,
            languages=["en"],
            settings={
                "RELATIVE_BASE": now.replace(tzinfo=None),
                "PREFER_DATES_FROM": "past",
            },
        )
        return None if moment is None else _seconds(moment) * _SECOND_NS
    except (ValueError, OverflowError):
        return None
