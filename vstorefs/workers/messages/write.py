"""What is asked about changes: into the journal, into their store, out of a dead session's hands."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from vstorefs.model import JournalEntry, Key, StoreId, Version
from vstorefs.workers.messages.request import Noted, Request


class Recorded(msgspec.Struct, frozen=True, tag=True):
    """Answer to Record: the sequence numbers given, in order."""

    seqs: tuple[int, ...]


class Record(Request[Recorded], frozen=True, tag=True):
    """Put entries into the journal in this order, in one synced transaction. Answer: Recorded.

    `drop` are sequence numbers of entries that end in the same transaction (scratch content that
    was renamed or removed).
    """

    definite: ClassVar[bool] = True
    entries: tuple[JournalEntry, ...]
    drop: tuple[int, ...] = ()


class RecordedFound(msgspec.Struct, frozen=True, tag=True):
    """Answer to FindRecorded: for each, what it would have been answered; None where it did not happen."""

    records: tuple[Recorded | None, ...]


class FindRecorded(Request[RecordedFound], frozen=True, tag=True):
    """Which of these are in the journal? All workers that had them must have ended. Answer: RecordedFound."""

    records: tuple[Record, ...]


class CheckRoom(Request[Noted], frozen=True, tag=True):
    """Would all that a directory holds have a place under another path? Answer: Noted; it fails where it would not."""

    store: StoreId
    path: Key
    target: Key


class Published(msgspec.Struct, frozen=True, tag=True):
    """Answer to Publish.

    `version` is the head that the entry made (or the head as it was, with `unchanged`, where the
    content is equal); None for operations without one. `removed` is the tombstone of a removal or
    rename. `late`: it stands beside the head, as its base was the head no more.
    """

    version: Version | None = None
    unchanged: bool = False
    removed: Version | None = None
    late: bool = False


class Publish(Request[Published], frozen=True, tag=True):
    """Carry out one journal entry in its store, then take it out of the journal. Answer: Published.

    Asked again after a failure or a dead worker with `look` set: then the store is looked at first.
    `overdue`: taken over from a dead session, or waiting for over 60 s; such content never goes on
    top of a head that is not its base.
    """

    entry: JournalEntry
    look: bool
    overdue: bool = False

    @property
    def store(self) -> StoreId:
        """The store of its entry."""
        return self.entry.store

    def again(self) -> Publish:
        """The same, with a look first."""
        return msgspec.structs.replace(self, look=True)


class Adopted(msgspec.Struct, frozen=True, tag=True):
    """Answer to Adopt and TakeUp, in sequence order; they belong to the asking session now.

    `held` belong to sessions that live; `aside` were set aside, and are not tried again.
    """

    entries: tuple[JournalEntry, ...]
    held: int = 0
    aside: tuple[JournalEntry, ...] = ()


class Adopt(Request[Adopted], frozen=True, tag=True):
    """Take over the journal entries of dead sessions for these stores. Answer: Adopted."""

    stores: tuple[StoreId, ...]


class SetAside(Request[Noted], frozen=True, tag=True):
    """Try entry `seq` no more, and keep it with the reason, at `at_ns`; the store may be asked for what it lacks.

    Answer: Noted.
    """

    store: StoreId
    seq: int
    reason: str
    at_ns: int


class TakeUp(Request[Adopted], frozen=True, tag=True):
    """Let this mount try entries again that were set aside, but for those of others that live. Answer: Adopted."""

    definite: ClassVar[bool] = True

    seqs: tuple[int, ...]


class DropAside(Request[Recorded], frozen=True, tag=True):
    """The same, but to end them, and their content with them. Answer: Recorded, with those that were."""

    definite: ClassVar[bool] = True

    seqs: tuple[int, ...]
