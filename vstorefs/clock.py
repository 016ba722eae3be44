"""The only source of time, so that tests can steer it."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc(time_ns: int) -> datetime:
    """Nanoseconds since the epoch as a time, to the microsecond."""
    return _EPOCH + timedelta(microseconds=time_ns // 1000)


class Clock(Protocol):
    """Wall time for identities and records; monotonic time for waiting and staleness."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back, this machine only."""
        ...


class SystemClock:
    """The machine's own clocks."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """Seconds since boot, suspended time included.

        The same for all processes of this machine.
        """
        return time.clock_gettime(time.CLOCK_BOOTTIME)
