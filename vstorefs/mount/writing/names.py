"""Names, as those who change them need them: what may be made where, what is there, how a change is promised."""

from __future__ import annotations

import errno
from functools import partial

import pyfuse3

from vstorefs import errors
from vstorefs.model import JournalEntry, Key, Operation, SessionId, Token, Write, WriteId
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Inodes, StoreNode, SymlinkNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.draft import draft_of, is_being_written
from vstorefs.mount.writing.pending import PendingChange
from vstorefs.mount.writing.uploads import Pending, Uploads

_NAME_BYTES = 255


class Names:
    """The names of one mount; touched by the front's loop only. `hidden`: names that no program may make."""

    def __init__(
        self,
        session: SessionId,
        namespace: Namespace,
        inodes: Inodes,
        uploads: Uploads,
        *,
        hidden: tuple[str, ...],
    ) -> None:
        self._session = session
        self._namespace = namespace
        self._inodes = inodes
        self._uploads = uploads
        self._hidden = hidden

    def check(self, directory: DirectoryNode, name: str) -> None:
        """Raises: FUSEError where no such name may be made; Displaced."""
        check_writable(directory)
        try:
            length = len(name.encode())
        except UnicodeEncodeError as error:
            # Stores name things in UTF-8.
            raise pyfuse3.FUSEError(errno.EILSEQ) from error
        if length > _NAME_BYTES or _is_too_deep(directory, name):
            raise pyfuse3.FUSEError(errno.ENAMETOOLONG)
        if name in self._hidden:
            raise pyfuse3.FUSEError(errno.EPERM)
        if directory.gone:
            raise pyfuse3.FUSEError(errno.ENOENT)

    async def check_new(self, directory: DirectoryNode, name: str) -> None:
        """The same where there must be nothing of that name yet. Raises: FUSEError, a StoreError."""
        self.check(directory, name)
        if await self._namespace.find(directory, name) is not None:
            raise pyfuse3.FUSEError(errno.EEXIST)

    async def existing(self, directory: DirectoryNode, name: str) -> StoreNode:
        """What has a name. Raises: FUSEError, a StoreError."""
        node = await self._namespace.find(directory, name)
        if node is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return node

    def entry(
        self, directory: DirectoryNode, operation: Operation, path: Key, write: Write
    ) -> JournalEntry:
        """The journal's entry of a change in a directory's store."""
        return JournalEntry(0, self._session, directory.remote.spec.id, operation, path, write)

    async def promise(
        self, entry: JournalEntry, change: PendingChange, *, drop: tuple[int, ...] = ()
    ) -> Pending:
        """Show a change, and put it into the journal, in place of the entries in `drop`, and on its way.

        Raises: StoreError where the journal does not take it; it is undone then.
        """
        change.show(self._namespace)
        try:
            callbacks = change.callbacks(self._namespace, partial(self._ended, change))
            return await self._uploads.promise(entry, callbacks, drop=drop)
        except BaseException:
            change.undo(self._namespace)
            raise

    def _ended(self, change: PendingChange) -> None:
        if change.subject is not None:
            self.let_go(change.subject.node)

    def drop(self, directory: DirectoryNode, name: str, node: FileNode) -> None:
        """Where only this mount ever knew a name, it is gone."""
        if node.created:
            node.created = False
            self._namespace.update(directory, name, None)
            self._namespace.settle(directory, name)

    def replaced(self, directory: DirectoryNode, name: str, node: StoreNode | None) -> None:
        """A node has lost its name to another one, for good."""
        if isinstance(node, FileNode) and node.created:
            # The name was held for its first version, which will not be.
            node.created = False
            self._namespace.settle(directory, name)
        if node is not None:
            self.let_go(node)

    def let_go(self, node: StoreNode) -> None:
        """A node that may not be needed any more, nor what was written to it."""
        if isinstance(node, FileNode) and node.removed and not node.pins:
            draft = draft_of(node)
            if draft is not None and not draft.frozen:
                draft.discard()
                node.draft = None
        self._inodes.let_go(node)


def target_of(node: SymlinkNode) -> str:
    """Where a symlink leads. Raises: Unavailable where that could not be read."""
    if not node.target:
        raise errors.Unavailable(
            "where this symlink leads cannot be read now",
            store=node.remote.spec.alias,
            key=node.path,
            origin=errors.Origin.KEY,
        )
    return node.target


def check_writable(node: StoreNode) -> None:
    """Raises: FUSEError EROFS where nothing may be written; Displaced where there is nothing to write to."""
    if node.remote.read_only:
        raise pyfuse3.FUSEError(errno.EROFS)
    node.remote.require_place()


def _is_too_deep(directory: DirectoryNode, name: str) -> bool:
    """Whether a path is longer than its store can hold; what it took would be refused there for ever."""
    return not directory.remote.capabilities.has_room_for(directory.path_of(name))


def is_unsent(node: FileNode) -> bool:
    """Whether no version of a file has been promised to any store.

    All there is of it is its draft.
    """
    has_version = node.base is not None or node.after is not None or node.content is not None
    return not has_version and node.pending == 0 and is_being_written(node)


def replaces(node: FileNode) -> bool:
    """Whether a file that no store has took the name of one that its store has still."""
    draft = draft_of(node)
    return is_unsent(node) and draft is not None and draft.replaces


def base_of(node: StoreNode | None) -> Token | None:
    """The content that a change of a node's name starts from, where its store has one."""
    if isinstance(node, FileNode):
        draft = draft_of(node)
        return draft.base if draft is not None and replaces(node) else node.base
    return node.token or None if isinstance(node, SymlinkNode) else None


def after_of(node: StoreNode | None) -> WriteId | None:
    """The write that a change of a node's name comes after, where one is on its way."""
    if isinstance(node, FileNode) and replaces(node):
        draft = draft_of(node)
        return draft.after if draft is not None else None
    return node.after if isinstance(node, FileNode | SymlinkNode) else None
