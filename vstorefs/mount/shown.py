"""What programs are shown: which node a name leads to, what a folder lists, for how long the kernel may keep that.

Names of a store come from its listings, those below `.versions` from histories, those at the top of several stores from
the project. Touched by the front's loop only.
"""

from __future__ import annotations

import errno
import os

import pyfuse3

from vstorefs.model import VERSIONS_FOLDER, Entry
from vstorefs.mount.dotversions.nodes import (
    FileHistory,
    SpecialFile,
    VersionsFolder,
    WarningsFile,
)
from vstorefs.mount.dotversions.snapshot import SnapshotFolder
from vstorefs.mount.dotversions.top import AllWarnings, Top, TopVersions
from vstorefs.mount.dotversions.tree import DotVersions
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.tree.absences import Absences
from vstorefs.mount.tree.attributes import absent, absent_for, attributes_of
from vstorefs.mount.tree.inodes import ROOT, DirectoryNode, FileNode, Inodes, Node, TopNode
from vstorefs.mount.tree.namespace import Namespace


class Shown:
    """The tree as programs see it, at a mount point."""

    def __init__(
        self,
        mount_point: str,
        inodes: Inodes,
        namespace: Namespace,
        versions: DotVersions,
        top: Top,
        absences: Absences,
        uses: Uses,
        runs: Runs,
    ) -> None:
        self._mount_point = mount_point.rstrip("/")
        self._inodes = inodes
        self._namespace = namespace
        self._versions = versions
        self._top = top
        self._absences = absences
        self._uses = uses
        self._runs = runs

    # --- names

    async def find(self, folder: Node, name: str) -> Node | None:
        """What has a name in a folder; None where it is known that nothing has. Raises: FUSEError, a StoreError."""
        match folder:
            case DirectoryNode():
                if name == VERSIONS_FOLDER and folder.remote.moment_ns is None:
                    return self._versions.folder(folder, name)
                return await self._namespace.find(folder, name)
            case TopNode():
                if name == VERSIONS_FOLDER and folder.number == ROOT:
                    return self._top.folder(folder, name)
                return folder.stores.get(name)
            case TopVersions():
                return await self._top.find(folder, name)
            case VersionsFolder() | FileHistory():
                return await self._versions.find(folder, name)
            case _:
                raise pyfuse3.FUSEError(errno.ENOTDIR)

    async def rows(self, folder: Node) -> list[tuple[str, Entry | Node]]:
        """All that a folder lists; what a store lists gets a node only when it is told of: `node_of`.

        Raises: FUSEError, a StoreError.
        """
        match folder:
            case DirectoryNode():
                return [*sorted((await self._namespace.entries(folder)).items())]
            case TopNode():
                return [*sorted(folder.stores.items())]
            case TopVersions():
                return [*self._top.rows(folder)]
            case VersionsFolder() | FileHistory():
                return [*await self._versions.rows(folder)]
            case _:
                raise pyfuse3.FUSEError(errno.ENOTDIR)

    def node_of(self, folder: Node, name: str, row: Entry | Node) -> Node:
        """The node of one of a folder's rows."""
        if isinstance(row, Node):
            return row
        assert isinstance(folder, DirectoryNode)
        return self._namespace.node(folder, name, row)

    async def text(self, node: SpecialFile | WarningsFile | AllWarnings) -> bytes:
        """What is in a file that we write. Raises: a StoreError."""
        if isinstance(node, AllWarnings):
            return await self._top.text(node)
        return await self._versions.text(node)

    def path_of(self, node: FileNode) -> str:
        """The path of a file as programs see it."""
        top: DirectoryNode = node.parent
        while top.parent is not None:
            top = top.parent
        if isinstance(top, SnapshotFolder):
            return f"{self._mount_point}/{node.path} ({top.name})"
        return "/".join(part for part in (self._mount_point, top.name, node.path) if part)

    # --- what the kernel is told

    def attributes(self, node: Node) -> pyfuse3.EntryAttributes:
        """What stat says of a node."""
        return attributes_of(node, self._namespace)

    def tell(self, node: Node) -> pyfuse3.EntryAttributes:
        """The same for a node under a name: the kernel holds it until it forgets it."""
        self._inodes.looked_up(node)
        return attributes_of(node, self._namespace)

    def tell_absent(self, folder: Node) -> pyfuse3.EntryAttributes:
        """That a folder lacks a name that nothing can have."""
        return absent(absent_for(folder, self._namespace))

    def tell_missing(self, folder: Node, name: bytes, pid: int) -> pyfuse3.EntryAttributes:
        """That a folder lacks a name that a program has asked for."""
        seconds = absent_for(folder, self._namespace)
        if isinstance(folder, DirectoryNode):
            path = folder.path_of(os.fsdecode(name))
            self._uses.missing(folder.remote, path, self._runs.run_of(pid))
            # Another run is to be told too.
            seconds = 0.0 if self._runs.processes.any else seconds
            self._absences.told(folder.number, name, seconds)
        return absent(seconds)
