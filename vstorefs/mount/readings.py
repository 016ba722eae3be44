"""Reads of open files: their bytes, their hashes, and what runs are said to have read.

Bytes come from the content that a handle's file had at the read, through one transfer at a time; the first one
begins the hash of that content. On a locked mount every content is checked before a byte of it is given. Touched
by the front's loop only.
"""

from __future__ import annotations

from collections.abc import Sequence

import trio

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.model import CHUNK_BYTES, Content, RunId
from vstorefs.mount.handles import FileHandle, Handles
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.locked import Locked
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.reading.transfers import Bytes, Transfers
from vstorefs.mount.tree.inodes import FileNode, Inodes
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.draft import draft_of

_YOUNG_NS = 2_000_000_000


class Readings:
    """What is read through the handles of one mount. `locked`: where only chosen contents may be given."""

    def __init__(
        self,
        handles: Handles,
        inodes: Inodes,
        namespace: Namespace,
        transfers: Transfers,
        hashing: Hashing,
        locked: Locked | None,
        uses: Uses,
        clock: Clock,
    ) -> None:
        self._handles = handles
        self._inodes = inodes
        self._namespace = namespace
        self._transfers = transfers
        self._hashing = hashing
        self._locked = locked
        self._uses = uses
        self._clock = clock

    async def read(self, handle: FileHandle, start: int, end: int) -> Bytes:
        """Bytes [start, end) of what the handle's file is now, cut at its end. Raises: a StoreError."""
        node = handle.node
        draft = draft_of(node) if node is not None else None
        if draft is not None:
            return await draft.read(self._transfers, handle.remote, start, end)
        try:
            return await self._read_stored(handle, start, end)
        except errors.Changed:
            if node is not None:
                self._namespace.outdate(node)
            raise

    async def read_empty(self, handle: FileHandle) -> None:
        """The first use of an empty file: no read will come for it. Raises: a StoreError."""
        node = handle.node
        if node is not None and node.size == 0 and node.content is not None and node.draft is None:
            await self._read_stored(handle, 0, 0)

    async def _read_stored(self, handle: FileHandle, start: int, end: int) -> Bytes:
        content = handle.node.content if handle.node is not None else handle.content
        if content is None:
            return b""
        transfer = await self._transfer(handle, content)
        try:
            handle.reader, data = await self._transfers.read(transfer, handle.reader, start, end)
            if transfer.spoilt is not None:
                handle.is_told = True
                raise transfer.spoilt
        except errors.Changed:
            if handle.run is not None:
                self._uses.torn(handle.remote, content, handle.run)
            raise
        if handle.node is not None and data:
            first, last = start // CHUNK_BYTES, (start + len(data) - 1) // CHUNK_BYTES
            handle.node.served |= ((2 << (last - first)) - 1) << first
        return data

    async def _transfer(self, handle: FileHandle, content: Content) -> Transfer:
        """The handle's transfer of a content, of which bytes may be given."""
        if handle.transfer is None or handle.transfer.content != content:
            self._leave(handle)
            young_s = 0.0 if content.strong else self._young_s(handle)
            handle.transfer = self._transfers.open(content, handle.remote, trusted=young_s <= 0)
            handle.transfer.readers += 1
            handle.reader = Reader()
            if self._locked is None:
                await self._hashing.begin(handle.transfer, handle.path)
                if not handle.transfer.keep:
                    self._hashing.begin_later(handle.transfer, handle.path, young_s)
        elif self._locked is None:
            # What comes before its hash has begun is not kept for it.
            await self._hashing.begun(handle.transfer)
        if self._locked is not None:
            # At every read: several of one handle may run at once, and the kernel asks again after an error.
            await self._locked.check(handle.transfer, handle.path)
        return handle.transfer

    async def compared(self, handle: FileHandle) -> None:
        """At a close: see that what was read through a handle is what it should be, unless a read has told it.

        Raises: Corrupt.
        """
        # On a locked mount nothing was given before that was seen.
        if handle.transfer is not None and self._locked is None and not handle.is_told:
            await self._hashing.compared(handle.transfer)

    def is_cached_right(self, content: Content | None) -> bool:
        """Whether what a kernel has of a content is right, as far as is known."""
        return content is None or not self._hashing.was_spoilt(content)

    def _young_s(self, handle: FileHandle) -> float:
        """For how long a token of size and times may still stand for other bytes than those that were read."""
        if handle.node is None:
            return 0.0
        left_ns = handle.node.mtime_ns + _YOUNG_NS - self._clock.wall_ns()
        # A time in the future never gets old.
        return left_ns / 1e9 if left_ns <= _YOUNG_NS else _YOUNG_NS / 1e9

    def _leave(self, handle: FileHandle) -> None:
        transfer, handle.transfer = handle.transfer, None
        if transfer is not None:
            transfer.readers -= 1
            if transfer.readers == 0:
                self._hashing.last_reader_left(transfer)
            self._transfers.close(transfer)

    def end(self, handle: FileHandle) -> None:
        """A handle is closed."""
        self._note(handle)
        self._leave(handle)

    def _note(self, handle: FileHandle) -> None:
        if handle.run is not None and handle.node is not None:
            content = handle.transfer.content if handle.transfer is not None else None
            self._uses.read(handle.node, content, handle.run)

    # --- runs

    def note_inherited(self, inodes: Sequence[int], run: RunId) -> None:
        """A run begins with these files open for reading."""
        for number in inodes:
            node = self._inodes.get(number)
            if isinstance(node, FileNode):
                self._uses.opened(node, run, inherited=True)

    def note_all(self, run: RunId) -> None:
        """A run ends: what is known of files whose closing the kernel has not told yet."""
        for handle in self._handles.files():
            if handle.run == run:
                self._note(handle)

    async def hashed(self, bound_s: float) -> None:
        """Wait until what is being hashed has been, or the time is up."""
        with trio.move_on_after(bound_s):
            await self._hashing.finished()
