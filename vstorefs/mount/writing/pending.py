"""One change from when it is shown until its store has it: what is shown, how that is settled, how it is undone.

A change is shown first and promised then, so that nobody sees the old names once the program goes on. When its
store has it, the change is *settled*: the node that got a version takes it over, and its names go back to what
listings say. Where the journal does not take it, it is *undone*, and the program gets an error.

Where the store never takes it, it is *set aside*: it is shown on, as long as the mount, or until somebody drops it.

A change is settled, undone or dropped once, on the front's loop; nothing here awaits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from vstorefs.model import CHUNK_BYTES, Content, Entry, RunId, Token, WriteId
from vstorefs.mount.tree.inodes import NO_TOKEN, DirectoryNode, FileNode, StoreNode, SymlinkNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.draft import Draft, draft_of, is_being_written
from vstorefs.mount.writing.moves import Departure, Move
from vstorefs.mount.writing.uploads import Callbacks
from vstorefs.versions.moved import moved_write
from vstorefs.workers.messages import Published

Told = Callable[[Content | None, Content | None], None]
"""Learns of the version that a file got, or that it gets none, and of the content that it has bytes of."""


@dataclass(frozen=True, slots=True)
class ShownName:
    """What a name shows until the change is settled; an `entry` of None: that it is gone.

    `held`: the name is held already, since its file was created here, and stays so where the change is refused.
    """

    directory: DirectoryNode
    name: str
    entry: Entry | None
    held: bool = False


class Subject(Protocol):
    """What a change happens to, beside names."""

    @property
    def node(self) -> StoreNode:
        """The node that is kept until the change is settled."""
        ...

    def begin(self) -> None:
        """The change is shown from now on."""
        ...

    def settle(self, published: Published, namespace: Namespace) -> None:
        """The store has it."""
        ...

    def undo(self, shown: ShownName) -> None:
        """It does not happen; that is where it was shown."""
        ...

    def set_aside(self) -> None:
        """It does not happen for now: what comes after it starts from what it started from."""
        ...

    def drop(self) -> None:
        """It was set aside, and will never happen: the store knows what there is."""
        ...


@dataclass(frozen=True, slots=True)
class PendingChange:
    """What is shown of one change, and to what it happens; `move`: between which names, or from which to none.

    `relists`: where it is refused, the store is asked what there is, for what was shown was wrong.
    """

    shown: tuple[ShownName, ...]
    subject: Subject | None = None
    move: Move | Departure | None = None
    relists: bool = True

    def show(self, namespace: Namespace) -> None:
        """Show it."""
        if self.move is not None:
            self.move.make()
        if self.subject is not None:
            self.subject.begin()
        for one in self.shown:
            if one.held:
                namespace.update(one.directory, one.name, one.entry)
            else:
                namespace.hold(one.directory, one.name, one.entry)

    def settle(self, namespace: Namespace, published: Published) -> None:
        """The store has it: a listing that is asked for from now on shows it."""
        if self.subject is not None:
            # First, for what a settled name shows is what its node is by then.
            self.subject.settle(published, namespace)
        for one in self.shown:
            namespace.settle(one.directory, one.name)

    def set_aside(self) -> None:
        """The store does not take it: it is shown on."""
        if self.subject is not None:
            self.subject.set_aside()

    def drop(self, namespace: Namespace) -> None:
        """What was set aside is not wanted any more: the store is asked what there is."""
        if self.subject is not None:
            self.subject.drop()
        for one in self.shown:
            namespace.expire(one.directory)
            namespace.settle(one.directory, one.name)

    def callbacks(self, namespace: Namespace, ended: Callable[[], None]) -> Callbacks:
        """What follows on its entry; `ended`: when it is settled or dropped."""

        def settled(published: Published) -> None:
            self.settle(namespace, published)
            ended()

        def dropped() -> None:
            self.drop(namespace)
            ended()

        return Callbacks(settled, self.set_aside, dropped)

    def undo(self, namespace: Namespace) -> None:
        """The journal did not take it: names and nodes are as before, in one step."""
        if self.subject is not None:
            self.subject.undo(self.shown[-1])
        if self.move is not None:
            self.move.take_back()
        for one in self.shown:
            if self.relists:
                namespace.expire(one.directory)
            if not one.held:
                end = namespace.take_back if self.relists else namespace.settle
                end(one.directory, one.name)


@dataclass(frozen=True, slots=True)
class Start:
    """What a node started from before a change of it was promised."""

    base: Token | None
    after: WriteId | None


def start_of(node: FileNode) -> Start:
    """What the next version of a file starts from."""
    return Start(node.base, node.after)


@dataclass(frozen=True, slots=True)
class CommittedDraft:
    """A draft that becomes a version in a directory.

    `created`: its file has had none before. `start`: what the file started from. `told` learns that it has a version,
    or (None) that it never will, and what that rests on.
    """

    node: FileNode
    directory: DirectoryNode
    draft: Draft
    write: WriteId
    created: bool
    start: Start
    told: Told

    def begin(self) -> None:
        """See `Subject`."""
        self.draft.frozen = True
        self.node.pending += 1
        self.node.created = False
        # Whatever is promised from now on comes after it.
        self.node.base, self.node.after = None, self.write

    def settle(self, published: Published, namespace: Namespace) -> None:
        """See `Subject`."""
        node, version = self.node, published.version
        node.pending -= 1
        content = None
        if version is not None and not published.late:
            content = version.content(node.remote.spec.id)
            if node.draft is self.draft:
                node.content = content
                # What was written is in the kernel's cache as if it had been read.
                node.served = (1 << -(-content.size // CHUNK_BYTES)) - 1
            _start_from(node, self.write, Start(version.token, None))
        if node.draft is self.draft:
            node.draft = None
        self.draft.discard()
        self.told(content, self.draft.rests_on)
        if published.late:
            # What another host wrote meanwhile is what the name shows.
            namespace.expire(self.directory)

    def undo(self, shown: ShownName) -> None:
        """See `Subject`. The draft can be written on."""
        del shown
        self.draft.frozen = False
        self.node.pending -= 1
        self.node.created = self.created
        if self.node.draft is not self.draft:
            # Who wrote on meanwhile starts from what this draft started from.
            _start_from(self.node, self.write, Start(self.draft.base, self.draft.after))
        self.node.base, self.node.after = self.start.base, self.start.after

    def set_aside(self) -> None:
        """See `Subject`."""
        _start_from(self.node, self.write, Start(self.draft.base, self.draft.after))

    def drop(self) -> None:
        """See `Subject`. Who holds the file open has what was written since, or what the store has."""
        self.node.pending -= 1
        if self.node.draft is self.draft:
            self.node.draft = None
        self.draft.discard()
        self.told(None, None)


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file that gets a version without being written.

    `is_new`: the node was made for it, with what an old version was, and goes where the change is refused; else it is a
    file that is moved. `start`: what it started from. `run` makes it; `told` learns of it, as for a draft.
    """

    node: FileNode
    write: WriteId
    is_new: bool
    start: Start
    run: RunId | None
    told: Told

    def begin(self) -> None:
        """See `Subject`. A draft that is being written goes on from this version."""
        self.node.pending += 1
        self.node.mover = self.run
        self.node.base, self.node.after = None, self.write
        if is_being_written(self.node):
            draft = draft_of(self.node)
            assert draft is not None
            draft.base, draft.after = None, self.write

    def settle(self, published: Published, namespace: Namespace) -> None:
        """See `Subject`."""
        del namespace
        node, version = self.node, published.version
        node.pending -= 1
        content = version.content(node.remote.spec.id) if version is not None else None
        self.told(content, node.content)
        if version is None or node.after != self.write:
            return
        _start_from(node, self.write, Start(version.token, None))
        if is_being_written(node):
            return
        node.content = content
        if self.is_new:
            node.mode, node.mtime_ns = version.mode, version.mtime_ns or node.mtime_ns

    def undo(self, shown: ShownName) -> None:
        """See `Subject`."""
        self.node.pending -= 1
        _start_from(self.node, self.write, self.start)
        if self.is_new:
            shown.directory.detach(shown.name, self.node)

    def set_aside(self) -> None:
        """See `Subject`."""
        _start_from(self.node, self.write, self.start)

    def drop(self) -> None:
        """See `Subject`."""
        self.node.pending -= 1
        self.told(None, None)


def _start_from(node: FileNode, write: WriteId, start: Start) -> None:
    """What came after a write starts from this now."""
    for writer in (node, draft_of(node)):
        if writer is not None and writer.after == write:
            writer.base, writer.after = start.base, start.after


@dataclass(frozen=True, slots=True)
class LinkVersion:
    """A symlink that is made (`is_new`), or made again under another name. `token`, `after`: what it was before."""

    node: SymlinkNode
    write: WriteId
    is_new: bool
    token: Token
    after: WriteId | None

    def begin(self) -> None:
        """See `Subject`."""
        self.node.pending += 1
        self.node.token, self.node.after = NO_TOKEN, self.write

    def settle(self, published: Published, namespace: Namespace) -> None:
        """See `Subject`."""
        del namespace
        self.node.pending -= 1
        if published.version is not None and self.node.after == self.write:
            self.node.token, self.node.after = published.version.token, None

    def undo(self, shown: ShownName) -> None:
        """See `Subject`."""
        self.node.pending -= 1
        self.node.token, self.node.after = self.token, self.after
        if self.is_new:
            shown.directory.detach(shown.name, self.node)

    def set_aside(self) -> None:
        """See `Subject`."""
        if self.node.after == self.write:
            self.node.token, self.node.after = self.token, self.after

    def drop(self) -> None:
        """See `Subject`."""
        self.node.pending -= 1


@dataclass(slots=True)
class _Below:
    """Who starts from a version in a directory: from what, and, once that has moved, after which write."""

    writer: FileNode | Draft | SymlinkNode
    before: Start
    after: WriteId

    def begin(self) -> None:
        """It has moved, as far as is known."""
        _set_start(self.writer, Start(None, self.after))

    def take_back(self) -> None:
        """It has not; who has another start by now keeps that."""
        if self.writer.after == self.after:
            _set_start(self.writer, self.before)


@dataclass(frozen=True, slots=True)
class MovedFolder:
    """A folder that is moved; what is below has new versions then, to be listed anew.

    What is written to files `below` starts from those, as soon as the folder has its new name.
    """

    node: DirectoryNode
    below: tuple[_Below, ...]

    @classmethod
    def of(cls, node: DirectoryNode, write: WriteId) -> MovedFolder:
        """The folder, while it has its old name; `write` moves it."""
        return cls(node, tuple(_starts_below(node, write)))

    def begin(self) -> None:
        """See `Subject`."""
        for one in self.below:
            one.begin()

    def settle(self, published: Published, namespace: Namespace) -> None:
        """See `Subject`."""
        del published
        namespace.expire_tree(self.node)

    def undo(self, shown: ShownName) -> None:
        """See `Subject`."""
        del shown
        self.set_aside()

    def set_aside(self) -> None:
        """See `Subject`."""
        for one in self.below:
            one.take_back()

    def drop(self) -> None:
        """See `Subject`."""


def _starts_below(node: DirectoryNode, write: WriteId) -> Iterator[_Below]:
    for child in node.children.values():
        if isinstance(child, DirectoryNode):
            yield from _starts_below(child, write)
            continue
        draft = draft_of(child) if isinstance(child, FileNode) else None
        for writer in (child, draft):
            # What is on its way under the old name starts from what it says.
            if writer is None or (isinstance(writer, Draft) and writer.frozen):
                continue
            before = _start(writer)
            if before != Start(None, None):
                yield _Below(writer, before, moved_write(write, child.path))


def _start(writer: FileNode | Draft | SymlinkNode) -> Start:
    if isinstance(writer, SymlinkNode):
        return Start(writer.token or None, writer.after)
    return Start(writer.base, writer.after)


def _set_start(writer: FileNode | Draft | SymlinkNode, start: Start) -> None:
    if isinstance(writer, SymlinkNode):
        writer.token = start.base or NO_TOKEN
    else:
        writer.base = start.base
    writer.after = start.after
