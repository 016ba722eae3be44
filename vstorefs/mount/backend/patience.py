"""How long whoever asks a question waits: until nothing has been heard for a while, not until it has taken long.

A store has places for so many questions at once. Who has a place waits as long as parts of his own answer come; who
waits for one, as long as the store says anything to anybody, for then a place becomes free in time. Getting the place
is no news: when a store is gone, all who wait are told side by side, and not one round of places after the other.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

_APART_S = 1.0


class Patience:
    """The bound of one wait: so many seconds from now, and, where it `renews`, from when something was heard last.

    What is to be waited for belongs into its `scope`.
    """

    def __init__(self, seconds: float, *, renews: bool) -> None:
        self.scope = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._seconds = seconds
        self._renews = renews

    def heard(self) -> None:
        """Something came: the wait begins anew."""
        if self._renews:
            self.scope.deadline = trio.current_time() + self._seconds


class Places:
    """How many questions may wait for one store at once, and who waits for a place; used by the front's loop only."""

    def __init__(self, number: int) -> None:
        self._limit = trio.CapacityLimiter(number)
        self._waiting: set[Patience] = set()
        self._heard_at = float("-inf")

    @asynccontextmanager
    async def taken(self, patience: Patience) -> AsyncIterator[None]:
        """Wait for a place, with that patience, and have it."""
        self._waiting.add(patience)
        try:
            await self._limit.acquire()
        finally:
            self._waiting.remove(patience)
        try:
            yield
        finally:
            self._limit.release()

    def heard(self) -> None:
        """The store has said something to somebody: who waits for a place goes on waiting. Counted by the second."""
        now = trio.current_time()
        # Parts come by the thousand, and so may those who wait.
        if now - self._heard_at < _APART_S:
            return
        self._heard_at = now
        for patience in self._waiting:
            patience.heard()
