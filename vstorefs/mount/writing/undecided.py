"""Names that the journal decides about at this moment: they are shown as they will be, and may be as they were again.

A change is shown before it is promised. Who promises content meanwhile would name a path that the file does not get
where the change is refused, or think that it has none. So a close or an fsync waits until it is known. A removal is not
waited for: who removes a file wants nothing of it.

Touched by the front's loop only; what decides never waits for who waits here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import trio

from vstorefs.mount.tree.inodes import StoreNode


class Undecided:
    """The nodes whose names may change, or change back."""

    def __init__(self) -> None:
        self._nodes: set[StoreNode] = set()
        self._decided = trio.Event()

    @contextmanager
    def about(self, *nodes: StoreNode | None) -> Iterator[None]:
        """While the journal decides about their names; the kernel holds each of them for one change at a time."""
        these = {one for one in nodes if one is not None}
        self._nodes |= these
        try:
            yield
        finally:
            self._nodes -= these
            self._decided.set()
            self._decided = trio.Event()

    async def wait_for(self, node: StoreNode) -> None:
        """Until it is known what a node, and the directories that it is in, are called."""
        while node in self:
            await self._decided.wait()

    def __contains__(self, node: StoreNode) -> bool:
        at: StoreNode | None = node
        while at is not None:
            if at in self._nodes:
                return True
            at = at.parent
        return False
