"""A node from one name to another, over what stands there, or to none: made in one step, and taken back in one.

Until the journal has it nothing is lost by it: what loses its name keeps its content and its handles, and is where
it was if that is refused. Nothing here awaits.
"""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, StoreNode, SymlinkNode


@dataclass(frozen=True, slots=True)
class Move:
    """From `name` in `source` to `new_name` in `target`, in place of `replaced`."""

    node: StoreNode
    source: DirectoryNode
    name: str
    target: DirectoryNode
    new_name: str
    replaced: StoreNode | None

    def make(self) -> None:
        """The node has its new name; what it replaces has none."""
        if self.replaced is not None:
            self.target.detach(self.new_name, self.replaced)
            if isinstance(self.replaced, DirectoryNode):
                self.replaced.gone = True
        _put(self.node, self.source, self.name, self.target, self.new_name)

    def take_back(self) -> None:
        """Both have the names that they had."""
        _put(self.node, self.target, self.new_name, self.source, self.name)
        if self.replaced is None:
            return
        if isinstance(self.replaced, DirectoryNode):
            self.replaced.gone = False
        else:
            self.replaced.removed = False
        self.target.children[self.new_name] = self.replaced


@dataclass(frozen=True, slots=True)
class Departure:
    """From `name` in `directory` to nowhere: what is promised from now on is promised to none."""

    node: FileNode | SymlinkNode
    directory: DirectoryNode
    name: str

    def make(self) -> None:
        """The node has no name."""
        self.directory.detach(self.name, self.node)

    def take_back(self) -> None:
        """It has the name that it had."""
        self.node.removed = False
        self.directory.children[self.name] = self.node


def _put(
    node: StoreNode, source: DirectoryNode, name: str, target: DirectoryNode, new_name: str
) -> None:
    if source.children.get(name) is node:
        del source.children[name]
    node.parent, node.name = target, new_name
    target.children[new_name] = node
