"""Names of which the kernel was told that they are not there.

It remembers that for as long as a listing is young, and asks no more; so a run that begins meanwhile would not be told
that an input has disappeared. When a run begins the kernel is made to forget, and while one goes on it is told to
remember none. Touched by the front's loop only.
"""

from __future__ import annotations

import os

from vstorefs.clock import Clock
from vstorefs.mount.tree.inodes import DirectoryNode, Inodes
from vstorefs.mount.tree.invalidation import Name

_REMEMBERED = 100_000


class Absences:
    """The names that the kernel may remember as absent, by the number of their folder."""

    def __init__(self, clock: Clock, inodes: Inodes) -> None:
        self._clock = clock
        self._inodes = inodes
        self._until: dict[Name, float] = {}

    def told(self, folder: int, name: bytes, seconds: float) -> None:
        """The kernel may remember for so long that a name is not there."""
        if seconds <= 0:
            return
        self._until.pop((folder, name), None)
        self._until[folder, name] = self._clock.monotonic_s() + seconds
        if len(self._until) > _REMEMBERED:
            del self._until[next(iter(self._until))]

    def take(self) -> list[Name]:
        """The names that the kernel may remember still; they are to be forgotten.

        Not those that have come into being since: who stands in such a directory would lose the ground.
        """
        now = self._clock.monotonic_s()
        names = [
            one for one, until in self._until.items() if until > now and not self._is_there(one)
        ]
        self._until.clear()
        return names

    def _is_there(self, one: Name) -> bool:
        """Whether the kernel knows something under a name by now."""
        number, name = one
        folder = self._inodes.get(number)
        child = (
            folder.children.get(os.fsdecode(name)) if isinstance(folder, DirectoryNode) else None
        )
        return child is not None and child.lookups > 0
