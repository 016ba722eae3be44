"""Changes that are promised, and what becomes of them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import trio

from tests.support.pools import Call, ScriptedPool
from vstorefs.model import (
    JournalEntry,
    Key,
    Operation,
    SessionId,
    StoreId,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.mount.writing.uploads import Callbacks, Pending, Uploads
from vstorefs.workers import messages

OTHER = StoreId("f" * 32)
"""A second store."""
IGNORED = Callbacks(lambda published: None)
"""Whatever becomes of it."""


class Journal:
    """Gives numbers to entries."""

    def __init__(self, pool: ScriptedPool) -> None:
        self._numbers = itertools.count(1)
        pool.answers(messages.Record, self.record)

    async def record(self, call: Call) -> messages.Answer:
        """One number for each entry."""
        request = call.request
        assert isinstance(request, messages.Record)
        await trio.lowlevel.checkpoint()
        return messages.Recorded(tuple(next(self._numbers) for _ in request.entries))


@dataclass
class Writer:
    """Promises changes, and hears when they are settled."""

    uploads: Uploads
    store: StoreId
    settled: list[str] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    async def promise(self, path: str, store: StoreId | None = None) -> Pending:
        """Promise a new content of a path."""
        entry = entry_of(path, store or self.store)
        return await self.uploads.promise(entry, self.note(path))

    def note(self, path: str) -> Callbacks:
        """What is called when a path's change has ended."""
        return Callbacks(
            lambda published: self.settled.append(path),
            lambda: self.aside.append(path),
            lambda: self.dropped.append(path),
        )


def entry_of(path: str, store: StoreId, *, seq: int = 0) -> JournalEntry:
    write = Write(WriteId(path), VersionId(path), 0, None)
    return JournalEntry(seq, SessionId("session"), store, Operation.PUT, Key(path), write)
