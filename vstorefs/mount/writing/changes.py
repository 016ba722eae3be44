"""Changes of names and attributes: create, remove, mkdir, rmdir, symlink, chmod and their like.

Each one checks what is there, puts one entry into the journal, shows the new names at once and
returns; the store follows. The kernel serialises the changes within a directory; between two of our
awaits nothing else touches the same names.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace

import pyfuse3

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Entry,
    EntryKind,
    JournalEntry,
    Key,
    Operation,
    RunId,
    Version,
    WriteId,
)
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, StoreNode, SymlinkNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import is_being_written
from vstorefs.mount.writing.moves import Departure
from vstorefs.mount.writing.names import (
    Names,
    after_of,
    base_of,
    check_writable,
    is_unsent,
    replaces,
)
from vstorefs.mount.writing.pending import (
    FileVersion,
    LinkVersion,
    PendingChange,
    ShownName,
    start_of,
)
from vstorefs.mount.writing.uploads import Pending, Uploads
from vstorefs.stores.past import as_entry
from vstorefs.versions.records import MTIMES_NS


@dataclass(frozen=True, slots=True)
class NewAttributes:
    """What a program sets; None leaves one as it is."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None


class Changes:
    """Changes of names; touched by the front's loop only."""

    def __init__(
        self,
        names: Names,
        namespace: Namespace,
        commits: Commits,
        uploads: Uploads,
        clock: Clock,
    ) -> None:
        self._names = names
        self._namespace = namespace
        self._commits = commits
        self._uploads = uploads
        self._clock = clock

    async def create(self, directory: DirectoryNode, name: str, mode: int, run: RunId) -> FileNode:
        """A new, empty file: local until its first close. Raises: FUSEError, a StoreError."""
        await self._names.check_new(directory, name)
        before = self._uploads.latest(directory.remote.spec.id, directory.path_of(name))
        node = self._namespace.new_file(directory, name, mode, self._clock.wall_ns())
        node.run = run
        # The file shows from now on; it is settled when its first version is, or when it is
        # removed.
        self._namespace.hold(directory, name, node.entry())
        node.created = True
        try:
            draft = await self._commits.draft(node, empty=True)
        except OSError:
            directory.detach(name, node)
            self._names.drop(directory, name, node)
            self._names.let_go(node)
            raise
        draft.dirty = True
        draft.after = _newest_at(before.entry, node.path) if before is not None else None
        return node

    async def remove(self, directory: DirectoryNode, name: str, run: RunId) -> None:
        """Unlink. Raises: FUSEError, a StoreError."""
        check_writable(directory)
        node = await self._names.existing(directory, name)
        if isinstance(node, DirectoryNode):
            raise pyfuse3.FUSEError(errno.EISDIR)
        if isinstance(node, FileNode) and is_unsent(node) and not replaces(node):
            await self._remove_unsent(Departure(node, directory, name), node)
        else:
            write = replace(self._commits.new_write(run), base=base_of(node), after=after_of(node))
            entry = self._names.entry(directory, Operation.REMOVE, directory.path_of(name), write)
            move = Departure(node, directory, name)
            change = PendingChange((ShownName(directory, name, None),), move=move)
            async with self._commits.kept(node):
                await self._names.promise(entry, change, drop=self._commits.named_by_journal(node))
            self._commits.forget_synced(node)
            self._names.replaced(directory, name, node)
        self._names.let_go(node)

    async def _remove_unsent(self, move: Departure, node: FileNode) -> None:
        """A file that no store has: gone before the journal is asked, so that no close under way makes it a version."""
        directory, name = move.directory, move.name
        async with self._commits.kept(node):
            move.make()
            if node.created:
                self._namespace.update(directory, name, None)
            try:
                await self._commits.abandon(node)
            except BaseException:
                move.take_back()
                if node.created:
                    self._namespace.update(directory, name, node.entry())
                raise
        self._names.drop(directory, name, node)

    async def make_directory(
        self, directory: DirectoryNode, name: str, mode: int, run: RunId
    ) -> DirectoryNode:
        """Mkdir. Raises: FUSEError, a StoreError."""
        await self._names.check_new(directory, name)
        path = directory.path_of(name)
        entry = Entry(path, EntryKind.DIRECTORY, mtime_ns=self._clock.wall_ns(), mode=mode)
        write = replace(self._commits.new_write(run), mode=mode)
        await self._promise_name(
            self._names.entry(directory, Operation.MAKE_DIRECTORY, path, write),
            directory,
            name,
            entry,
        )
        node = self._namespace.node(directory, name, entry)
        assert isinstance(node, DirectoryNode)
        return node

    async def remove_directory(self, directory: DirectoryNode, name: str, run: RunId) -> None:
        """Rmdir. Raises: FUSEError, a StoreError."""
        check_writable(directory)
        node = await self._names.existing(directory, name)
        if not isinstance(node, DirectoryNode):
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        if await self._namespace.entries(node):
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        write = self._commits.new_write(run)
        entry = self._names.entry(
            directory, Operation.REMOVE_DIRECTORY, directory.path_of(name), write
        )
        await self._promise_name(entry, directory, name, None)
        node.gone = True
        directory.detach(name, node)

    async def make_symlink(
        self, directory: DirectoryNode, name: str, target: str, run: RunId
    ) -> SymlinkNode:
        """Symlink. Raises: FUSEError, a StoreError."""
        await self._names.check_new(directory, name)
        path = directory.path_of(name)
        shown = Entry(path, EntryKind.SYMLINK, len(target), self._clock.wall_ns(), target=target)
        write = self._commits.new_write(run)
        entry = replace(self._names.entry(directory, Operation.SYMLINK, path, write), link=target)
        node = self._namespace.node(directory, name, shown)
        assert isinstance(node, SymlinkNode)
        change = PendingChange(
            (ShownName(directory, name, shown),),
            LinkVersion(node, write.write_id, True, node.token, node.after),
        )
        await self._names.promise(entry, change)
        return node

    async def put_back(
        self, directory: DirectoryNode, name: str, version: Version, run: RunId
    ) -> Pending:
        """An old version of a file becomes the newest one at a name, copied inside the store.

        What is there goes on for those who have it open, as under a rename. Raises: FUSEError, a
        StoreError.
        """
        self._names.check(directory, name)
        other = await self._namespace.find(directory, name)
        if isinstance(other, DirectoryNode):
            raise pyfuse3.FUSEError(errno.EISDIR)
        if isinstance(other, FileNode) and (other.write_handles or is_unsent(other)):
            raise pyfuse3.FUSEError(errno.EBUSY)
        if isinstance(other, SymlinkNode):
            # A version cannot lie where a link is: the link goes first.
            await self.remove(directory, name, run)
            other = None
        store = directory.remote.spec.id
        write = replace(
            self._commits.new_write(run),
            base=base_of(other),
            after=after_of(other),
            mode=version.mode,
            mtime_ns=version.mtime_ns or None,
            mtime_set=bool(version.mtime_ns),
            hashes=version.hashes,
        )
        entry = replace(
            self._names.entry(directory, Operation.COPY, version.key, write),
            target=directory.path_of(name),
            source=version.content(store),
        )
        shown = replace(as_entry(version), key=directory.path_of(name))
        if other is not None:
            directory.detach(name, other)
        node = self._namespace.node(directory, name, shown)
        assert isinstance(node, FileNode)
        node.content = version.content(store)
        change = PendingChange(
            (ShownName(directory, name, shown),),
            FileVersion(
                *(node, write.write_id, True, start_of(node), run),
                self._commits.told(node, run),
            ),
        )
        try:
            drop = self._commits.named_by_journal(other)
            pending = await self._names.promise(entry, change, drop=drop)
        except errors.VstorefsError:
            if other is not None:
                other.removed = False
                directory.children[name] = other
            raise
        self._commits.forget_synced(other)
        self._names.replaced(directory, name, other)
        return pending

    async def set_attributes(self, node: StoreNode, new: NewAttributes, run: RunId) -> None:
        """chmod, chown, utime. Raises: FUSEError (EINVAL for a time that no record can say), a StoreError."""
        if new.mtime_ns is not None and new.mtime_ns not in MTIMES_NS:
            raise pyfuse3.FUSEError(errno.EINVAL)
        if isinstance(node, FileNode) and (node.removed or is_being_written(node)):
            # They travel with the content that is being written.
            _apply(node, new)
            return
        if not _differs(node, new):
            return
        check_writable(node)
        if isinstance(node, DirectoryNode) and node.parent is None:
            raise pyfuse3.FUSEError(errno.EPERM)
        before = _attributes_of(node)
        _apply(node, new)
        applied = _attributes_of(node)
        write = replace(
            self._commits.new_write(run),
            mode=new.mode,
            uid=new.uid,
            gid=new.gid,
            mtime_ns=new.mtime_ns,
        )
        assert node.parent is not None
        entry = self._names.entry(node.parent, Operation.ATTRIBUTES, node.path, write)
        try:
            await self._promise_name(entry, node.parent, node.name, entry_of(node))
        except errors.VstorefsError:
            # What was not promised is not shown; another change may have come meanwhile.
            if _attributes_of(node) == applied:
                _put_back(node, before)
            raise

    async def _promise_name(
        self, entry: JournalEntry, directory: DirectoryNode, name: str, shown: Entry | None
    ) -> None:
        """Promise a change of which there is nothing to see but what a name shows."""
        change = PendingChange((ShownName(directory, name, shown),))
        await self._names.promise(entry, change)


def entry_of(node: StoreNode) -> Entry:
    """What a listing of this mount shows for a node."""
    match node:
        case FileNode() | SymlinkNode():
            return node.entry()
        case DirectoryNode():
            return Entry(
                node.path,
                EntryKind.DIRECTORY,
                0,
                node.mtime_ns,
                mode=node.mode,
                uid=node.uid,
                gid=node.gid,
            )


def _newest_at(entry: JournalEntry, path: Key) -> WriteId:
    """The write that an entry leaves at one of its paths."""
    if entry.removal is not None and path == entry.path:
        return entry.removal.write_id
    return entry.write.write_id


def _differs(node: StoreNode, new: NewAttributes) -> bool:
    mode = None if isinstance(node, SymlinkNode) else node.mode
    default = DEFAULT_FOLDER_MODE if isinstance(node, DirectoryNode) else DEFAULT_FILE_MODE
    pairs = (
        (new.mode, mode if mode is not None else default),
        (new.uid, node.uid),
        (new.gid, node.gid),
        (new.mtime_ns, node.mtime_ns),
    )
    return any(wanted is not None and wanted != present for wanted, present in pairs)


_Attributes = tuple[int | None, int | None, int | None, int, bool]


def _attributes_of(node: StoreNode) -> _Attributes:
    mode = None if isinstance(node, SymlinkNode) else node.mode
    return mode, node.uid, node.gid, node.mtime_ns, isinstance(node, FileNode) and node.mtime_set


def _put_back(node: StoreNode, before: _Attributes) -> None:
    mode, node.uid, node.gid, node.mtime_ns, mtime_set = before
    if not isinstance(node, SymlinkNode):
        node.mode = mode
    if isinstance(node, FileNode):
        node.mtime_set = mtime_set


def _apply(node: StoreNode, new: NewAttributes) -> None:
    if new.mode is not None and not isinstance(node, SymlinkNode):
        node.mode = new.mode
    if new.uid is not None:
        node.uid = new.uid
    if new.gid is not None:
        node.gid = new.gid
    if new.mtime_ns is not None:
        node.mtime_ns = new.mtime_ns
        if isinstance(node, FileNode):
            node.mtime_set = True
