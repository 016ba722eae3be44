"""Is a store answering? A store known to be down is not asked by those who would wait for it.

After a failure the store counts as down until something succeeds. Whoever looks whether it is back
does so after a moment that grows with each further failure. Pure but for the clock it is given; one
`Health` per store, touched by the front's loop only.
"""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs import errors
from vstorefs.backoff import Backoff
from vstorefs.clock import Clock

_LOOKS = Backoff(1.0, 10.0)


@dataclass(slots=True)
class Health:
    """What is known of one store's availability."""

    alias: str
    clock: Clock
    why: str = ""
    failures: int = 0
    closed_until: float = 0.0

    @property
    def down(self) -> bool:
        """True after a failure, until something succeeds."""
        return self.failures > 0

    def check(self) -> None:
        """Raise at once, rather than wait for a store that is down. Raises: Unavailable."""
        if self.down:
            raise errors.Unavailable(self.why, store=self.alias)

    def is_due(self) -> bool:
        """Whether it is time to look if the store is back."""
        return self.down and self.clock.monotonic_s() >= self.closed_until

    def succeeded(self) -> bool:
        """Note an answer; True if the store had been down."""
        was_down, self.failures, self.why = self.down, 0, ""
        return was_down

    def failed(self, error: Exception) -> bool:
        """Note that no answer came; True if this is news."""
        news = not self.down
        self.failures += 1
        self.why = str(error)
        self.closed_until = self.clock.monotonic_s() + _LOOKS.after(self.failures)
        return news
