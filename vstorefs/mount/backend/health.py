"""Is a store answering? A store known to be down is not asked by those who would wait for it.

A request that fails or waits for long is only a reason to look at the store's root, once for all that
fail at the same time; that look says whether the store is down (`confirms`). It then counts as down
until something succeeds. Whoever looks whether it is back does so after a moment that grows with each
further failure. Pure but for the clock it is given; one `Health` per store, touched by the front's
loop only.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vstorefs import errors
from vstorefs.backoff import Backoff
from vstorefs.clock import Clock

_LOOKS = Backoff(1.0, 10.0)
_LONG_S = 5.0


def confirms(look: errors.StoreError, *, about_root: bool) -> bool:
    """Whether a look at the root that failed so means that the store is down.

    `about_root`: what failed before was the root's own listing. Then the two may be one key, of which the server says
    that it cannot give it; any other way of failing, and any other key, makes it the store. Pure.
    """
    return look.origin.blames_store and (not about_root or look.origin is not errors.Origin.KEY)


@dataclass(slots=True)
class Health:
    """What is known of one store's availability. `back_at`: when it answered after it had been down, last."""

    alias: str
    clock: Clock
    why: str = ""
    failures: int = 0
    closed_until: float = 0.0
    answered_at: float = 0.0
    looked_at: float = 0.0
    back_at: float = float("-inf")
    waiting: dict[int, float] = field(default_factory=dict)
    _requests: int = 0

    @property
    def down(self) -> bool:
        """True from when the store was found not to answer, until something succeeds."""
        return self.failures > 0

    def check(self) -> None:
        """Raise at once, rather than wait for a store that is down. Raises: Unavailable."""
        if self.down:
            raise errors.Unavailable(self.why, store=self.alias, origin=errors.Origin.STORE)

    def is_due(self) -> bool:
        """Whether it is time to look if the store is back."""
        return self.down and self.clock.monotonic_s() >= self.closed_until

    @contextmanager
    def request(self) -> Iterator[None]:
        """While a request to the store is under way."""
        self._requests += 1
        number = self._requests
        self.waiting[number] = self.clock.monotonic_s()
        try:
            yield
        finally:
            del self.waiting[number]

    def is_silent(self) -> bool:
        """Whether a request has waited for long, and nothing was heard of the store since it was made."""
        heard_at = max(self.answered_at, self.looked_at)
        since = min((at for at in self.waiting.values() if at >= heard_at), default=None)
        return since is not None and self.clock.monotonic_s() - since >= _LONG_S

    def heard(self) -> None:
        """Note that a request gets on."""
        self.answered_at = self.clock.monotonic_s()

    def looked(self) -> None:
        """Note that a look begins: it tells of all that failed before."""
        self.looked_at = self.clock.monotonic_s()

    def succeeded(self) -> bool:
        """Note an answer; True if the store had been down."""
        self.heard()
        was_down, self.failures, self.why = self.down, 0, ""
        if was_down:
            self.back_at = self.answered_at
        return was_down

    def failed(self, error: Exception) -> bool:
        """Note that the store itself does not answer; True if this is news."""
        news = not self.down
        self.failures += 1
        self.why = str(error)
        self.closed_until = self.clock.monotonic_s() + _LOOKS.after(self.failures)
        return news
