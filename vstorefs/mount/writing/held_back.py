"""Closed files with scratch names: kept local for some seconds, in case their program renames or removes them.

A name is only a guess. What is still there under it `HOLD_S` after its last close is a file like any other, and is
published; so it is when somebody wants everything sent (flush, unmount). A wrong guess delays, it never loses: the
content is in the journal meanwhile. Touched by the front's loop only.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio

from vstorefs import errors
from vstorefs.mount.tree.inodes import FileNode

log = logging.getLogger(__name__)

HOLD_S = 5.0


class HeldBack:
    """The files that are held back; `publish` makes a version of one, as a close of any other file does."""

    def __init__(self, publish: Callable[[FileNode], Awaitable[object]]) -> None:
        self._publish = publish
        self._until: dict[FileNode, float] = {}
        self._changed = trio.Event()
        self._publishing = trio.Lock()

    def __len__(self) -> int:
        return len(self._until)

    def hold(self, node: FileNode) -> None:
        """A file with a scratch name was closed, now."""
        self._until.pop(node, None)
        self._until[node] = trio.current_time() + HOLD_S
        self._changed.set()

    def release(self, node: FileNode) -> None:
        """A file has another name, or none; or it is being written again, and its next close counts."""
        self._until.pop(node, None)

    async def run(self) -> None:
        """Publish each file when its time has come, until cancelled."""
        while True:
            # The first one was closed first: a file that is closed again goes to the end.
            first = next(iter(self._until.items()), None)
            if first is None:
                self._changed = trio.Event()
                await self._changed.wait()
                continue
            node, until = first
            await trio.sleep_until(until)
            if self._until.get(node) == until:
                await self._publish_one(node)

    async def publish_all(self) -> None:
        """Publish what is held back, without waiting for its time."""
        for node in list(self._until):
            if node in self._until:
                await self._publish_one(node)

    async def _publish_one(self, node: FileNode) -> None:
        """Who wants everything sent waits for the one that is on its way there already."""
        async with self._publishing:
            until = self._until.get(node)
            if until is None:
                return
            try:
                await self._publish(node)
            except (errors.VstorefsError, OSError) as error:
                log.warning("%s: cannot be journalled yet (%s); will be retried", node.path, error)
                self.hold(node)
                return
            if self._until.get(node) == until:
                del self._until[node]
