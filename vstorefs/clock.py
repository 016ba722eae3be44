"""The only source of time, so that tests can steer it."""

from __future__ import annotations

import time
from typing import Protocol


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
