"""`.versions` at the top of a mount of several stores: all warnings, and the whole mount as it was.

There are no files at the top, so no histories; what is below belongs to the stores.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vstorefs.mount.dotversions.nodes import ALL_WARNINGS, FOLDER, TEXT
from vstorefs.mount.dotversions.tree import DotVersions
from vstorefs.mount.tree.inodes import DirectoryNode, Inodes, Node, Shape, TopNode


@dataclass(slots=True, eq=False)
class TopVersions(Node):
    """`.versions` at the top."""

    top: TopNode = field(kw_only=True)
    warnings: AllWarnings | None = None

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return FOLDER


@dataclass(slots=True, eq=False)
class AllWarnings(Node):
    """`.versions/@WARNINGS` at the top."""

    top: TopNode = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return TEXT


class Top:
    """Finds and lists below it; touched by the front's loop only."""

    def __init__(self, inodes: Inodes, versions: DotVersions) -> None:
        self._inodes = inodes
        self._versions = versions
        self._folders: dict[TopNode, TopVersions] = {}

    def folder(self, top: TopNode, name: str) -> TopVersions:
        """The `.versions` of the top."""
        if top not in self._folders:
            self._folders[top] = TopVersions(self._inodes.number(), name, top=top)
        return self._folders[top]

    async def find(self, node: TopVersions, name: str) -> Node | None:
        """A name in it. Raises: a StoreError."""
        if name == ALL_WARNINGS:
            return self._warnings(node)
        return await self._past(node.top, name)

    def rows(self, node: TopVersions) -> list[tuple[str, Node]]:
        """What it lists: a time is found by its name."""
        return [(ALL_WARNINGS, self._warnings(node))]

    async def text(self, node: AllWarnings) -> bytes:
        """The warnings of all stores. Raises: Unavailable."""
        parts = [await self._versions.warnings(store) for store in node.top.stores.values()]
        return b"".join(parts)

    def _warnings(self, node: TopVersions) -> AllWarnings:
        if node.warnings is None:
            node.warnings = AllWarnings(self._inodes.number(), ALL_WARNINGS, top=node.top)
        return node.warnings

    async def _past(self, top: TopNode, name: str) -> TopNode | None:
        """All stores as they were; each is asked only when somebody looks into it."""
        stores: dict[str, DirectoryNode] = {}
        for alias, store in top.stores.items():
            found = await self._versions.past(store, name)
            if found is None:
                return None
            stores[alias] = found
        return TopNode(self._inodes.number(), name, stores=stores)
