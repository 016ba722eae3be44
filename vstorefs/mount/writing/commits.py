"""From a draft to a version: what close, fsync, truncate by path and the end of a handle do.

A commit freezes the draft, puts it into the journal and on its way; the node's readers go on
reading the draft until the store has the content, and then read it from there. What is dirty again
by then is a draft of its own.

Files with scratch names are not committed at once: they stay drafts for some seconds, in case they are renamed or
removed (`held_back.py`); their content is in the journal meanwhile.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
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
from vstorefs.mount.tree.inodes import FileNode, Inodes, StoreNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.draft import Draft, Synced, draft_of
from vstorefs.mount.writing.held_back import HeldBack
from vstorefs.mount.writing.pending import (
    CommittedDraft,
    PendingChange,
    ShownName,
    Told,
    start_of,
)
from vstorefs.mount.writing.scratch import ScratchNames
from vstorefs.mount.writing.undecided import Undecided
from vstorefs.mount.writing.uploads import Pending, Uploads
from vstorefs.state.staging import StagingArea
from vstorefs.stores.ids import new_id

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
        published: Callable[[FileNode, RunId | None, Content | None, Content | None], None],
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
        self._held_back = HeldBack(self._publish_held)
        self._undecided = Undecided()

    async def run(self) -> None:
        """Publish scratch files that nobody renamed, until cancelled."""
        await self._held_back.run()

    @property
    def held_back(self) -> int:
        """How many closed files have scratch names and wait for their rename."""
        return len(self._held_back)

    async def drain(self, bound_s: float) -> bool:
        """Publish what is held back too, and wait until nothing is on its way. See `Uploads.drain`."""
        await self._held_back.publish_all()
        return await self._uploads.drain(bound_s)

    def new_write(self, run: RunId | None) -> Write:
        """The identity of something new, made by a run."""
        # A clock before 1970 is wrong in any case, and no name can say it.
        now_ns = max(0, self._clock.wall_ns())
        return Write(WriteId(new_id()), VersionId(new_id()), now_ns, None, run=run)

    def told(self, node: FileNode, run: RunId | None) -> Told:
        """What learns of the version that a run makes of a file."""
        return partial(self._published, node, run)

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
        # What it starts from may have moved while the staging file was made.
        fresh.base, fresh.after = node.base, node.after
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

        await self._change(node, offset, change)

    async def truncate(self, node: FileNode, size: int) -> None:
        """Cut short or make longer with zeros. Raises: OSError."""
        try:
            await self._change(node, size, lambda draft: draft.truncate(size), empty=size == 0)
        except OSError:
            if node.write_handles == 0:
                await self.finish(node)
            raise

    async def _change(
        self,
        node: FileNode,
        start: int | None,
        change: Callable[[Draft], Awaitable[object]],
        *,
        empty: bool = False,
    ) -> None:
        """Change the content of a file from `start` on, in a draft that nobody freezes meanwhile."""
        while True:
            draft = await self.draft(node, empty=empty)
            async with draft.lock:
                if draft.frozen or node.draft is not draft:
                    continue
                if draft.would_change_synced(draft.size if start is None else start):
                    node.draft = await draft.apart()
                    draft.discard()
                    continue
                await change(draft)
                node.size = draft.size
                node.mtime_ns, node.mtime_set = self._clock.wall_ns(), False
                return

    def _is_scratch(self, node: FileNode) -> bool:
        """Whether a file is named as programs name what they will rename, and was never sent anywhere."""
        return node.base is None and node.after is None and self._scratch.matches(node.name)

    async def commit(self, node: FileNode) -> Pending | None:
        """Make a version of what is dirty.

        None where there is nothing to send. Raises: StoreError, OSError.
        """
        while True:
            await self._undecided.wait_for(node)
            draft = draft_of(node)
            if draft is None:
                return None
            async with draft.lock:
                if node.draft is not draft:
                    # Another writer went on in one of its own.
                    continue
                if draft.frozen or not draft.dirty or node.removed:
                    return None
                try:
                    return await self._commit_or_hold_back(node, draft)
                except (errors.VstorefsError, OSError):
                    draft.refused = True
                    raise

    async def _commit_or_hold_back(self, node: FileNode, draft: Draft) -> Pending | None:
        if self._is_scratch(node):
            await self._hold_back(node, draft)
            return None
        self._held_back.release(node)
        return await self._commit(node, draft)

    async def _hold_back(self, node: FileNode, draft: Draft) -> None:
        await self._record(node, draft, Promise.CLOSED)
        if not node.removed:
            self._held_back.hold(node)

    async def _publish_held(self, node: FileNode) -> None:
        draft = draft_of(node)
        if draft is None or node.write_handles:
            # Who writes it closes it, and then its time begins anew.
            return
        async with draft.lock:
            if node.draft is draft and draft.dirty and not draft.frozen and not node.removed:
                await self._commit(node, draft)

    async def _commit(self, node: FileNode, draft: Draft) -> Pending | None:
        joined = await self._same_as_waiting(node, draft)
        if joined is not None:
            return joined
        await draft.sync()
        await self._undecided.wait_for(node)
        if node.removed:
            # Its name went while the disk was busy.
            return None
        write = self._write(node, draft)
        entry = self._put(node, draft, write, Promise.CLOSED)
        shown = ShownName(node.parent, node.name, node.entry(), held=node.created)
        committed = CommittedDraft(
            node,
            node.parent,
            draft,
            write.write_id,
            node.created,
            start_of(node),
            self.told(node, write.run),
        )
        # Refused, the draft is what the file shows still.
        change = PendingChange((shown,), committed, relists=False)
        change.show(self._namespace)
        try:
            ended = partial(self._ended, node, write.write_id)
            callbacks = change.callbacks(self._namespace, ended)
            with _keeping(draft):
                pending = await self._uploads.promise(entry, callbacks, drop=draft.entries)
        except BaseException:
            change.undo(self._namespace)
            raise
        draft.forget_synced()
        self._on_the_way[write.write_id] = draft
        return pending

    def _ended(self, node: FileNode, write: WriteId) -> None:
        self._on_the_way.pop(write, None)
        self._inodes.let_go(node)

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
        if not same or waiting.entry.write.write_id not in self._on_the_way:
            return None
        # What the journal has of an fsync would be published beside it by the next mount.
        await self._drop_synced(draft)
        waits = self._on_the_way.get(waiting.entry.write.write_id)
        if waits is None:
            # It was published meanwhile.
            return None
        node.draft = waits
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
        while True:
            await self._undecided.wait_for(node)
            draft = draft_of(node)
            if draft is None:
                return
            async with draft.lock:
                if node.draft is not draft:
                    continue
                if draft.dirty and not draft.frozen and not node.removed:
                    await self._record(node, draft, Promise.SYNCED)
                return

    async def abandon(self, node: FileNode) -> None:
        """The file is removed.

        What was written and not committed is wanted by nobody but its open handles.
        """
        self._held_back.release(node)
        draft = draft_of(node)
        if draft is not None:
            await self._drop_synced(draft)

    @asynccontextmanager
    async def kept(
        self, node: StoreNode | None, *, undecided: tuple[StoreNode | None, ...] = ()
    ) -> AsyncIterator[None]:
        """While the journal decides whether a node loses its name, what was written to it stays.

        Where that is refused, a file that was closed meanwhile, when it seemed to have no name, is committed. Who
        promises the content of one that is `undecided` waits until its name is known.
        """
        with ExitStack() as stack:
            stack.enter_context(self._undecided.about(*undecided))
            if node is None:
                yield
                return
            node.pins += 1
            try:
                yield
            except (errors.VstorefsError, OSError):
                stack.close()
                node.pins -= 1
                if isinstance(node, FileNode) and node.write_handles == 0:
                    await self._finish_kept(node)
                raise
            except BaseException:
                node.pins -= 1
                raise
            node.pins -= 1

    async def _finish_kept(self, node: FileNode) -> None:
        """The same as its last handle would; its close has returned, so that has no one to tell what is refused."""
        draft = draft_of(node)
        was_refused = draft is not None and draft.refused
        await self.finish(node)
        if draft is not None and draft.refused and not was_refused:
            self._held_back.hold(node)

    def named_by_journal(self, node: StoreNode | None) -> tuple[int, ...]:
        """The entries that an fsync of a file, or of one whose name it took, put into the journal."""
        draft = draft_of(node) if isinstance(node, FileNode) else None
        return () if draft is None else draft.entries

    def forget_synced(self, node: StoreNode | None) -> None:
        """The journal has dropped those entries: the file has lost its name."""
        if isinstance(node, FileNode):
            self._held_back.release(node)
        draft = draft_of(node) if isinstance(node, FileNode) else None
        if draft is not None:
            draft.forget_synced()

    async def _record(self, node: FileNode, draft: Draft, promise: Promise) -> None:
        """Sync what was written and put it into the journal, in place of what that had of it before."""
        recorded = False
        while True:
            await self._undecided.wait_for(node)
            if draft.is_synced_as(node.path, promise):
                break
            await draft.sync()
            if node in self._undecided:
                continue
            if node.removed:
                # Its name went while the disk was busy.
                break
            entry = self._put(node, draft, self._write(node, draft), promise)
            with _keeping(draft):
                seq = await self._uploads.record(entry, draft.entries)
            draft.forget_synced()
            draft.synced = Synced(seq, draft.name, draft.size, entry.path, promise)
            draft.changed, recorded = False, True
        if recorded and node.removed and not draft.taken:
            # Its name went while the journal was busy.
            await self._drop_synced(draft)

    async def _drop_synced(self, draft: Draft) -> None:
        if draft.entries:
            await self._uploads.drop(draft.entries)
            draft.forget_synced()

    async def finish(self, node: FileNode) -> None:
        """The last handle is gone.

        Commit what is still dirty, or clear away what nobody can reach. What a close was refused for is kept, for who
        opens the file again: its program was told that it didn't happen.
        """
        draft = draft_of(node)
        if draft is not None and not draft.frozen:
            if node.removed and node.pins > 0:
                # Its readers go on reading what has no name any more.
                return
            if not draft.dirty and draft.lock.locked():
                # A truncate by its path is about to change it, and commits it then.
                return
            if node.removed or not draft.dirty:
                draft.discard()
                node.draft = None
            elif draft.refused:
                log.error("%s: not uploaded, as its close failed; write it again", node.path)
            else:
                try:
                    await self.commit(node)
                except (errors.VstorefsError, OSError) as error:
                    log.error(
                        "%s: what was written after the last close is not uploaded: %s",
                        node.path,
                        error,
                    )
        self._inodes.let_go(node)


@contextmanager
def _keeping(draft: Draft) -> Iterator[None]:
    """While the journal is asked to name a draft: what it may name for ever must not change."""
    try:
        yield
    except errors.OutcomeUnknown:
        draft.keep()
        raise


def _equal(path: os.PathLike[str], number: int, size: int) -> bool:
    with open(path, "rb") as file:  # noqa: PTH123 — a PathLike
        at = 0
        while at < size:
            ours = os.pread(number, _COMPARE_BYTES, at)
            if not ours or file.read(len(ours)) != ours:
                return False
            at += len(ours)
    return True
