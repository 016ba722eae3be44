"""Renames: of files whose content no store has yet, of files that one has, of symlinks, of whole folders.

Within a store only. What stands at the new name is replaced, as POSIX says; what replaces it starts from that.
"""

from __future__ import annotations

import errno
from dataclasses import replace

import pyfuse3

from vstorefs.model import Content, Entry, EntryKind, Operation, RunId, Token
from vstorefs.mount.tree.inodes import NO_TOKEN, DirectoryNode, FileNode, StoreNode, SymlinkNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import draft_of
from vstorefs.mount.writing.names import Names, after_of, base_of, check_writable, is_unsent
from vstorefs.mount.writing.pending import (
    FileVersion,
    LinkVersion,
    MovedFolder,
    PendingChange,
    ShownName,
)
from vstorefs.mount.writing.uploads import Uploads


class Renames:
    """Gives what there is other names; touched by the front's loop only."""

    def __init__(
        self,
        names: Names,
        namespace: Namespace,
        changes: Changes,
        commits: Commits,
        uploads: Uploads,
    ) -> None:
        self._names = names
        self._namespace = namespace
        self._changes = changes
        self._commits = commits
        self._uploads = uploads

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
        self._names.check(target, new_name)
        if source.remote is not target.remote:
            raise pyfuse3.FUSEError(errno.EXDEV)
        node = await self._names.existing(source, name)
        other = await self._namespace.find(target, new_name)
        if other is node:
            return
        if other is not None:
            await self._check_target(node, other, replace_target=replace_target)
            if _differ_in_kind(node, other):
                # A version cannot lie where a link is, nor a link where a version is: that goes first.
                await self._changes.remove(target, new_name, run)
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
            draft.base, draft.after = base_of(other), after_of(other)
        self._move(node, target, new_name, other)
        self._names.drop(old_parent, old_name, node)
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
        write = replace(
            self._commits.new_write(run),
            base=base_of(other),
            after=after_of(other),
            mode=node.mode,
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
            mtime_set=True,
        )
        token = base_of(node) or Token("")
        entry = replace(
            self._names.entry(source, Operation.RENAME, node.path, write),
            target=target.path_of(new_name),
            source=Content(node.remote.spec.id, node.path, token, node.size),
            removal=replace(self._commits.new_write(run), base=base_of(node), after=after_of(node)),
        )
        self._move(node, target, new_name, other)
        change = PendingChange(
            _moved(source, name, target, new_name, node.entry()),
            FileVersion(node, write.write_id, is_new=False),
        )
        await self._names.promise(entry, change)
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
            base=base_of(other),
            after=after_of(other),
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
        )
        entry = replace(
            self._names.entry(source, Operation.RENAME, node.path, write),
            target=target.path_of(new_name),
            link=node.target,
            removal=replace(self._commits.new_write(run), base=base_of(node), after=after_of(node)),
        )
        self._move(node, target, new_name, other)
        node.token, node.after = NO_TOKEN, write.write_id
        change = PendingChange(
            _moved(source, name, target, new_name, node.entry()),
            LinkVersion(node, write.write_id),
        )
        await self._names.promise(entry, change)

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
        write = replace(self._commits.new_write(run), mode=node.mode)
        entry = replace(
            self._names.entry(source, Operation.RENAME, source.path_of(name), write),
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
        self._move(node, target, new_name, other)
        change = PendingChange(
            _moved(source, name, target, new_name, shown),
            MovedFolder(node, other if isinstance(other, DirectoryNode) else None),
        )
        await self._uploads.wait(await self._names.promise(entry, change))

    def _move(
        self, node: StoreNode, target: DirectoryNode, new_name: str, other: StoreNode | None
    ) -> None:
        if other is not None:
            target.detach(new_name, other)
            if isinstance(other, FileNode):
                self._names.drop(target, new_name, other)
            self._names.let_go(other)
        if node.parent is not None and node.parent.children.get(node.name) is node:
            del node.parent.children[node.name]
        node.parent, node.name = target, new_name
        target.children[new_name] = node


def _moved(
    source: DirectoryNode, name: str, target: DirectoryNode, new_name: str, entry: Entry
) -> tuple[ShownName, ...]:
    return ShownName(source, name, None), ShownName(target, new_name, entry)


def _differ_in_kind(node: StoreNode, other: StoreNode) -> bool:
    """Whether one is a link and the other a file."""
    return isinstance(node, SymlinkNode) != isinstance(other, SymlinkNode)
