"""Content being written: a staging file over a base.

A draft holds the ranges that were written; everything else is still in the content that it started
from and is fetched when somebody reads it, or when the version is published. When a draft is
committed it is *frozen*: the journal names its staging file, and whoever writes on gets a clone.

Ranges that a program never wrote but that the base must not show through (a file cut short and made
long again) count as written; the staging file has zeros there.

One draft per file node. Its lock is held by whoever changes it; disk calls go to threads.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import trio

from vstorefs import files
from vstorefs.model import Content, Key, Promise, Staged, Token, WriteId
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.inodes import FileNode, Unstored
from vstorefs.mount.tree.remote import Remote
from vstorefs.state.staging import Ranges, StagingArea, add, cut, missing

log = logging.getLogger(__name__)

_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Synced:
    """A state of a draft that the journal names: entry `seq`, the first `size` bytes of staging file `name`.

    `path` and `promise` are what it is to be, and why.
    """

    seq: int
    name: str
    size: int
    path: Key
    promise: Promise


@dataclass(slots=True, eq=False)
class Draft(Unstored):
    """One version in the making. `base` and `after` say what the writer started from, as `model.Write` does.

    `users` are reads and clones under way; a draft that became `unwanted` goes when they are done.
    `dirty`: there is something to commit. `frozen`: the journal has it. `synced`: what the journal has of it
    meanwhile; `changed`: it has been written on since. `refused`: a close of it failed, and nothing was written since.
    `replaces`: its file, which no store has, took the name of one that its store has still. `displaced`: drafts of
    files whose name it took; what the journal has of these ends with its next promise. Each of them is `taken`.
    `kept`: the journal may have it, which nobody can tell: it stays as it is.
    """

    area: StagingArea
    name: str
    number: int
    size: int
    present: Ranges
    under: Content | None
    base: Token | None
    after: WriteId | None
    dirty: bool = False
    frozen: bool = False
    synced: Synced | None = None
    changed: bool = True
    refused: bool = False
    replaces: bool = False
    displaced: tuple[Draft, ...] = ()
    taken: bool = False
    kept: bool = False
    users: int = 0
    unwanted: bool = False
    lock: trio.Lock = field(default_factory=trio.Lock)

    @classmethod
    async def over(
        cls, area: StagingArea, under: Content | None, base: Token | None, after: WriteId | None
    ) -> Draft:
        """A draft over a content, or over nothing."""
        name, number = await trio.to_thread.run_sync(_create, area)
        return cls(
            area, name, number, under.size if under is not None else 0, (), under, base, after
        )

    async def clone(self, after: WriteId | None) -> Draft:
        """The same content to write on, while this one is on its way as write `after`."""
        with self._in_use():
            name, number = await trio.to_thread.run_sync(_clone, self.area, self.staged())
        return Draft(self.area, name, number, self.size, self.present, self.under, None, after)

    async def apart(self) -> Draft:
        """The same draft in a staging file of its own, so that the one that the journal names stays as it is."""
        fresh = await self.clone(self.after)
        fresh.base, fresh.dirty, fresh.synced = self.base, self.dirty, self.synced
        fresh.replaces, fresh.displaced, fresh.taken = self.replaces, self.displaced, self.taken
        return fresh

    @property
    def rests_on(self) -> Content | None:
        """See `Unstored`."""
        under = self.under
        is_covered = under is None or not list(missing(self.present, 0, min(self.size, under.size)))
        return None if is_covered else under

    @property
    def entries(self) -> tuple[int, ...]:
        """The numbers of the journal's entries that its next promise ends."""
        return tuple(one.synced.seq for one in (*self.displaced, self) if one.synced is not None)

    def is_synced_as(self, path: Key, promise: Promise) -> bool:
        """Whether the journal names the state that it is in, under that path and for that reason."""
        synced = self.synced
        return (
            not self.changed
            and synced is not None
            and (synced.path, synced.promise) == (path, promise)
        )

    def would_change_synced(self, start: int) -> bool:
        """Whether bytes from `start` on are named by the journal, and must not change before the next promise."""
        synced = self.synced
        is_synced = synced is not None and synced.name == self.name and start < synced.size
        return is_synced or self.kept

    def keep(self) -> None:
        """Leave its staging file as it is for the next mount, for the journal may name it."""
        self.kept = True
        self.area.keep(self.name)

    def forget_synced(self) -> None:
        """The journal has ended its `entries`; a staging file that only they named goes."""
        displaced, self.displaced = self.displaced, ()
        for one in displaced:
            one.forget_synced()
        synced, self.synced = self.synced, None
        if synced is not None and (synced.name != self.name or self.number < 0):
            remove_later(self.area, synced.name)

    def staged(self) -> Staged:
        """What the journal says of it."""
        under = self.under if self.under is not None and self.under.size > 0 else None
        return Staged(self.name, self.size, self.present, under)

    async def write(self, offset: int, data: bytes) -> int:
        """Write; a gap behind the end becomes zeros. Where it fails, the size is as it was."""
        await trio.to_thread.run_sync(_write, self.number, data, offset, self.size)
        if offset > self.size:
            self.present = add(self.present, self.size, offset)
        self.present = add(self.present, offset, offset + len(data))
        self.size = max(self.size, offset + len(data))
        self._is_written_on()
        return len(data)

    async def truncate(self, size: int) -> None:
        """Cut short or make longer with zeros: who reads meanwhile sees that. Where it fails, all is as it was."""
        if size == self.size == 0:
            # Nothing to ask of the disk, which could refuse it.
            self.under, self.present = None, ()
            self._is_written_on()
            return
        before = self.present, self.under, self.size
        kept = cut(self.present, size)
        self.present = kept if size <= self.size else add(kept, self.size, size)
        self.under = self.under if size else None
        self.size = size
        try:
            await trio.to_thread.run_sync(_change_size, self.number, before[2], size)
        except OSError:
            self.present, self.under, self.size = before
            raise
        self._is_written_on()

    def _is_written_on(self) -> None:
        self.dirty = self.changed = True
        self.refused = False

    async def read(self, transfers: Transfers, remote: Remote, start: int, end: int) -> bytes:
        """Bytes [start, end), cut at the end.

        Raises: a StoreError where the base cannot be read.
        """
        end = min(end, self.size)
        if start >= end:
            return b""
        with self._in_use():
            result = bytearray(
                await trio.to_thread.run_sync(_pread, self.number, end - start, start)
            )
            under = self.under
            for low, high in missing(self.present, start, end) if under is not None else ():
                assert under is not None
                data = await transfers.bytes_of(under, remote, low, high)
                result[low - start : low - start + len(data)] = data
        # What was cut off meanwhile may have been read as zeros.
        del result[max(0, self.size - start) :]
        return bytes(result)

    async def sync(self) -> None:
        """Bring what was written to disk, at its full size."""
        await trio.to_thread.run_sync(_sync, self.number, self.size, self.present)

    def discard(self) -> None:
        """Close it and remove the staging file, as soon as nobody reads it; a file that the journal names stays."""
        self.unwanted = True
        if self.users == 0 and self.number >= 0:
            number, self.number = self.number, -1
            if self.synced is not None and self.synced.name == self.name:
                trio.lowlevel.spawn_system_task(trio.to_thread.run_sync, os.close, number)
            else:
                remove_later(self.area, self.name, number)

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Keep the open file from being closed, and its number from being given to another."""
        self.users += 1
        try:
            yield
        finally:
            self.users -= 1
            if self.unwanted:
                self.discard()


def draft_of(node: FileNode) -> Draft | None:
    """The content of a file that no store has yet; None where its store has what it shows."""
    draft = node.draft
    assert draft is None or isinstance(draft, Draft)
    return draft


def is_being_written(node: FileNode) -> bool:
    """Whether a file has content that is not on its way to the store yet."""
    draft = draft_of(node)
    return draft is not None and not draft.frozen


def _create(area: StagingArea) -> tuple[str, int]:
    return _open(area, area.create())


def _pread(number: int, length: int, offset: int) -> bytes:
    """Exactly `length` bytes; what lies behind the staging file's end is zeros."""
    return os.pread(number, length, offset).ljust(length, b"\0")


def _write(number: int, data: bytes, offset: int, size: int) -> None:
    """Write to a staging file of so many bytes. What a full disk took of it does not show behind the end later."""
    if offset > size:
        # What a write that failed has left behind the end is no part of the content: the gap is zeros.
        _resize(number, size)
    try:
        files.write_all("staging.write", number, data, offset)
    except OSError:
        if offset + len(data) > size:
            with suppress(OSError):
                _resize(number, size)
        raise


def _resize(number: int, size: int) -> None:
    files.change("staging.size", os.ftruncate, number, size)


def _change_size(number: int, size: int, new_size: int) -> None:
    """Behind the end there may be what a write that failed has left; it must not come back."""
    _resize(number, min(size, new_size))
    if new_size > size:
        _resize(number, new_size)


def _sync(number: int, size: int, present: Ranges) -> None:
    _resize(number, size)
    try:
        files.change("staging.sync", os.fdatasync, number)
    except OSError:
        with suppress(OSError):
            _write_again(number, present)
        raise


def _write_again(number: int, present: Ranges) -> None:
    """Write what is there once more: what a sync could not write counts as written from then on.

    Source: fsync(2), the notes on EIO.
    """
    for start, end in present:
        for at in range(start, end, _BLOCK_BYTES):
            block = os.pread(number, min(_BLOCK_BYTES, end - at), at)
            files.write_all("staging.write-again", number, block, at)


def _clone(area: StagingArea, staged: Staged) -> tuple[str, int]:
    return _open(area, area.clone(staged).name)


def _open(area: StagingArea, name: str) -> tuple[str, int]:
    try:
        flags = os.O_RDWR | os.O_CLOEXEC
        return name, files.change("staging.open", os.open, area.path(name), flags)
    except OSError:
        area.discard(name)
        raise


def remove_later(area: StagingArea, name: str, number: int | None = None) -> None:
    """Remove a staging file, and close it, in a thread: giving back a large file's blocks takes the disk a while."""
    trio.lowlevel.spawn_system_task(trio.to_thread.run_sync, _remove, area, name, number)


def _remove(area: StagingArea, name: str, number: int | None) -> None:
    try:
        if number is not None:
            os.close(number)
        area.discard(name)
    except OSError as error:
        log.warning("cannot remove a staging file: %s", error)
