"""A node from one name to another, over what stands there: made in one step, and taken back in one.

Until the journal has a rename nothing is lost by it: what it replaces keeps its content and its handles, and is where
it was if the rename is refused. Nothing here awaits.
"""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs.mount.tree.inodes import DirectoryNode, StoreNode


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


def _put(
    node: StoreNode, source: DirectoryNode, name: str, target: DirectoryNode, new_name: str
) -> None:
    if source.children.get(name) is node:
        del source.children[name]
    node.parent, node.name = target, new_name
    target.children[new_name] = node
