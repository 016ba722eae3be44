"""The journal: what was promised to programs and is not yet in its store.

Entries are numbered in the order of the promises. An entry is in here, on disk, before its first
request to a store, with its full identity, and stays until the store has it. Entries belong to a
session; those of a dead one are taken over once, under a lock, by the next mount.

One that cannot be published is *set aside*: it stays here, with the reason, until somebody has it retried or dropped.

What was promised to nobody (content of scratch names, staging files that no entry names) is moved
to `unpromised/`, never published. Content that was fsynced and never closed is published with a
mark.
"""

from __future__ import annotations

import fcntl
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from vstorefs import files
from vstorefs.model import JournalEntry, Mark, Promise, SessionId, StoreId, Token, WriteId
from vstorefs.state.env import State, Wanted, always
from vstorefs.state.keys import same_key, seq_key
from vstorefs.state.sessions import is_alive

log = logging.getLogger(__name__)

_SAME_KEPT = 1000
"""What was on its way here when a write was found to make no version is not behind so many promises."""

Carry = Callable[[JournalEntry], JournalEntry]
"""What becomes of an entry by the end of another one."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(JournalEntry).decode


@dataclass(frozen=True, slots=True)
class Adoption:
    """What a mount took over. `held` entries belong to sessions that live; dead ones had set `aside` some."""

    entries: tuple[JournalEntry, ...]
    held: int
    aside: tuple[JournalEntry, ...] = ()


@dataclass(frozen=True, slots=True)
class Owner:
    """A mount that lives: its session, and the stores that it has."""

    session: SessionId
    stores: Collection[StoreId]


@dataclass(frozen=True, slots=True)
class Addition:
    """Entries to be put on disk, and the numbers of those that end with it."""

    entries: Sequence[JournalEntry]
    drop: Iterable[int] = ()
    wanted: Wanted = always


class Journal:
    """The journal of one state; safe from all threads and processes that share it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def record(self, entries: Sequence[JournalEntry], drop: Iterable[int] = ()) -> tuple[int, ...]:
        """Put entries on disk in one transaction, ending those numbered in `drop`; gives their numbers, in order.

        An entry whose write id is here already keeps its number: asking twice after a lost answer
        is asking once.
        Raises: JournalError; then nothing was recorded.
        """
        (seqs,) = self.record_all([Addition(entries, drop)])
        assert seqs is not None
        return seqs

    def record_all(self, additions: Sequence[Addition]) -> list[tuple[int, ...] | None]:
        """The same for several in one transaction; None for each that is not wanted any more.

        Raises: JournalError; then nothing was recorded.
        """
        with self._state.writing() as txn:
            # Only now: other processes may have had the lock for long.
            return [self._write(txn, one) if one.wanted() else None for one in additions]

    def _write(self, txn: Any, addition: Addition) -> tuple[int, ...]:
        for seq in addition.drop:
            self._remove(txn, seq)
        return tuple(self._add(txn, entry) for entry in addition.entries)

    def recorded(
        self, entries: Sequence[JournalEntry], drop: Iterable[int] = ()
    ) -> tuple[int, ...] | None:
        """What `record` gave, where nobody heard it; None where it was not done. Nobody may be doing it any more."""
        with self._state.reading() as txn:
            known = [txn.get(one.write.write_id.encode(), db=self._state.writes) for one in entries]
            left = [seq for seq in drop if txn.get(seq_key(seq), db=self._state.journal)]
        seqs = tuple(int.from_bytes(one, "big") for one in known if one is not None)
        return seqs if len(seqs) == len(known) and not left else None

    def finish(self, seq: int, *, same_as: Token | None = None, carry: Carry | None = None) -> None:
        """The store has it.

        `same_as`: it had that content already, and no version was made: what comes after starts from that one.
        `carry`: what becomes of contents that were synced before it, and are in the journal only: they were not there
        when it was carried out.
        """
        with self._state.writing() as txn:
            value = txn.get(seq_key(seq), db=self._state.journal)
            self._remove(txn, seq)
            if value is not None and same_as is not None:
                self._note_same(txn, seq, _decode(value).write.write_id, same_as)
            if value is not None and carry is not None:
                self._carry(txn, _decode(value), carry)

    def _carry(self, txn: Any, ended: JournalEntry, carry: Carry) -> None:
        """Change what is older than an entry that has ended; what was on its way before it has ended, too."""
        for entry in list(self._entries(txn)):
            if entry.seq > ended.seq:
                return
            is_near = (entry.session, entry.store) == (ended.session, ended.store)
            if is_near and entry.staged is not None and entry.aside_ns is None:
                txn.put(seq_key(entry.seq), _encode(carry(entry)), db=self._state.journal)

    def _note_same(self, txn: Any, seq: int, write: WriteId, token: Token) -> None:
        """What comes after a write starts from a content: what is here already, and what was on its way to here."""
        for entry in list(self._entries(txn)):
            changed = _starting_from(entry, write, token)
            if changed is not entry:
                txn.put(seq_key(entry.seq), _encode(changed), db=self._state.journal)
        txn.put(same_key(write), seq_key(seq) + token.encode(), db=self._state.writes)
        for key, value in list(self._same(txn)):
            if int.from_bytes(value[:8], "big") < seq - _SAME_KEPT:
                txn.delete(key, db=self._state.writes)

    def _same(self, txn: Any) -> Iterable[tuple[bytes, bytes]]:
        with txn.cursor(db=self._state.writes) as cursor:
            first = same_key(WriteId(""))
            for key, value in cursor.iternext() if cursor.set_range(first) else ():
                if not key.startswith(first):
                    return
                yield key, value

    def fail(self, seq: int, message: str) -> None:
        """Note why an attempt failed."""
        with self._state.writing() as txn:
            value = txn.get(seq_key(seq), db=self._state.journal)
            if value is not None:
                entry = _decode(value)
                changed = replace(entry, attempts=entry.attempts + 1, error=message)
                txn.put(seq_key(seq), _encode(changed), db=self._state.journal)

    def fix(self, seq: int, record: str, *, removal: bool) -> None:
        """Keep the name that the store's record of an entry (or of its removal) will have, for every later try."""
        with self._state.writing() as txn:
            value = txn.get(seq_key(seq), db=self._state.journal)
            entry = _decode(value) if value is not None else None
            if entry is None:
                return
            if not removal:
                entry = replace(entry, write=replace(entry.write, record=record))
            elif entry.removal is not None:
                entry = replace(entry, removal=replace(entry.removal, record=record))
            txn.put(seq_key(seq), _encode(entry), db=self._state.journal)

    def set_aside(self, entry: JournalEntry, reason: str, at_ns: int) -> None:
        """Keep an entry, and try it no more; one that has ended meanwhile stays ended."""
        with self._state.writing() as txn:
            if txn.get(seq_key(entry.seq), db=self._state.journal) is not None:
                changed = replace(entry, error=reason, aside_ns=at_ns)
                txn.put(seq_key(entry.seq), _encode(changed), db=self._state.journal)

    def take_up(
        self, seqs: Collection[int], owner: Owner | None = None, wanted: Wanted = always
    ) -> tuple[JournalEntry, ...]:
        """Let entries that were set aside be tried again, by `owner` or (None) by the next mount; gives these.

        Those of other sessions that live, and of stores that the owner does not have, are left alone.
        """
        with self._adopting(), self._state.writing() as txn:
            taken = []
            for entry in self._aside(txn, seqs, owner) if wanted() else ():
                session = owner.session if owner is not None else entry.session
                again = replace(entry, session=session, aside_ns=None, adopted=True, attempts=0)
                txn.put(seq_key(entry.seq), _encode(again), db=self._state.journal)
                taken.append(again)
            return tuple(taken)

    def drop_aside(
        self, seqs: Collection[int], owner: Owner | None = None, wanted: Wanted = always
    ) -> tuple[JournalEntry, ...]:
        """End entries that were set aside, and remove what they alone name; gives these. Otherwise as `take_up`."""
        with self._adopting():
            with self._state.writing() as txn:
                dropped = tuple(self._aside(txn, seqs, owner)) if wanted() else ()
                for entry in dropped:
                    self._remove(txn, entry.seq)
            for entry in dropped:
                if entry.staged is not None:
                    file = self._state.directory / "staging" / entry.staged.name
                    files.change("staging.remove", file.unlink, missing_ok=True)
            return dropped

    def _aside(
        self, txn: Any, seqs: Collection[int], owner: Owner | None
    ) -> Iterator[JournalEntry]:
        for entry in list(self._entries(txn)):
            if entry.seq not in seqs or entry.aside_ns is None:
                continue
            if owner is not None and entry.store not in owner.stores:
                continue
            is_own = owner is not None and entry.session == owner.session
            if is_own or not is_alive(self._state.directory, entry.session):
                yield entry

    @contextmanager
    def _adopting(self) -> Iterator[None]:
        """While nobody else takes over entries."""
        path = self._state.directory / "adopt.lock"
        with files.change("state.lock", path.open, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def entry(self, seq: int) -> JournalEntry | None:
        """One entry as it is now; None where it has ended."""
        with self._state.reading() as txn:
            value = txn.get(seq_key(seq), db=self._state.journal)
        return _decode(value) if value is not None else None

    def pending(self, stores: Collection[StoreId] | None = None) -> list[JournalEntry]:
        """All entries, of some stores or of all, in the order of their promises."""
        with self._state.reading() as txn:
            return [
                entry for entry in self._entries(txn) if stores is None or entry.store in stores
            ]

    def adopt(self, session: SessionId, stores: Collection[StoreId], state_dir: Path) -> Adoption:
        """Take over what dead sessions promised to these stores; asked again, gives the same."""
        with self._adopting():
            alive: dict[SessionId, bool] = {session: True}
            adopted, unpromised, aside, held = [], [], [], 0
            with self._state.writing() as txn:
                for entry in list(self._entries(txn)):
                    owner = entry.session
                    if owner not in alive:
                        alive[owner] = is_alive(state_dir, owner)
                    if _was_taken_over(entry, session) and entry.store in stores:
                        # By who died before it could say so.
                        adopted.append(entry)
                    elif alive[owner]:
                        held += owner != session and entry.store in stores
                    elif entry.aside_ns is not None:
                        aside += [entry] if entry.store in stores else []
                    elif entry.promise is Promise.SCRATCH:
                        unpromised.append(entry)
                        self._remove(txn, entry.seq)
                    elif entry.store in stores:
                        adopted.append(self._take(txn, entry, session))
            _keep_unpromised(self, state_dir, alive)
            for entry in unpromised:
                log.warning(
                    "%s: had only a scratch name when its mount died; its content is kept in %s",
                    entry.path,
                    state_dir / "unpromised",
                )
            return Adoption(tuple(adopted), held, tuple(aside))

    def _take(self, txn: Any, entry: JournalEntry, session: SessionId) -> JournalEntry:
        write = entry.write
        if entry.promise is Promise.SYNCED:
            write = replace(write, marks=(*write.marks, Mark.INTERRUPTED))
        taken = replace(entry, session=session, adopted=True, promise=Promise.CLOSED, write=write)
        txn.put(seq_key(entry.seq), _encode(taken), db=self._state.journal)
        return taken

    def _add(self, txn: Any, entry: JournalEntry) -> int:
        known = txn.get(entry.write.write_id.encode(), db=self._state.writes)
        if known is not None:
            return int.from_bytes(known, "big")
        with txn.cursor(db=self._state.journal) as cursor:
            last = int.from_bytes(cursor.key(), "big") if cursor.last() else 0
        counter = txn.get(b"#last", db=self._state.writes)
        seq = max(last, int.from_bytes(counter, "big") if counter else 0) + 1
        txn.put(b"#last", seq_key(seq), db=self._state.writes)
        entry = self._based(txn, entry)
        txn.put(seq_key(seq), _encode(replace(entry, seq=seq)), db=self._state.journal)
        txn.put(entry.write.write_id.encode(), seq_key(seq), db=self._state.writes)
        return seq

    def _based(self, txn: Any, entry: JournalEntry) -> JournalEntry:
        for after in (entry.write.after, entry.removal.after if entry.removal else None):
            same = txn.get(same_key(after), db=self._state.writes) if after is not None else None
            if after is not None and same is not None:
                entry = _starting_from(entry, after, Token(same[8:].decode()))
        return entry

    def _remove(self, txn: Any, seq: int) -> None:
        value = txn.pop(seq_key(seq), db=self._state.journal)
        if value is not None:
            txn.delete(_decode(value).write.write_id.encode(), db=self._state.writes)

    def _entries(self, txn: Any) -> Iterable[JournalEntry]:
        with txn.cursor(db=self._state.journal) as cursor:
            for _, value in cursor:
                yield _decode(value)


def _was_taken_over(entry: JournalEntry, session: SessionId) -> bool:
    return entry.session == session and entry.adopted and entry.aside_ns is None


def _starting_from(entry: JournalEntry, after: WriteId, base: Token) -> JournalEntry:
    """An entry, with what it starts from where it comes after a write that made no version."""
    if entry.write.after == after:
        return replace(entry, write=replace(entry.write, base=base))
    if entry.removal is not None and entry.removal.after == after:
        return replace(entry, removal=replace(entry.removal, base=base))
    return entry


def _keep_unpromised(journal: Journal, state_dir: Path, alive: dict[SessionId, bool]) -> None:
    """Move staging files of dead sessions that no entry names out of the way."""
    named = {entry.staged.name for entry in journal.pending() if entry.staged is not None}
    staging = state_dir / "staging"
    for folder in list(staging.iterdir()) if staging.is_dir() else []:
        session = SessionId(folder.name)
        if alive.get(session) or is_alive(state_dir, session):
            continue
        for file in folder.iterdir():
            if f"{folder.name}/{file.name}" not in named:
                kept = state_dir / "unpromised"
                files.make_private(kept)
                files.change("unpromised.rename", file.rename, kept / f"{folder.name}-{file.name}")
        if not any(folder.iterdir()):
            files.change("staging.remove-directory", folder.rmdir)
