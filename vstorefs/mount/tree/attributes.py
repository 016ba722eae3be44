"""What the kernel is told of nodes and names, and for how long it may keep that."""

from __future__ import annotations

import os

import pyfuse3

from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Node, SymlinkNode, TopNode
from vstorefs.mount.tree.namespace import Namespace

_UID, _GID = os.getuid(), os.getgid()


def attributes_of(node: Node, namespace: Namespace) -> pyfuse3.EntryAttributes:
    """What stat says of a node."""
    shape = node.shape()
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino = pyfuse3.InodeT(node.number)
    attributes.generation = 0
    attributes.entry_timeout = attributes.attr_timeout = (
        _listed_for(node, namespace) if shape.kept_s is None else shape.kept_s
    )
    attributes.st_mode = pyfuse3.ModeT(shape.mode)
    attributes.st_nlink = 1
    attributes.st_uid = _UID if shape.uid is None else shape.uid
    attributes.st_gid = _GID if shape.gid is None else shape.gid
    attributes.st_rdev = 0
    attributes.st_size = shape.size
    attributes.st_blksize = 1 << 20
    attributes.st_blocks = -(-shape.size // 512)
    attributes.st_atime_ns = attributes.st_mtime_ns = attributes.st_ctime_ns = shape.mtime_ns
    return attributes


def absent(seconds: float) -> pyfuse3.EntryAttributes:
    """Tells the kernel that there is no such name, to be kept for `seconds`."""
    attributes = pyfuse3.EntryAttributes()
    attributes.st_ino = pyfuse3.InodeT(0)
    attributes.entry_timeout = seconds
    return attributes


def absent_for(folder: Node, namespace: Namespace) -> float:
    """For how many seconds the kernel may keep that a folder lacks a name."""
    if not isinstance(folder, DirectoryNode | TopNode):
        # What is below `.versions` comes into being with the next write.
        return 0.0
    kept_s = folder.shape().kept_s
    return _listed_for(folder, namespace) if kept_s is None else kept_s


def _listed_for(node: Node, namespace: Namespace) -> float:
    match node:
        case FileNode() | SymlinkNode():
            return namespace.seconds_left(node.parent)
        case DirectoryNode():
            return namespace.seconds_left(node.parent or node)
        case _:
            return 0.0
