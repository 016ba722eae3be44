"""Changes of names and attributes: create, remove, rename, mkdir, rmdir, symlink, chmod and their like.

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
    Content,
    Entry,
    EntryKind,
    JournalEntry,
    Key,
    Operation,
    RunId,
    Token,
    Version,
    Write,
    WriteId,
)
from vstorefs.mount.tree.inodes import (
    NO_TOKEN,
    DirectoryNode,
    FileNode,
    Inodes,
    StoreNode,
    SymlinkNode,
)
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import draft_of, is_being_written
from vstorefs.mount.writing.uploads import Pending, Settled, Uploads
from vstorefs.stores.past import as_entry
from vstorefs.workers.messages import Published

_NAME_BYTES = 255


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
        namespace: Namespace,
        inodes: Inodes,
        commits: Commits,
        uploads: Uploads,
        clock: Clock,
        *,
        hidden: tuple[str, ...],
    ) -> None:
        self._namespace = namespace
        self._inodes = inodes
        self._commits = commits
        self._uploads = uploads
        self._clock = clock
        self._hidden = hidden

    async def create(self, directory: DirectoryNode, name: str, mode: int, run: RunId) -> FileNode:
        """A new, empty file: local until its first close. Raises: FUSEError, a StoreError."""
        self._check_name(directory, name)
        if await self._namespace.find(directory, name) is not None:
            raise pyfuse3.FUSEError(errno.EEXIST)
        before = self._uploads.latest(directory.remote.spec.id, directory.path_of(name))
        node = self._namespace.new_file(directory, name, mode, self._clock.wall_ns())
        node.run = run
        # The file shows from now on; it is settled when its first version is, or when it is
        # removed.
        self._namespace.hold(directory, name, node.entry())
        node.created = True
        draft = await self._commits.draft(node, empty=True)
        draft.dirty = True
        draft.after = before.entry.write.write_id if before is not None else None
        return node

    async def remove(self, directory: DirectoryNode, name: str, run: RunId) -> None:
        """Unlink. Raises: FUSEError, a StoreError."""
        check_writable(directory)
        node = await self._existing(directory, name)
        if isinstance(node, DirectoryNode):
            raise pyfuse3.FUSEError(errno.EISDIR)
        if isinstance(node, FileNode) and is_unsent(node):
            await self._commits.abandon(node)
            self._detach(directory, name, node)
            self._drop_name(directory, name, node)
        else:
            write = replace(self._commits.new_write(run), base=_base(node), after=_after(node))
            entry = self._entry(directory, Operation.REMOVE, directory.path_of(name), write)
            await self._promise_name(entry, directory, name, None)
            self._detach(directory, name, node)
            if isinstance(node, FileNode):
                await self._commits.abandon(node)
        self._let_go(node)

    async def make_directory(
        self, directory: DirectoryNode, name: str, mode: int, run: RunId
    ) -> DirectoryNode:
        """Mkdir. Raises: FUSEError, a StoreError."""
        self._check_name(directory, name)
        if await self._namespace.find(directory, name) is not None:
            raise pyfuse3.FUSEError(errno.EEXIST)
        path = directory.path_of(name)
        entry = Entry(path, EntryKind.DIRECTORY, mtime_ns=self._clock.wall_ns(), mode=mode)
        write = replace(self._commits.new_write(run), mode=mode)
        await self._promise_name(
            self._entry(directory, Operation.MAKE_DIRECTORY, path, write), directory, name, entry
        )
        node = self._namespace.node(directory, name, entry)
        assert isinstance(node, DirectoryNode)
        return node

    async def remove_directory(self, directory: DirectoryNode, name: str, run: RunId) -> None:
        """Rmdir. Raises: FUSEError, a StoreError."""
        check_writable(directory)
        node = await self._existing(directory, name)
        if not isinstance(node, DirectoryNode):
            raise pyfuse3.FUSEError(errno.ENOTDIR)
        if await self._namespace.entries(node):
            raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        write = self._commits.new_write(run)
        entry = self._entry(directory, Operation.REMOVE_DIRECTORY, directory.path_of(name), write)
        await self._promise_name(entry, directory, name, None)
        node.gone = True
        self._detach(directory, name, node)

    async def make_symlink(
        self, directory: DirectoryNode, name: str, target: str, run: RunId
    ) -> SymlinkNode:
        """Symlink. Raises: FUSEError, a StoreError."""
        self._check_name(directory, name)
        if await self._namespace.find(directory, name) is not None:
            raise pyfuse3.FUSEError(errno.EEXIST)
        path = directory.path_of(name)
        shown = Entry(path, EntryKind.SYMLINK, len(target), self._clock.wall_ns(), target=target)
        write = self._commits.new_write(run)
        entry = replace(self._entry(directory, Operation.SYMLINK, path, write), link=target)
        node = self._namespace.node(directory, name, shown)
        assert isinstance(node, SymlinkNode)
        self._namespace.hold(directory, name, shown)
        node.after = write.write_id
        node.pending += 1
        try:
            await self._promise_or_undo(
                entry,
                lambda published: self._settled_link(node, write, published, [(directory, name)]),
                [(directory, name)],
            )
        except errors.VstorefsError:
            node.pending -= 1
            self._detach(directory, name, node)
            raise
        return node

    async def rename(
        self,
        source: DirectoryNode,
        name: str,
        target: DirectoryNode,
        new_name: str,
        run: RunId,
        *,
        replace_target: bool,
    ) -> None:
        """Rename. Raises: FUSEError, a StoreError."""
        check_writable(source)
        self._check_name(target, new_name)
        if source.remote is not target.remote:
            raise pyfuse3.FUSEError(errno.EXDEV)
        node = await self._existing(source, name)
        other = await self._namespace.find(target, new_name)
        if other is node:
            return
        if other is not None:
            await self._check_target(node, other, replace_target=replace_target)
            if _differ_in_kind(node, other):
                # A version cannot lie where a link is, nor a link where a version is: that goes first.
                await self.remove(target, new_name, run)
                other = None
            elif isinstance(other, FileNode):
                await self._commits.abandon(other)
        if isinstance(node, DirectoryNode):
            await self._rename_directory(source, name, target, new_name, node, other, run)
        elif isinstance(node, SymlinkNode):
            await self._rename_link(target, new_name, node, other, run)
        elif is_unsent(node):
            await self._rename_unsent(target, new_name, node, other)
        else:
            await self._rename_sent(target, new_name, node, other, run)

    async def put_back(
        self, directory: DirectoryNode, name: str, version: Version, run: RunId
    ) -> Pending:
        """An old version of a file becomes the newest one at a name, copied inside the store.

        What is there goes on for those who have it open, as under a rename. Raises: FUSEError, a
        StoreError.
        """
        self._check_name(directory, name)
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
            base=_base(other),
            after=_after(other),
            mode=version.mode,
            mtime_ns=version.mtime_ns or None,
            mtime_set=bool(version.mtime_ns),
            hashes=version.hashes,
        )
        entry = replace(
            self._entry(directory, Operation.COPY, version.key, write),
            target=directory.path_of(name),
            source=version.content(store),
        )
        shown = replace(as_entry(version), key=directory.path_of(name))
        if other is not None:
            self._detach(directory, name, other)
            self._let_go(other)
        node = self._namespace.node(directory, name, shown)
        assert isinstance(node, FileNode)
        node.content, node.base, node.after = version.content(store), None, write.write_id
        node.pending += 1
        self._namespace.hold(directory, name, shown)

        def settled(published: Published) -> None:
            node.pending -= 1
            made = published.version
            if made is not None and node.after == write.write_id:
                node.base, node.after = made.token, None
                if not is_being_written(node):
                    node.content = made.content(store)
                    node.mode, node.mtime_ns = made.mode, made.mtime_ns or node.mtime_ns
            self._namespace.settle(directory, name)
            self._inodes.let_go(node)

        try:
            return await self._promise_or_undo(entry, settled, [(directory, name)])
        except errors.VstorefsError:
            node.pending -= 1
            self._detach(directory, name, node)
            raise

    async def set_attributes(self, node: StoreNode, new: NewAttributes, run: RunId) -> None:
        """chmod, chown, utime. Raises: FUSEError, a StoreError."""
        if isinstance(node, FileNode) and (node.removed or is_being_written(node)):
            # They travel with the content that is being written.
            _apply(node, new)
            return
        if not _differs(node, new):
            return
        remote = node.remote
        check_writable(node)
        if isinstance(node, DirectoryNode) and node.parent is None:
            raise pyfuse3.FUSEError(errno.EPERM)
        _apply(node, new)
        write = replace(
            self._commits.new_write(run),
            mode=new.mode,
            uid=new.uid,
            gid=new.gid,
            mtime_ns=new.mtime_ns,
        )
        path = node.path
        entry = JournalEntry(
            0, self._commits.session, remote.spec.id, Operation.ATTRIBUTES, path, write
        )
        assert node.parent is not None
        await self._promise_name(entry, node.parent, node.name, entry_of(node))

    # --- renames

    async def _rename_unsent(
        self, target: DirectoryNode, new_name: str, node: FileNode, other: StoreNode | None
    ) -> None:
        """Content that no store has.

        Its name is ours alone. A real name makes it a version, if it was closed.
        """
        old_parent, old_name = node.parent, node.name
        draft = draft_of(node)
        assert draft is not None
        synced = draft.synced is not None
        await self._commits.abandon(node)
        if other is not None:
            draft.base, draft.after = _base(other), _after(other)
        self._move(node, target, new_name, other)
        self._drop_name(old_parent, old_name, node)
        self._namespace.hold(target, new_name, node.entry())
        node.created = True
        if node.write_handles == 0:
            node.base, node.after = draft.base, draft.after
            await self._commits.commit(node)
        elif synced:
            # What an fsync promised holds under the new name too.
            await self._commits.fsync(node)

    async def _rename_sent(
        self,
        target: DirectoryNode,
        new_name: str,
        node: FileNode,
        other: StoreNode | None,
        run: RunId,
    ) -> None:
        source, name = node.parent, node.name
        old_path, new_path = node.path, target.path_of(new_name)
        write = replace(
            self._commits.new_write(run),
            base=_base(other),
            after=_after(other),
            mode=node.mode,
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
            mtime_set=True,
        )
        removal = replace(self._commits.new_write(run), base=_base(node), after=_after(node))
        store = node.remote.spec.id
        token = _base(node) or Token("")
        entry = replace(
            self._entry(source, Operation.RENAME, old_path, write),
            target=new_path,
            source=Content(store, old_path, token, node.size),
            removal=removal,
        )
        pinned = [(source, name), (target, new_name)]
        self._namespace.hold(source, name, None)
        self._move(node, target, new_name, other)
        self._namespace.hold(target, new_name, node.entry())
        node.pending += 1

        def settled(published: Published) -> None:
            node.pending -= 1
            version = published.version
            if version is not None and node.after == write.write_id:
                if not is_being_written(node):
                    node.content = version.content(store)
                node.base, node.after = version.token, None
            for parent, one in pinned:
                self._namespace.settle(parent, one)
            self._let_go(node)

        await self._promise_or_undo(entry, settled, pinned)
        node.base, node.after = None, write.write_id
        draft = draft_of(node)
        if draft is not None and not draft.frozen:
            draft.base, draft.after = None, write.write_id

    async def _rename_link(
        self,
        target: DirectoryNode,
        new_name: str,
        node: SymlinkNode,
        other: StoreNode | None,
        run: RunId,
    ) -> None:
        """A link is made again under its new name; nothing of the old one need be in the store yet."""
        source, name = node.parent, node.name
        write = replace(
            self._commits.new_write(run),
            base=_base(other),
            after=_after(other),
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
        )
        entry = replace(
            self._entry(source, Operation.RENAME, node.path, write),
            target=target.path_of(new_name),
            link=node.target,
            removal=replace(self._commits.new_write(run), base=_base(node), after=_after(node)),
        )
        pinned = [(source, name), (target, new_name)]
        self._namespace.hold(source, name, None)
        self._move(node, target, new_name, other)
        node.token, node.after = NO_TOKEN, write.write_id
        node.pending += 1
        self._namespace.hold(target, new_name, node.entry())
        try:
            await self._promise_or_undo(
                entry,
                lambda published: self._settled_link(node, write, published, pinned),
                pinned,
            )
        except errors.VstorefsError:
            node.pending -= 1
            self._detach(target, new_name, node)
            raise

    def _settled_link(
        self,
        node: SymlinkNode,
        write: Write,
        published: Published,
        held: list[tuple[DirectoryNode, str]],
    ) -> None:
        node.pending -= 1
        if published.version is not None and node.after == write.write_id:
            node.token, node.after = published.version.token, None
        for directory, name in held:
            self._namespace.settle(directory, name)
        self._inodes.let_go(node)

    async def _rename_directory(
        self,
        source: DirectoryNode,
        name: str,
        target: DirectoryNode,
        new_name: str,
        node: DirectoryNode,
        other: StoreNode | None,
        run: RunId,
    ) -> None:
        """A folder moves as one entry.

        This waits until the store has it, for its files get new versions there.
        """
        ancestor: DirectoryNode | None = target
        while ancestor is not None:
            if ancestor is node:
                raise pyfuse3.FUSEError(errno.EINVAL)
            ancestor = ancestor.parent
        entry = replace(
            self._entry(
                source,
                Operation.RENAME,
                source.path_of(name),
                replace(self._commits.new_write(run), mode=node.mode),
            ),
            target=target.path_of(new_name),
            removal=self._commits.new_write(run),
        )
        shown = Entry(
            target.path_of(new_name),
            EntryKind.DIRECTORY,
            0,
            node.mtime_ns,
            mode=node.mode,
            uid=node.uid,
            gid=node.gid,
        )
        pinned = [(source, name), (target, new_name)]
        self._namespace.hold(source, name, None)
        self._namespace.hold(target, new_name, shown)
        if isinstance(other, DirectoryNode):
            other.gone = True
        self._move(node, target, new_name, other)

        def settled(published: Published) -> None:
            del published
            for parent, one in pinned:
                self._namespace.settle(parent, one)
            self._expire_tree(node)

        pending = await self._promise_or_undo(entry, settled, pinned)
        await self._uploads.wait(pending)

    def _expire_tree(self, node: DirectoryNode) -> None:
        self._namespace.expire(node)
        for child in node.children.values():
            if isinstance(child, DirectoryNode):
                self._expire_tree(child)

    async def _check_target(
        self, node: StoreNode, other: StoreNode, *, replace_target: bool
    ) -> None:
        if not replace_target:
            raise pyfuse3.FUSEError(errno.EEXIST)
        if isinstance(other, DirectoryNode):
            if not isinstance(node, DirectoryNode):
                raise pyfuse3.FUSEError(errno.EISDIR)
            if await self._namespace.entries(other):
                raise pyfuse3.FUSEError(errno.ENOTEMPTY)
        elif isinstance(node, DirectoryNode):
            raise pyfuse3.FUSEError(errno.ENOTDIR)

    def _move(
        self, node: StoreNode, target: DirectoryNode, new_name: str, other: StoreNode | None
    ) -> None:
        if other is not None:
            self._detach(target, new_name, other)
            if isinstance(other, FileNode):
                self._drop_name(target, new_name, other)
            self._let_go(other)
        if node.parent is not None and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]
        node.parent, node.name = target, new_name
        target.children[new_name] = node

    def _detach(self, directory: DirectoryNode, name: str, node: StoreNode) -> None:
        if isinstance(node, FileNode | SymlinkNode):
            node.removed = True
        if directory.children.get(name) is node:
            del directory.children[name]

    def _let_go(self, node: StoreNode) -> None:
        if isinstance(node, FileNode) and node.removed and not node.pins:
            draft = draft_of(node)
            if draft is not None and not draft.frozen:
                draft.discard()
                node.draft = None
        self._inodes.let_go(node)

    # --- parts

    def _drop_name(self, directory: DirectoryNode, name: str, node: FileNode) -> None:
        """A name that only this mount ever knew is gone."""
        if node.created:
            node.created = False
            self._namespace.update(directory, name, None)
            self._namespace.settle(directory, name)

    async def _existing(self, directory: DirectoryNode, name: str) -> StoreNode:
        node = await self._namespace.find(directory, name)
        if node is None:
            raise pyfuse3.FUSEError(errno.ENOENT)
        return node

    def _check_name(self, directory: DirectoryNode, name: str) -> None:
        check_writable(directory)
        try:
            length = len(name.encode())
        except UnicodeEncodeError as error:
            # Stores name things in UTF-8.
            raise pyfuse3.FUSEError(errno.EILSEQ) from error
        if length > _NAME_BYTES:
            raise pyfuse3.FUSEError(errno.ENAMETOOLONG)
        if name in self._hidden:
            raise pyfuse3.FUSEError(errno.EPERM)
        if directory.gone:
            raise pyfuse3.FUSEError(errno.ENOENT)

    def _entry(
        self, directory: DirectoryNode, operation: Operation, path: Key, write: Write
    ) -> JournalEntry:
        return JournalEntry(
            0, self._commits.session, directory.remote.spec.id, operation, path, write
        )

    async def _promise_name(
        self, entry: JournalEntry, directory: DirectoryNode, name: str, shown: Entry | None
    ) -> None:
        self._namespace.hold(directory, name, shown)

        def settled(published: Published) -> None:
            del published
            self._namespace.settle(directory, name)

        await self._promise_or_undo(entry, settled, [(directory, name)])

    async def _promise_or_undo(
        self, entry: JournalEntry, settled: Settled, held: list[tuple[DirectoryNode, str]]
    ) -> Pending:
        try:
            return await self._uploads.promise(entry, settled)
        except errors.VstorefsError:
            for directory, name in held:
                self._namespace.settle(directory, name)
                self._namespace.expire(directory)
            raise


def check_writable(node: StoreNode) -> None:
    """Raises: FUSEError EROFS where nothing may be written."""
    if node.remote.read_only:
        raise pyfuse3.FUSEError(errno.EROFS)


def is_unsent(node: FileNode) -> bool:
    """Whether no version of a file has been promised to any store.

    All there is of it is its draft.
    """
    return (
        node.base is None and node.content is None and node.pending == 0 and is_being_written(node)
    )


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


def _base(node: StoreNode | None) -> Token | None:
    if isinstance(node, FileNode):
        return node.base
    return node.token or None if isinstance(node, SymlinkNode) else None


def _after(node: StoreNode | None) -> WriteId | None:
    return node.after if isinstance(node, FileNode | SymlinkNode) else None


def _differ_in_kind(node: StoreNode, other: StoreNode) -> bool:
    """Whether one is a link and the other a file."""
    return isinstance(node, SymlinkNode) != isinstance(other, SymlinkNode)


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
