"""What this host knows of a project's runs: an index in the LMDB `state`, made of manifests and of its own runs.

All of it can be made again from the archive, but for what has not been sent there yet. What is asked at each open (the
newest use of a path) is one look-up, however many runs there are; what is listed is read from the newest on. Every
write happens in a transaction that the caller holds, so that a run's notes are together or not there at all.

A path keeps its newest use and what was made of it last, by the order in `changes.order`.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from vstorefs.ledger import changes
from vstorefs.ledger.manifest import (
    SEQUENCE_MAX,
    Acknowledgement,
    ChangeWarning,
    Earlier,
    Place,
    Run,
    Seen,
)
from vstorefs.ledger.stored import reader
from vstorefs.model import Key, RunId, StoreId
from vstorefs.state.env import State
from vstorefs.state.keys import print_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
_PATH_BYTES = 400
_AFTER = b"\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPath:
    """What is known of one path: its newest use, and what a run has made of it last."""

    used: Earlier | None = None
    made: Earlier | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OfContent:
    """What is known of one content: how many runs used it, the last of them, and which one made it."""

    runs: int = 0
    last_run: RunId | None = None
    last_sequence: int = 0
    made_by: RunId | None = None


_encode = msgspec.msgpack.Encoder().encode

_run = reader(Run)
_of_path = reader(OfPath)
_of_content = reader(OfContent)
_warning = reader(ChangeWarning)
_ack = reader(Acknowledgement)


class Index:
    """The index of one project in one state. Methods take the transaction that they work in."""

    def __init__(self, state: State, project: StoreId) -> None:
        self._state = state
        self._project = project.encode()

    # --- runs

    def put_run(self, txn: Any, run: Run) -> None:
        """Add a run, or what has become of it."""
        name = self._project + _micros(run.started) + run.id.encode()
        txn.put(name, _encode(run), db=self._state.runs)
        txn.put(self._project + run.id.encode(), _micros(run.started), db=self._state.run_ids)
        if run.sequence > self.sequence(txn):
            key = self._project + b"sequence"
            txn.put(key, run.sequence.to_bytes(8, "big"), db=self._state.ledger)

    def forget_run(self, txn: Any, run: Run) -> None:
        """Take out a run of which nothing is to be told."""
        txn.delete(self._project + _micros(run.started) + run.id.encode(), db=self._state.runs)
        txn.delete(self._project + run.id.encode(), db=self._state.run_ids)

    def sequence(self, txn: Any) -> int:
        """The highest sequence of all runs known."""
        value = txn.get(self._project + b"sequence", db=self._state.ledger)
        return min(int.from_bytes(value, "big"), SEQUENCE_MAX) if value is not None else 0

    def run(self, txn: Any, run: RunId) -> Run | None:
        """One run by its whole id."""
        started = txn.get(self._project + run.encode(), db=self._state.run_ids)
        if started is None:
            return None
        return _run(txn.get(self._project + started + run.encode(), db=self._state.runs))

    def runs_like(self, txn: Any, start: str) -> list[Run]:
        """Runs whose ids begin so."""
        prefix = self._project + start.encode()
        with txn.cursor(db=self._state.run_ids) as cursor:
            found = []
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                found.append(RunId(cursor.key()[len(self._project) :].decode()))
                more = cursor.next()
        return [run for run in (self.run(txn, one) for one in found) if run is not None]

    def newest_first(self, txn: Any, before: datetime | None = None) -> Iterator[Run]:
        """All runs, those that began last first; `before`: only those that began earlier."""
        end = _micros(before) if before is not None else _AFTER * 8
        with txn.cursor(db=self._state.runs) as cursor:
            more = cursor.set_range(self._project + end)
            more = cursor.prev() if more else cursor.last()
            while more and cursor.key().startswith(self._project):
                run = _run(cursor.value())
                if run is not None:
                    yield run
                more = cursor.prev()

    # --- paths and contents

    def of_path(self, txn: Any, place: Place) -> OfPath:
        """What is known of a path."""
        return _of_path(txn.get(self._path_key(place), db=self._state.uses)) or OfPath()

    def put_use(self, txn: Any, place: Place, use: Earlier) -> None:
        """A use of a path, unless a newer one is known."""
        known = self.of_path(txn, place)
        if known.used is None or changes.order(use) >= changes.order(known.used):
            self._put_path(txn, place, replace(known, used=_with_hashes(use, known.used)))

    def put_made(self, txn: Any, place: Place, made: Earlier) -> None:
        """What a run has made of a path, unless something newer is known."""
        known = self.of_path(txn, place)
        if known.made is None or changes.order(made) >= changes.order(known.made):
            self._put_path(txn, place, replace(known, made=made))

    def _put_path(self, txn: Any, place: Place, known: OfPath) -> None:
        txn.put(self._path_key(place), _encode(known), db=self._state.uses)

    def of_content(self, txn: Any, place: Place, content: Seen) -> OfContent:
        """What is known of a content."""
        key = _content_key(place, content)
        return _of_content(txn.get(key, db=self._state.contents)) or OfContent()

    def count_use(self, txn: Any, place: Place, use: Earlier, runs: int = 1) -> None:
        """So many more runs used a content; `use` is the last of theirs."""
        known = self.of_content(txn, place, use.content)
        changed = replace(known, runs=known.runs + runs)
        if use.sequence >= known.last_sequence:
            changed = replace(changed, last_run=use.run, last_sequence=use.sequence)
        txn.put(_content_key(place, use.content), _encode(changed), db=self._state.contents)

    def note_maker(self, txn: Any, place: Place, content: Seen, run: RunId) -> None:
        """A run made a content."""
        changed = replace(self.of_content(txn, place, content), made_by=run)
        txn.put(_content_key(place, content), _encode(changed), db=self._state.contents)

    # --- warnings

    def put_warning(self, txn: Any, warning: ChangeWarning) -> None:
        """A warning that holds until somebody acknowledges it; a change is told once, whoever met it."""
        if changes.is_ended(self.acknowledged(txn, warning.place), warning):
            return
        if any(changes.is_same(one, warning) for one in self.warnings_of(txn, warning.place)):
            return
        key = self._warnings_key(warning.place) + _micros(warning.time) + _warning_digest(warning)
        txn.put(key, _encode(warning), db=self._state.warnings)

    def warnings_of(self, txn: Any, place: Place) -> list[ChangeWarning]:
        """The warnings of one path, oldest first."""
        found = self._warnings(txn, self._warnings_key(place))
        return [one for one in found if one.place.path == place.path]

    def warnings_below(self, txn: Any, store: StoreId, directory: Key) -> list[ChangeWarning]:
        """The warnings of all paths at or below a directory, by path."""
        prefix = f"{directory}/" if directory else ""
        found = self._warnings(txn, self._warning_prefix(store, Key(prefix)))
        return [one for one in found if one.place.path.startswith(prefix)]

    def all_warnings(self, txn: Any) -> list[ChangeWarning]:
        """Every warning of the project."""
        return list(self._warnings(txn, self._project))

    def _warnings(self, txn: Any, prefix: bytes) -> Iterator[ChangeWarning]:
        with txn.cursor(db=self._state.warnings) as cursor:
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                warning = _warning(cursor.value())
                if warning is not None:
                    yield warning
                more = cursor.next()

    def acknowledge(self, txn: Any, ack: Acknowledgement) -> int:
        """Take in that somebody accepted a change; gives how many warnings that ends."""
        known = changes.merged(self.acknowledged(txn, ack.place), ack)
        txn.put(self._path_key(ack.place), _encode(known), db=self._state.acks)
        prefix = self._warnings_key(ack.place)
        ended = []
        with txn.cursor(db=self._state.warnings) as cursor:
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                one = _warning(cursor.value())
                if one is None or (one.place.path == ack.place.path and changes.is_ended(ack, one)):
                    ended.append(bytes(cursor.key()))
                more = cursor.next()
        for key in ended:
            txn.delete(key, db=self._state.warnings)
        return len(ended)

    def acknowledged(self, txn: Any, place: Place) -> Acknowledgement | None:
        """The newest acknowledgement of a path."""
        return _ack(txn.get(self._path_key(place), db=self._state.acks))

    # --- what was taken in, and what is to be sent

    def mark(self, txn: Any, word: str, name: str, value: bytes = b"") -> None:
        """Remember something by a word and a name."""
        txn.put(self._mark_key(word, name), value, db=self._state.ledger)

    def unmark(self, txn: Any, word: str, name: str) -> None:
        """Forget it."""
        txn.delete(self._mark_key(word, name), db=self._state.ledger)

    def marked(self, txn: Any, word: str) -> list[tuple[str, bytes]]:
        """All names remembered by a word, with their values, in order."""
        prefix = self._mark_key(word, "")
        found = []
        with txn.cursor(db=self._state.ledger) as cursor:
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                found.append((cursor.key()[len(prefix) :].decode(), bytes(cursor.value())))
                more = cursor.next()
        return found

    def names_marked(self, txn: Any, word: str) -> list[str]:
        """All names remembered by a word, in order; their values may be large."""
        prefix = self._mark_key(word, "")
        found = []
        with txn.cursor(db=self._state.ledger) as cursor:
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                found.append(cursor.key()[len(prefix) :].decode())
                more = cursor.next()
        return found

    def value_of(self, txn: Any, word: str, name: str) -> bytes | None:
        """The value remembered by a word and a name."""
        value = txn.get(self._mark_key(word, name), db=self._state.ledger)
        return bytes(value) if value is not None else None

    def is_marked(self, txn: Any, word: str, name: str) -> bool:
        """Whether a name is remembered."""
        return txn.get(self._mark_key(word, name), db=self._state.ledger) is not None

    def put_manifest(self, txn: Any, run: RunId, data: bytes) -> None:
        """Keep a manifest here."""
        txn.put(run.encode(), zlib.compress(data), db=self._state.manifests)

    def manifest(self, txn: Any, run: RunId) -> bytes | None:
        """A manifest that is kept here."""
        value = txn.get(run.encode(), db=self._state.manifests)
        return zlib.decompress(value) if value is not None else None

    # --- keys

    def _path_key(self, place: Place) -> bytes:
        digest = hashlib.blake2b(self._project, digest_size=16)
        digest.update(f"\0{place.store}\0{place.path}".encode("utf-8", "surrogateescape"))
        return digest.digest()

    def _warning_prefix(self, store: StoreId, path: Key) -> bytes:
        return (
            self._project + store.encode() + path.encode("utf-8", "surrogateescape")[:_PATH_BYTES]
        )

    def _warnings_key(self, place: Place) -> bytes:
        """How the keys of one path's warnings begin; where paths are very long, those of others do too."""
        return self._warning_prefix(place.store, place.path) + b"\0"

    def _mark_key(self, word: str, name: str) -> bytes:
        return self._project + f"{word}\0{name}".encode()


def _content_key(place: Place, content: Seen) -> bytes:
    return print_key(place.store, place.path, content.token)


def _warning_digest(warning: ChangeWarning) -> bytes:
    text = f"{warning.run}\0{warning.kind.value}\0{warning.place.path}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest()


def _with_hashes(use: Earlier, known: Earlier | None) -> Earlier:
    """What was learnt of the same content before is not forgotten."""
    if known is None or use.content.hashes is not None or known.content.token != use.content.token:
        return use
    return replace(use, content=replace(use.content, hashes=known.content.hashes))


def _micros(time: datetime) -> bytes:
    return max(0, (time - _EPOCH) // _MICRO).to_bytes(8, "big")
