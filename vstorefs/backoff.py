"""How long to wait before trying again: each time twice as long, up to a longest pause.

Only the arithmetic: who tries again, what of, until when and by which clock is known where it is done.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

_DOUBLINGS = 60
"""More than any pause needs; a float cannot be doubled for ever, and a store may be away for days."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses from `first_s` to `longest_s` seconds, each longer or shorter by chance by up to the fraction `jitter`."""

    first_s: float
    longest_s: float
    jitter: float = 0.0

    def after(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, from 1 on; without jitter always the same."""
        pause_s = min(self.first_s * 2.0 ** min(failures - 1, _DOUBLINGS), self.longest_s)
        if not self.jitter:
            return pause_s
        return pause_s * random.uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 — no secret
