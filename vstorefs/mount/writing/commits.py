"""From a draft to a version: what close, fsync, truncate by path and the end of a handle do.

A commit freezes the draft, puts it into the journal and on its way; the node's readers go on
reading the draft until the store has the content, and then read it from there. What is dirty again
by then is a draft of its own.

Files with scratch names are not committed: they stay drafts until they are renamed, or removed.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import trio

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.model import (
    Content,
    JournalEntry,
    Operation,
    Promise,
    RunId,
    SessionId,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.mount.tree.inodes import FileNode, Inodes
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.draft import Draft, draft_of
from vstorefs.mount.writing.pending import CommittedDraft, PendingChange, ShownName
from vstorefs.mount.writing.scratch import ScratchNames
from vstorefs.mount.writing.uploads import Pending, Uploads
from vstorefs.state.staging import StagingArea
from vstorefs.stores.ids import new_id
from vstorefs.workers.messages import Published

log = logging.getLogger(__name__)

_COMPARE_BYTES = 1 << 20


class Commits:
    """Makes versions of what was written; touched by the front's loop only.

    `published` is told when a file's content has become a version.
    """

    def __init__(
        self,
        session: SessionId,
        area: StagingArea,
        uploads: Uploads,
        namespace: Namespace,
        inodes: Inodes,
        clock: Clock,
        scratch: ScratchNames,
        published: Callable[[FileNode, Content | None], None],
        *,
        through: bool,
    ) -> None:
        self._session = session
        self._published = published
        self._area = area
        self._uploads = uploads
        self._namespace = namespace
        self._inodes = inodes
        self._clock = clock
        self._scratch = scratch
        self._through = through
        self._on_the_way: dict[WriteId, Draft] = {}

    def new_write(self, run: RunId | None) -> Write:
        """The identity of something new, made by a run."""
        # A clock before 1970 is wrong in any case, and no name can say it.
        now_ns = max(0, self._clock.wall_ns())
        return Write(WriteId(new_id()), VersionId(new_id()), now_ns, None, run=run)

    def _write(self, node: FileNode, draft: Draft) -> Write:
        return replace(
            self.new_write(node.run),
            base=draft.base,
            after=draft.after,
            size=draft.size,
            mode=node.mode,
            mtime_ns=node.mtime_ns,
            uid=node.uid,
            gid=node.gid,
            mtime_set=node.mtime_set,
        )

    def _put(self, node: FileNode, draft: Draft, write: Write, promise: Promise) -> JournalEntry:
        return JournalEntry(
            0,
            self._session,
            node.remote.spec.id,
            Operation.PUT,
            node.path,
            write,
            promise,
            staged=draft.staged(),
        )

    async def draft(self, node: FileNode, *, empty: bool = False) -> Draft:
        """The draft to write on.

        The node's own, or a new one over what it shows. `empty`: nothing of that is wanted.
        """
        draft = draft_of(node)
        if draft is not None and not draft.frozen:
            return draft
        if draft is None or empty:
            under = None if empty else node.content
            fresh = await Draft.over(self._area, under, node.base, node.after)
        else:
            fresh = await draft.clone(node.after)
        if node.draft is not draft:
            # Another writer was first while the staging file was made.
            fresh.discard()
            return await self.draft(node, empty=empty)
        if empty:
            node.size = 0
        node.draft = fresh
        return fresh

    async def write(self, node: FileNode, offset: int | None, data: bytes) -> None:
        """Write bytes at an offset, or (None) at the end of what there is by then. Raises: OSError."""

        async def change(draft: Draft) -> None:
            await draft.write(draft.size if offset is None else offset, data)

        await self._change(node, change)

    async def truncate(self, node: FileNode, size: int) -> None:
        """Cut short or make longer with zeros. Raises: OSError."""
        await self._change(node, lambda draft: draft.truncate(size), empty=size == 0)

    async def _change(
        self, node: FileNode, change: Callable[[Draft], Awaitable[object]], *, empty: bool = False
    ) -> None:
        """Change the content of a file, in a draft that nobody freezes meanwhile."""
        while True:
            draft = await self.draft(node, empty=empty)
            async with draft.lock:
                if draft.frozen or node.draft is not draft:
                    continue
                await change(draft)
                node.size = draft.size
                node.mtime_ns, node.mtime_set = self._clock.wall_ns(), False
                return

    def stays_local(self, node: FileNode) -> bool:
        """Whether a file is scratch: named so, and never sent anywhere."""
        return node.base is None and node.after is None and self._scratch.matches(node.name)

    async def commit(self, node: FileNode) -> Pending | None:
        """Make a version of what is dirty.

        None where there is nothing to send. Raises: Unavailable, OSError.
        """
        draft = draft_of(node)
        if draft is None:
            return None
        async with draft.lock:
            if draft.frozen or not draft.dirty:
                return None
            if node.removed:
                return None
            if self.stays_local(node):
                return None
            return await self._commit(node, draft)

    async def _commit(self, node: FileNode, draft: Draft) -> Pending:
        joined = await self._same_as_waiting(node, draft)
        if joined is not None:
            return joined
        await draft.sync()
        write = self._write(node, draft)
        entry = self._put(node, draft, write, Promise.CLOSED)
        shown = ShownName(node.parent, node.name, node.entry(), held=node.created)
        committed = CommittedDraft(
            node, node.parent, draft, write.write_id, node.created, self._published
        )
        # Refused, the draft is what the file shows still.
        change = PendingChange((shown,), committed, relists=False)
        change.show(self._namespace)
        try:
            drop = () if draft.synced is None else (draft.synced,)
            settled = partial(self._settle, change, write.write_id)
            pending = await self._uploads.promise(entry, settled, drop=drop)
        except BaseException:
            change.undo(self._namespace)
            raise
        draft.synced = None
        self._on_the_way[write.write_id] = draft
        node.base, node.after = None, write.write_id
        return pending

    def _settle(self, change: PendingChange, write: WriteId, published: Published) -> None:
        self._on_the_way.pop(write, None)
        change.settle(self._namespace, published)
        assert change.subject is not None
        self._inodes.let_go(change.subject.node)

    async def _same_as_waiting(self, node: FileNode, draft: Draft) -> Pending | None:
        """The entry that waits with equal content, because an earlier close of it failed.

        That one is joined.
        """
        waiting = self._uploads.latest(node.remote.spec.id, node.path)
        if waiting is None or waiting.attempts == 0 or waiting.entry.staged is None:
            return None
        if waiting.entry.write.write_id not in self._on_the_way:
            return None
        staged = waiting.entry.staged
        whole = ((0, draft.size),) if draft.size else ()
        if staged.size != draft.size or staged.present != whole or draft.present != whole:
            return None
        same = await trio.to_thread.run_sync(
            _equal, self._area.path(staged.name), draft.number, draft.size
        )
        if not same:
            return None
        node.draft = self._on_the_way[waiting.entry.write.write_id]
        draft.discard()
        return waiting

    async def commit_and_wait(self, node: FileNode) -> None:
        """Commit, and in `through` mode wait for the store.

        Raises: a StoreError where the store does not have it.
        """
        pending = await self.commit(node)
        if pending is not None and self._through:
            await self._uploads.wait(pending)

    async def fsync(self, node: FileNode) -> None:
        """Make what was written so far survive a crash, without making it a version yet."""
        draft = draft_of(node)
        if draft is None:
            return
        async with draft.lock:
            if draft.frozen or not draft.dirty:
                return
            await draft.sync()
            if self.stays_local(node) or node.removed:
                return
            entry = self._put(node, draft, self._write(node, draft), Promise.SYNCED)
            drop = () if draft.synced is None else (draft.synced,)
            draft.synced = await self._uploads.record(entry, drop)

    async def abandon(self, node: FileNode) -> None:
        """The file is removed.

        What was written and not committed is wanted by nobody but its open handles.
        """
        draft = draft_of(node)
        if draft is not None and draft.synced is not None:
            await self._uploads.drop((draft.synced,))
            draft.synced = None

    async def finish(self, node: FileNode) -> None:
        """The last handle is gone.

        Commit what is still dirty, or clear away what nobody can reach.
        """
        draft = draft_of(node)
        if draft is not None and not draft.frozen:
            if node.removed and node.pins > 0:
                # Its readers go on reading what has no name any more.
                return
            if node.removed or not draft.dirty:
                draft.discard()
                node.draft = None
            else:
                try:
                    await self.commit(node)
                except (errors.VstorefsError, OSError) as error:
                    log.error(
                        "%s: what was written after the last close is not sent: %s",
                        node.path,
                        error,
                    )
        self._inodes.let_go(node)


def _equal(path: os.PathLike[str], number: int, size: int) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123 — a PathLike
        at = 0
        while at < size:
            ours = os.pread(number, _COMPARE_BYTES, at)
            if not ours or file.read(len(ours)) != ours:
                return False
            at += len(ours)
    return True
