"""Time as trio's clock has it, which a test may steer."""

from __future__ import annotations

import trio

_START_NS = 1_790_000_000 * 10**9
_UP_S = 1000.0


class TrioClock:
    """The front's clock: goes with the one of the loop."""

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch, UTC."""
        return _START_NS + round(trio.current_time() * 1e9)

    def monotonic_s(self) -> float:
        """Seconds since boot, some time after it."""
        return _UP_S + trio.current_time()
