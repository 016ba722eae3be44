"""What stat says of every kind of node."""

from __future__ import annotations

import os
import stat

import pyfuse3

from vstorefs.model import DEFAULT_FILE_MODE, DEFAULT_FOLDER_MODE
from vstorefs.mount.dotversions.nodes import (
    FileHistory,
    LatestLink,
    TellingFile,
    VersionFile,
    VersionsFolder,
    WarningsFile,
)
from vstorefs.mount.dotversions.top import AllWarnings, TopVersions
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Node, SymlinkNode, TopNode

_LOCAL_S = 1.0
_UID, _GID = os.getuid(), os.getgid()


def attributes_of(node: Node, seconds: float) -> pyfuse3.EntryAttributes:
    """What the kernel is told of a node, to be kept for `seconds`."""
    match node:
        case FileNode():
            mode = node.mode if node.mode is not None else DEFAULT_FILE_MODE
            return _make(
                node.number,
                stat.S_IFREG | mode,
                node.size,
                node.mtime_ns,
                (node.uid, node.gid),
                seconds,
            )
        case DirectoryNode():
            mode = node.mode if node.mode is not None else DEFAULT_FOLDER_MODE
            return _make(
                node.number, stat.S_IFDIR | mode, 0, node.mtime_ns, (node.uid, node.gid), seconds
            )
        case SymlinkNode():
            size = len(os.fsencode(node.target))
            return _make(
                node.number,
                stat.S_IFLNK | 0o777,
                size,
                node.mtime_ns,
                (node.uid, node.gid),
                seconds,
            )
        case VersionFile():
            version = node.version
            return _make(
                node.number,
                stat.S_IFREG | 0o444,
                version.size,
                version.mtime_ns or version.time_ns,
                (None, None),
                seconds,
            )
        case LatestLink():
            return _make(node.number, stat.S_IFLNK | 0o777, 0, 0, (None, None), 0)
        case TellingFile() | WarningsFile() | AllWarnings():
            # The size is known when it is opened; until then it only must not look empty.
            return _make(node.number, stat.S_IFREG | 0o444, 4096, 0, (None, None), 0)
        case VersionsFolder() | FileHistory() | TopVersions():
            return _make(node.number, stat.S_IFDIR | 0o555, 0, 0, (None, None), _LOCAL_S)
        case TopNode():
            return _make(node.number, stat.S_IFDIR | 0o555, 0, 0, (None, None), seconds)
        case _:
            raise TypeError(f"no attributes for {node!r}")


def absent(seconds: float) -> pyfuse3.EntryAttributes:
    """Tells the kernel that there is no such name, to be kept for `seconds`."""
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino = pyfuse3.InodeT(0)
    attributes.entry_timeout = seconds
    return attributes


def _make(
    number: int,
    mode: int,
    size: int,
    mtime_ns: int,
    owner: tuple[int | None, int | None],
    seconds: float,
) -> pyfuse3.EntryAttributes:
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino = pyfuse3.InodeT(number)
    attributes.generation = 0
    attributes.entry_timeout = attributes.attr_timeout = seconds
    attributes.st_mode = pyfuse3.ModeT(mode)
    attributes.st_nlink = 1
    attributes.st_uid = _UID if owner[0] is None else owner[0]
    attributes.st_gid = _GID if owner[1] is None else owner[1]
    attributes.st_rdev = 0
    attributes.st_size = size
    attributes.st_blksize = 1 << 20
    attributes.st_blocks = -(-size // 512)
    attributes.st_atime_ns = attributes.st_mtime_ns = attributes.st_ctime_ns = mtime_ns
    return attributes
