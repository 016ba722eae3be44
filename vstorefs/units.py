"""Sizes, durations, times and counts as people read them: the same in the log, on the command line and in pages. Pure.

Decimal units, one digit after the point. What programs read has bytes, seconds and ISO 8601 instead.
"""

from __future__ import annotations

from datetime import UTC, datetime

_SPANS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def size(number: int) -> str:
    """Bytes: `999 B`, `28.9 kB`, `57.6 GB`."""
    if number < 1000:
        return f"{number} B"
    value = float(number)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def duration(seconds: float) -> str:
    """How long something took: `0.4 s`, `12 min 5 s`, `3 h 10 min`."""
    if round(seconds, 1) < 10:
        return f"{max(0.0, seconds):.1f} s"
    whole = round(seconds)
    parts = []
    for length, unit in _SPANS:
        number, whole = divmod(whole, length)
        if number:
            parts.append(f"{number} {unit}")
    return " ".join(parts[:2])


def moment(time: datetime) -> str:
    """A time to the second, in UTC; whoever shows it says so: in a column's title, at the foot of a page, behind it."""
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def moment_of(iso: str) -> str:
    """The same for a time in ISO 8601 that ends with `Z`, as exact as it is given."""
    return iso.replace("T", " ").removesuffix("Z")


def count(number: int, noun: str, plural: str = "") -> str:
    """So many of something: `1 input`, `2 inputs`, `0 inputs`."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"
