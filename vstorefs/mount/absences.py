"""Names of which the kernel was told that they are not there.

It remembers that for as long as a listing is young, and asks no more; so a run that begins meanwhile would not be told
that an input has disappeared. When a run begins the kernel is made to forget, and while one goes on it is told to
remember none. Touched by the front's loop only.
"""

from __future__ import annotations

import contextlib

import pyfuse3
import trio

from vstorefs.clock import Clock

_REMEMBERED = 100_000
_FORGET_S = 5.0


class Absences:
    """The names that the kernel may remember as absent, by the number of their folder."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[tuple[int, bytes], float] = {}

    def told(self, folder: int, name: bytes, seconds: float) -> None:
        """The kernel may remember for so long that a name is not there."""
        if seconds <= 0:
            return
        self._until.pop((folder, name), None)
        self._until[folder, name] = self._clock.monotonic_s() + seconds
        if len(self._until) > _REMEMBERED:
            del self._until[next(iter(self._until))]

    async def forget(self) -> None:
        """Make the kernel ask again. A folder that a hung store keeps busy is not waited for long."""
        now = self._clock.monotonic_s()
        names = [one for one, until in self._until.items() if until > now]
        self._until.clear()
        if names:
            with trio.move_on_after(_FORGET_S):
                await trio.to_thread.run_sync(_forget, names, abandon_on_cancel=True)


def _forget(names: list[tuple[int, bytes]]) -> None:
    for folder, name in names:
        # What the kernel has forgotten by itself need not be.
        with contextlib.suppress(OSError):
            pyfuse3.invalidate_entry(pyfuse3.InodeT(folder), name)
