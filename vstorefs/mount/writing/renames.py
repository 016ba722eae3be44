"""Renames: of files whose content no store has yet, of files that one has, of symlinks, of whole folders.

Within a store only. What stands at the new name is replaced, as POSIX says; what replaces it starts from that.
"""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass, replace

import pyfuse3

from vstorefs import errors
from vstorefs.model import (
    Content,
    Entry,
    EntryKind,
    JournalEntry,
    Key,
    Operation,
    RunId,
    Token,
    WriteId,
    join,
)
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, StoreNode, SymlinkNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import Draft, draft_of
from vstorefs.mount.writing.moves import Move
from vstorefs.mount.writing.names import (
    Names,
    after_of,
    base_of,
    check_writable,
    is_unsent,
    replaces,
    target_of,
)
from vstorefs.mount.writing.pending import (
    FileVersion,
    LinkVersion,
    MovedFolder,
    PendingChange,
    ShownName,
    Subject,
    start_of,
)
from vstorefs.mount.writing.uploads import Pending, Uploads
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_ROOM_BOUND_S = 10.0


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
        if isinstance(node, DirectoryNode):
            await _check_room(node, target.path_of(new_name))
        other = await self._namespace.find(target, new_name)
        if other is node:
            return
        if other is not None:
            await self._check_target(node, other, replace_target=replace_target)
            if _differ_in_kind(node, other) and not _is_ours_alone(other):
                # A version cannot lie where a link is, nor a link where a version is: that goes first.
                await self._changes.remove(target, new_name, run)
                other = None
        move = Move(node, source, name, target, new_name, other)
        if isinstance(node, DirectoryNode):
            await self._rename_directory(move, node, run)
        elif isinstance(node, SymlinkNode):
            await self._rename_link(move, node, run)
        elif is_unsent(node):
            await self._rename_unsent(move, node, run)
        else:
            await self._rename_sent(move, node, run)

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

    async def _rename_unsent(self, move: Move, node: FileNode, run: RunId) -> None:
        """Content that no store has.

        Its name is ours alone. A real name makes it a version, if it was closed. Where it had taken the name of
        something that its store has, that goes for good.
        """
        draft = draft_of(node)
        assert draft is not None
        left = self._removal_of_replaced(move, node, run)
        over = move.replaced
        origin = _Origin.of(draft)
        replaced = _Origin.replacing(over)
        replaced.give(draft)
        async with self._commits.kept(over, undecided=(over,)):
            move.make()
            self._names.drop(move.source, move.name, node)
            self._namespace.hold(move.target, move.new_name, node.entry())
            node.created = True
            try:
                origin = await self._leave(move, origin, left)
                await self._promise_unsent(node, draft)
            except (errors.VstorefsError, OSError):
                replaced.release()
                origin.give(draft)
                move.take_back()
                self._namespace.take_back(move.target, move.new_name)
                self._namespace.hold(move.source, move.name, node.entry())
                raise
        self._names.replaced(move.target, move.new_name, over)

    async def _leave(self, move: Move, origin: _Origin, left: JournalEntry | None) -> _Origin:
        """What a file had replaced goes for good with the name that it leaves; gives what would start from that now."""
        drop = tuple(seq for one in origin.displaced for seq in one.entries)
        if left is not None:
            gone = ShownName(move.source, move.name, None)
            await self._names.promise(left, PendingChange((gone,), relists=False), drop=drop)
        elif drop:
            await self._uploads.drop(drop)
        for one in origin.displaced:
            one.forget_synced()
        return origin if left is None else _Origin(None, left.write.write_id, False)

    async def _promise_unsent(self, node: FileNode, draft: Draft) -> None:
        if node.write_handles == 0:
            await self._commits.commit(node)
        elif draft.synced is not None:
            # What an fsync promised holds under the new name too.
            await self._commits.fsync(node)

    def _removal_of_replaced(self, move: Move, node: FileNode, run: RunId) -> JournalEntry | None:
        """What removes from the store that which a file had replaced whose name changes now."""
        if not replaces(node):
            return None
        write = replace(self._commits.new_write(run), base=base_of(node), after=after_of(node))
        return self._names.entry(move.source, Operation.REMOVE, node.path, write)

    async def _rename_sent(self, move: Move, node: FileNode, run: RunId) -> None:
        write = replace(
            self._commits.new_write(run),
            base=base_of(move.replaced),
            after=after_of(move.replaced),
            mode=node.mode,
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
            mtime_set=True,
        )
        token = base_of(node) or Token("")
        entry = replace(
            self._names.entry(move.source, Operation.RENAME, node.path, write),
            target=move.target.path_of(move.new_name),
            source=Content(node.remote.spec.id, node.path, token, node.size),
            removal=replace(self._commits.new_write(run), base=base_of(node), after=after_of(node)),
        )
        told = self._commits.told(node, run)
        subject = FileVersion(node, write.write_id, False, start_of(node), run, told)
        await self._promise(move, entry, subject, node.entry())

    async def _rename_link(self, move: Move, node: SymlinkNode, run: RunId) -> None:
        """A link is made again under its new name; nothing of the old one need be in the store yet."""
        write = replace(
            self._commits.new_write(run),
            base=base_of(move.replaced),
            after=after_of(move.replaced),
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
        )
        entry = replace(
            self._names.entry(move.source, Operation.RENAME, node.path, write),
            target=move.target.path_of(move.new_name),
            link=target_of(node),
            removal=replace(self._commits.new_write(run), base=base_of(node), after=after_of(node)),
        )
        subject = LinkVersion(node, write.write_id, False, node.token, node.after)
        await self._promise(move, entry, subject, node.entry())

    async def _rename_directory(self, move: Move, node: DirectoryNode, run: RunId) -> None:
        """A folder moves as one entry.

        This waits until the store has it, for a minute at most, for its files get new versions there.
        Whatever the store says to it by then, the journal has it: it is no failure of the call.
        """
        ancestor: DirectoryNode | None = move.target
        while ancestor is not None:
            if ancestor is node:
                raise pyfuse3.FUSEError(errno.EINVAL)
            ancestor = ancestor.parent
        write = replace(self._commits.new_write(run), mode=node.mode)
        path = move.source.path_of(move.name)
        entry = replace(
            self._names.entry(move.source, Operation.RENAME, path, write),
            target=move.target.path_of(move.new_name),
            removal=self._commits.new_write(run),
        )
        shown = Entry(
            path,
            EntryKind.DIRECTORY,
            0,
            node.mtime_ns,
            mode=node.mode,
            uid=node.uid,
            gid=node.gid,
        )
        subject = MovedFolder.of(node, write.write_id)
        pending = await self._promise(move, entry, subject, shown)
        try:
            await self._uploads.wait(pending)
        except errors.VstorefsError as error:
            # It happens still, or is set aside and shown on; an error would say that it never does.
            log.warning("%s: moved to %s; %s", path, entry.target, error)

    async def _promise(
        self, move: Move, entry: JournalEntry, subject: Subject, shown: Entry
    ) -> Pending:
        """Move, and promise it; where that is refused nothing has moved, nor is what stood there touched."""
        names = (
            ShownName(move.source, move.name, None),
            ShownName(
                move.target,
                move.new_name,
                replace(shown, key=move.target.path_of(move.new_name)),
            ),
        )
        replaced = move.replaced
        async with self._commits.kept(replaced, undecided=(move.node, replaced)):
            pending = await self._names.promise(
                entry,
                PendingChange(names, subject, move),
                drop=self._commits.named_by_journal(replaced),
            )
        self._commits.forget_synced(replaced)
        self._names.replaced(move.target, move.new_name, replaced)
        return pending


@dataclass(frozen=True, slots=True)
class _Origin:
    """What content that no store has starts from: what its file took the name of, in a store or in the journal only."""

    base: Token | None
    after: WriteId | None
    replaces: bool
    displaced: tuple[Draft, ...] = ()

    @classmethod
    def of(cls, draft: Draft) -> _Origin:
        """What a draft starts from now."""
        return cls(draft.base, draft.after, draft.replaces, draft.displaced)

    @classmethod
    def replacing(cls, node: StoreNode | None) -> _Origin:
        """What takes a node's name starts from that; what the journal has of it ends with the next promise."""
        draft = draft_of(node) if isinstance(node, FileNode) else None
        displaced = () if draft is None else (*draft.displaced, draft)
        return cls(base_of(node), after_of(node), _is_stored(node), displaced)

    def give(self, draft: Draft) -> None:
        """A draft starts from it."""
        draft.base, draft.after, draft.replaces = self.base, self.after, self.replaces
        draft.displaced = self.displaced
        for one in self.displaced:
            one.taken = True

    def release(self) -> None:
        """It has its name still."""
        for one in self.displaced[-1:]:
            one.taken = False


def _is_stored(node: StoreNode | None) -> bool:
    """Whether a store has, or will have, something under a node's name."""
    return isinstance(node, FileNode) and (not is_unsent(node) or replaces(node))


def _is_ours_alone(node: StoreNode) -> bool:
    """Whether no store has, or will have, anything under a node's name: then nothing has to go from there."""
    return isinstance(node, FileNode) and not _is_stored(node)


def _differ_in_kind(node: StoreNode, other: StoreNode) -> bool:
    """Whether one is a link and the other a file."""
    return isinstance(node, SymlinkNode) != isinstance(other, SymlinkNode)


async def _check_room(directory: DirectoryNode, path: Key) -> None:
    """See that what a directory holds, as far as is known here or its store tells, has a place below another path.

    Raises: FUSEError, NotSupported where it has none.
    """
    remote = directory.remote
    room = remote.capabilities
    if not room.path_bytes or len(path) <= len(directory.path):
        return
    if any(not room.has_room_for(join(path, deeper)) for deeper in directory.known_below()):
        raise pyfuse3.FUSEError(errno.ENAMETOOLONG)
    request = messages.CheckRoom(remote.spec.id, directory.path, path)
    try:
        await remote.ask(request, bound_s=_ROOM_BOUND_S)
    except errors.NotSupported:
        raise
    except errors.StoreError as error:
        # Whoever publishes it looks again, before anything is moved.
        log.warning("%s: whether all of it has a place below %s: %s", directory.path, path, error)
