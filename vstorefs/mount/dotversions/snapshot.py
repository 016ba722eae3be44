"""`DIR/.versions/@TIME`: DIR as it was at a moment, read-only.

Below it are ordinary nodes of a store, of the same store as it was: names, contents and attributes go
the ways that they go in the present. A time that people say (`@yesterday`) moves on, so the kernel
keeps nothing of the name; here it stands for one moment for a few seconds, so that a program that walks
through by names stays in one past.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from weakref import WeakValueDictionary

from vstorefs.clock import Clock
from vstorefs.model import Key
from vstorefs.moments import SETTLED_NS
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.dotversions.nodes import VersionsFolder
from vstorefs.mount.tree.inodes import DirectoryNode, Inodes, Shape
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.workers import messages

_HOLDS_S = 5.0
_WAIT_S = 5.0
_MARK = "@"


@dataclass(slots=True, eq=False, weakref_slot=True)
class SnapshotFolder(DirectoryNode):
    """A directory as it was; `base` is its path in the store."""

    base: Key = field(kw_only=True)

    @property
    def top(self) -> Key:
        """See `inodes.DirectoryNode`."""
        return self.base

    @property
    def is_root(self) -> bool:
        """See `inodes.DirectoryNode`. It goes when the kernel forgets it."""
        return False

    def shape(self) -> Shape:
        """See `inodes.Node`. The kernel keeps nothing of a name that may stand for another moment later."""
        return replace(DirectoryNode.shape(self), kept_s=0.0)


class Snapshots:
    """Finds pasts by name; touched by the front's loop only."""

    def __init__(self, inodes: Inodes, uploads: Uploads, pool: Pool, clock: Clock) -> None:
        self._inodes = inodes
        self._uploads = uploads
        self._pool = pool
        self._clock = clock
        self._said: dict[str, tuple[float, int]] = {}
        self._nodes: WeakValueDictionary[tuple[VersionsFolder, int], SnapshotFolder] = (
            WeakValueDictionary()
        )

    async def find(self, folder: VersionsFolder, name: str) -> SnapshotFolder | None:
        """The past that a name of `.versions` stands for; None where it names no time. Raises: a StoreError."""
        moment_ns = await self._moment(name.removeprefix(_MARK))
        if moment_ns is None:
            return None
        remote, path = folder.directory.remote, folder.directory.path
        if self._clock.wall_ns() - moment_ns < SETTLED_NS:
            await self._uploads.settled_below(remote.spec.id, path, _WAIT_S)
        node = self._nodes.get((folder, moment_ns))
        if node is None or node.path != path:
            past = remote.as_of(moment_ns)
            node = SnapshotFolder(self._inodes.number(), name, remote=past, base=path)
            node.mode = folder.directory.mode
            self._nodes[folder, moment_ns] = node
        return node

    async def _moment(self, text: str) -> int | None:
        now = self._clock.monotonic_s()
        self._said = {one: said for one, said in self._said.items() if now - said[0] < _HOLDS_S}
        if text not in self._said:
            answer = await self._pool.ask(messages.Moment(text))
            if answer.moment_ns is None:
                return None
            self._said[text] = (now, answer.moment_ns)
        return self._said[text][1]
