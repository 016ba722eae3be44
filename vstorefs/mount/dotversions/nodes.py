"""What stands below `.versions`.

Folders of files' histories, and in each the versions and three files that tell of them.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass, field, replace
from enum import Enum

from vstorefs.model import DEFAULT_FILE_MODE, Version
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
TEXT = Shape(stat.S_IFREG | 0o400, 4096, kept_s=0.0)
"""A file that is written when it is opened, and has its size then; until then it only must not look empty.

What it tells of may be anybody's, so it is for the mount's own user.
"""
_READ = 0o444
_OWNER_READS = 0o400


def readable(version: Version) -> int:
    """Who may read a version: whoever could read the file then, as far as its mode says."""
    mode = version.mode if version.mode is not None else DEFAULT_FILE_MODE
    return (mode & _READ) | _OWNER_READS


def _like(directory: DirectoryNode) -> Shape:
    """A folder that those may look into who may look into the directory that it tells of."""
    shape = directory.shape()
    mode = shape.mode & 0o555 | stat.S_IFDIR
    return replace(FOLDER, mode=mode, uid=shape.uid, gid=shape.gid)


@dataclass(slots=True, eq=False)
class VersionsFolder(Node):
    """`DIR/.versions`: a folder for each file that has, or had, versions in DIR."""

    directory: DirectoryNode = field(kw_only=True)
    children: dict[str, FileHistory] = field(default_factory=dict)
    warnings: WarningsFile | None = None

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return _like(self.directory)


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
        return _like(self.folder.directory)


@dataclass(slots=True, eq=False)
class VersionFile(Node):
    """One version, read-only."""

    remote: Remote = field(kw_only=True)
    version: Version = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`. A version never changes."""
        version = self.version
        mtime_ns = version.mtime_ns or version.time_ns
        return Shape(stat.S_IFREG | readable(version), version.size, mtime_ns, kept_s=FIXED_S)


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
        """See `inodes.Node`. It tells of all versions, so whoever may not read one of them may not read it."""
        mode = _READ
        for version in self.history.versions:
            mode &= readable(version)
        return replace(TEXT, mode=stat.S_IFREG | mode)


@dataclass(slots=True, eq=False)
class WarningsFile(Node):
    """`DIR/.versions/@WARNINGS`."""

    folder: VersionsFolder = field(kw_only=True)

    def shape(self) -> Shape:
        """See `inodes.Node`."""
        return TEXT


VersionsNode = VersionsFolder | FileHistory | VersionFile | LatestLink | SpecialFile | WarningsFile
