"""The nodes that the kernel knows, by inode number.

A node lives while the kernel holds lookups of it, a handle is open on it, or a change of it is on
its way to the store. A path is never stored: a node knows its parent and its name, so that a
renamed directory takes its subtree along.

An inode number stands for one line of contents: what this mount wrote to a path keeps the number;
what came from elsewhere appears under a new one, so that the kernel's page cache is right without
ever being told.

Everything here belongs to the front's loop; nothing awaits.
"""

from __future__ import annotations

import itertools
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field

from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Content,
    Entry,
    EntryKind,
    Key,
    RunId,
    Token,
    WriteId,
    join,
)
from vstorefs.mount.tree.remote import Remote

ROOT = 1
NO_TOKEN = Token("")
FIXED_S = 3600.0
"""For how long the kernel may keep what it is told of a node that never changes."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a node looks like from outside. `mode` includes its kind; an owner of None is the mount's own user.

    `kept_s`: for how many seconds the kernel may keep that; None: for as long as what is known of its folder.
    """

    mode: int
    size: int = 0
    mtime_ns: int = 0
    uid: int | None = None
    gid: int | None = None
    kept_s: float | None = None


@dataclass(slots=True, eq=False)
class Node(ABC):
    """Anything with an inode number.

    `lookups` counts what the kernel holds, `pins` what we hold.
    """

    number: int
    name: str
    lookups: int = 0
    pins: int = 0

    @property
    def in_use(self) -> bool:
        """Whether the node must stay."""
        return self.lookups > 0 or self.pins > 0

    @abstractmethod
    def shape(self) -> Shape:
        """What it looks like now."""


@dataclass(slots=True, eq=False)
class TopNode(Node):
    """The root of a mount of several stores: one folder each."""

    stores: dict[str, DirectoryNode] = field(default_factory=dict)

    def shape(self) -> Shape:
        """See `Node`. One that shows the past is named by a time, which may move on."""
        return Shape(stat.S_IFDIR | 0o555, kept_s=FIXED_S if self.number == ROOT else 0.0)


@dataclass(slots=True, eq=False)
class Local:
    """What this mount knows better than the last listing about one name. `entry` is None where it is gone.

    It holds while `pending` changes are on their way, and after that until a listing that is newer
    than `settled_at`. `under`: what those of them that are not the newest show, oldest first.
    """

    entry: Entry | None
    pending: int = 0
    settled_at: float = 0.0
    under: list[Entry | None] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class DirectoryNode(Node):
    """A directory of a store.

    Its last listing, what this mount changed since, and the live nodes in it. Where the listing is not
    `complete`, `asked` are names that were asked for one by one, and when. `stale`: the store could not
    be asked, when that was tried at `tried_at`, and the listing is an old one. What was listed before `expired_at` will
    not do any more.
    """

    remote: Remote = field(kw_only=True)
    parent: DirectoryNode | None = None
    entries: dict[str, Entry] | None = None
    listed_at: float = float("-inf")
    tried_at: float = float("-inf")
    expired_at: float = float("-inf")
    local: dict[str, Local] = field(default_factory=dict)
    children: dict[str, StoreNode] = field(default_factory=dict)
    complete: bool = True
    stale: bool = False
    asked: dict[str, float] = field(default_factory=dict)
    versions: Node | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int = 0
    gone: bool = False

    @property
    def top(self) -> Key:
        """The key of a directory that has no parent."""
        return Key("")

    @property
    def path(self) -> Key:
        """The key of this directory in its store; empty for its root."""
        names: list[str] = []
        node = self
        # Trees are deeper than calls may be nested.
        while node.parent is not None:
            names.append(node.name)
            node = node.parent
        return join(node.top, "/".join(reversed(names))) if names else node.top

    @property
    def is_root(self) -> bool:
        """Whether it is there as long as the mount."""
        return self.parent is None

    def path_of(self, name: str) -> Key:
        """The key of a name in this directory."""
        return join(self.path, name)

    def known_below(self) -> Iterator[str]:
        """What this mount knows to be in it, however deep, as paths from here."""
        left = [("", self)]
        while left:
            before, node = left.pop()
            gone = {name for name, known in node.local.items() if known.entry is None}
            for name in {*(node.entries or ()), *node.local, *node.children} - gone:
                yield before + name
                child = node.children.get(name)
                if isinstance(child, DirectoryNode):
                    left.append((f"{before}{name}/", child))

    def detach(self, name: str, node: StoreNode) -> None:
        """A node has a name in this directory no more."""
        if isinstance(node, FileNode | SymlinkNode):
            node.removed = True
        if self.children.get(name) is node:
            del self.children[name]

    def set_entry(self, entry: Entry) -> None:
        """Take over what a listing says about this directory itself."""
        self.mode, self.uid, self.gid = entry.mode, entry.uid, entry.gid
        self.mtime_ns = entry.mtime_ns

    def shape(self) -> Shape:
        """See `Node`."""
        mode = self.mode if self.mode is not None else DEFAULT_FOLDER_MODE
        return Shape(stat.S_IFDIR | mode, 0, self.mtime_ns, self.uid, self.gid)


class Unstored(ABC):
    """Content that no store has yet. What else it is and can do only those know who write: `writing.draft.draft_of`."""

    __slots__ = ()

    @property
    @abstractmethod
    def rests_on(self) -> Content | None:
        """The content in a store of which it has bytes still."""


@dataclass(slots=True, eq=False)
class FileNode(Node):
    """A file of a store: the content that its readers see, and what its writers have changed.

    Readers look at `draft` first (content being written, or on its way), then at `content`. `base`
    is the token of the head that this node's content is, `after` the write that is still on its
    way; both None for a new file. `created`: its name is held since it was created, until its first
    version is settled. `removed`: the name is gone, the node lives on for its handles. `mtime_set`: a
    program chose the time, since the last write. `run`: the run that writes it, or wrote it last; `mover`: the one
    that gave it its newest name or attributes, while that is on its way. `served`:
    the chunks of `content` that were given to the kernel, a bit each. `outdated`: the store no longer has
    its content.
    """

    remote: Remote = field(kw_only=True)
    parent: DirectoryNode = field(kw_only=True)
    content: Content | None = None
    size: int = 0
    mtime_ns: int = 0
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    base: Token | None = None
    after: WriteId | None = None
    draft: Unstored | None = None
    write_handles: int = 0
    pending: int = 0
    created: bool = False
    removed: bool = False
    mtime_set: bool = False
    run: RunId | None = None
    mover: RunId | None = None
    served: int = 0
    outdated: bool = False

    @property
    def path(self) -> Key:
        """The key of this file in its store."""
        return self.parent.path_of(self.name)

    @property
    def busy(self) -> bool:
        """Whether this mount has changes of it that a listing does not show."""
        return self.draft is not None or self.write_handles > 0 or self.pending > 0

    def set_entry(self, entry: Entry) -> None:
        """Take over what a listing says: a content and its attributes."""
        self.content = Content(
            self.remote.spec.id, entry.key, entry.token, entry.size, entry.version, entry.strong
        )
        self.base = entry.token
        self.size, self.mtime_ns = entry.size, entry.mtime_ns
        self.mode, self.uid, self.gid = entry.mode, entry.uid, entry.gid

    def entry(self) -> Entry:
        """What a listing of this mount shows for it now."""
        token = self.content.token if self.content is not None else Token("")
        return Entry(
            self.path,
            EntryKind.FILE,
            self.size,
            self.mtime_ns,
            token,
            strong=self.content.strong if self.content is not None else True,
            mode=self.mode,
            uid=self.uid,
            gid=self.gid,
        )

    def shape(self) -> Shape:
        """See `Node`."""
        mode = self.mode if self.mode is not None else DEFAULT_FILE_MODE
        return Shape(stat.S_IFREG | mode, self.size, self.mtime_ns, self.uid, self.gid)


@dataclass(slots=True, eq=False)
class SymlinkNode(Node):
    """A symlink of a store. Its `target` is empty where that could not be read; `size` is as listed.

    `token` is what the store calls it, `after` the write that is still on its way; `pending` changes of it
    are.
    """

    remote: Remote = field(kw_only=True)
    parent: DirectoryNode = field(kw_only=True)
    target: str = ""
    size: int = 0
    token: Token = NO_TOKEN
    after: WriteId | None = None
    pending: int = 0
    mtime_ns: int = 0
    uid: int | None = None
    gid: int | None = None
    removed: bool = False

    @property
    def path(self) -> Key:
        """The key of this symlink in its store."""
        return self.parent.path_of(self.name)

    @property
    def busy(self) -> bool:
        """Whether this mount has changes of it that a listing does not show."""
        return self.pending > 0

    def set_entry(self, entry: Entry) -> None:
        """Take over what a listing says."""
        self.target, self.size = entry.target or "", entry.size
        self.token, self.mtime_ns = entry.token, entry.mtime_ns
        self.uid, self.gid = entry.uid, entry.gid

    def entry(self) -> Entry:
        """What a listing of this mount shows for it now."""
        return Entry(
            self.path,
            EntryKind.SYMLINK,
            self.shape().size,
            self.mtime_ns,
            self.token,
            uid=self.uid,
            gid=self.gid,
            target=self.target or None,
        )

    def shape(self) -> Shape:
        """See `Node`."""
        size = len(os.fsencode(self.target)) or self.size
        return Shape(stat.S_IFLNK | 0o777, size, self.mtime_ns, self.uid, self.gid)


StoreNode = DirectoryNode | FileNode | SymlinkNode


class Inodes:
    """The table of nodes; numbers are never used twice in a mount."""

    def __init__(self) -> None:
        self._nodes: dict[int, Node] = {}
        self._numbers = itertools.count(ROOT)

    def number(self) -> int:
        """A number that no node has had; the first one is the root's."""
        return next(self._numbers)

    def add(self, node: Node) -> None:
        """Take in a new node."""
        self._nodes[node.number] = node

    def get(self, number: int) -> Node | None:
        """The node of an inode number, if it lives."""
        return self._nodes.get(number)

    def looked_up(self, node: Node) -> None:
        """The kernel was told of a node, and will tell when it forgets it."""
        node.lookups += 1
        self._nodes[node.number] = node

    def all(self) -> list[Node]:
        """Every node that the kernel knows or that is held here."""
        return list(self._nodes.values())

    def forget(self, number: int, count: int) -> None:
        """The kernel gave back `count` lookups."""
        node = self._nodes.get(number)
        if node is not None:
            node.lookups = max(0, node.lookups - count)
            self.let_go(node)

    def let_go(self, node: Node) -> None:
        """Drop a node that nothing holds any more, and then its parents."""
        while not _held(node):
            self._nodes.pop(node.number, None)
            parent = node.parent if isinstance(node, StoreNode) else None
            if parent is None:
                return
            if parent.children.get(node.name) is node:
                del parent.children[node.name]
            node = parent

    def files(self) -> Iterator[FileNode]:
        """All live files."""
        return (node for node in list(self._nodes.values()) if isinstance(node, FileNode))


def _held(node: Node) -> bool:
    if node.number == ROOT or node.in_use:
        return True
    if isinstance(node, DirectoryNode):
        return node.is_root or bool(node.children) or bool(node.local)
    return isinstance(node, FileNode | SymlinkNode) and node.busy
