"""How long the end of a mount may take: one moment by which all of it is done, whatever hangs.

`vstorefs umount --wait 5` says that it is to be done in five seconds from then: most of that is for uploads, the rest
for what comes after them (notes, the ends of runs, news for other hosts, workers). Whoever unmounts in another way, or
sends a signal, leaves it at `_DEFAULT_S`.
"""

from __future__ import annotations

import trio

_DEFAULT_S = 15.0
_LEAST_S = 1.0
_FORGOTTEN_S = 10.0
_MOST_KEPT_S = 2.0
_KEPT = 0.25


class Ending:
    """When one mount is to have ended; touched by the front's loop only. Times are the loop's."""

    def __init__(self) -> None:
        self._until = float("-inf")

    def asked(self, seconds: float) -> float:
        """Somebody is about to unmount, and gives it so long; gives how much of that is for uploads."""
        self._until = trio.current_time() + seconds
        return seconds - min(_MOST_KEPT_S, seconds * _KEPT)

    def until(self) -> float:
        """When what begins to end now is to have ended."""
        now = trio.current_time()
        if now > self._until + _FORGOTTEN_S:
            # Nobody asked, or the mount was in use and went on.
            return now + _DEFAULT_S
        return max(self._until, now + _LEAST_S)
