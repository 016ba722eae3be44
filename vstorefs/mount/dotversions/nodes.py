"""What stands below `.versions`.

Folders of files' histories, and in each the versions and three files that tell of them.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from enum import Enum

from vstorefs.model import Version
from vstorefs.mount.tree.inodes import FIXED_S, DirectoryNode, Node, Shape
from vstorefs.mount.tree.remote import Remote

LATEST = "latest"


class SpecialName(Enum):
    """Files that tell of a history; values are their names."""

    TABLE = "HISTORY"
    JSON = "history.json"
    WARNINGS = "WARNINGS"


ALL_WARNINGS = "@WARNINGS"
"""The file that tells all warnings at or below a directory."""
FOLDER = Shape(stat.S_IFDIR | 0o555, kept_s=1.0)
TEXT = Shape(stat.S_IFREG | 0o444, 4096, kept_s=0.0)
"""A file that is written when it is opened, and has its size then; until then it only must not look empty."""


@dataclass(slots=True, eq=False)
class VersionsFolder(Node):
    """`DIR/.versions`: a folder for each file that has, or had, versions in DIR."""

    directory: DirectoryNode = field(kw_only=True)
    children: dict[str, FileHistory] = field(default_factory=dict)
    warnings: WarningsFile | None = None

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return FOLDER


@dataclass(slots=True, eq=False)
class FileHistory(Node):
    """`DIR/.versions/FILE`. `versions` as last asked for, at `asked_at` seconds.

    `published` is how many changes this mount had published then.
    """

    folder: VersionsFolder = field(kw_only=True)
    file: str = ""
    versions: tuple[Version, ...] = ()
    asked_at: float = float("-inf")
    published: int = -1
    children: dict[str, Node] = field(default_factory=dict)

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return FOLDER


@dataclass(slots=True, eq=False)
class VersionFile(Node):
    """One version, read-only."""

    remote: Remote = field(kw_only=True)
    version: Version = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`. A version never changes."""
        version = self.version
        mtime_ns = version.mtime_ns or version.time_ns
        return Shape(stat.S_IFREG | 0o444, version.size, mtime_ns, kept_s=FIXED_S)


@dataclass(slots=True, eq=False)
class LatestLink(Node):
    """The link to the newest version with content."""

    history: FileHistory = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return Shape(stat.S_IFLNK | 0o777, kept_s=0.0)


@dataclass(slots=True, eq=False)
class SpecialFile(Node):
    """HISTORY or history.json."""

    history: FileHistory = field(kw_only=True)
    special: SpecialName = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return TEXT


@dataclass(slots=True, eq=False)
class WarningsFile(Node):
    """`DIR/.versions/@WARNINGS`."""

    folder: VersionsFolder = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return TEXT


VersionsNode = VersionsFolder | FileHistory | VersionFile | LatestLink | SpecialFile | WarningsFile
