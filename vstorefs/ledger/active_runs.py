"""Active runs: what they have used, made and been warned of so far, in the LMDB `state`.

A note is on disk before the next batch is taken, so that a run whose machine dies can be closed with all but its last
moment. Entries of one run have keys `<run id><kind><digest>`: the run itself `=`, inputs `i`, outputs `o`, warnings
`w`, paths that it removed itself `x`, and questions `?`: inputs whose content may have changed and whose hashes are
awaited. Every method works in the transaction of its caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from vstorefs.ledger import changes
from vstorefs.ledger.changes import Difference
from vstorefs.ledger.manifest import (
    Acknowledgement,
    ChangeWarning,
    Earlier,
    Input,
    Manifest,
    Output,
    Place,
    Run,
    Seen,
    WarningKind,
)
from vstorefs.ledger.stored import reader
from vstorefs.model import Key, RunId, SessionId, StoreId
from vstorefs.state.env import State

_FEW = 10
_RUN, _INPUT, _OUTPUT, _WARNING, _QUESTION, _REMOVED = b"=", b"i", b"o", b"w", b"?", b"x"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveRun:
    """A run that goes on, and the session that it belongs to."""

    run: Run
    session: SessionId
    stores: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Whether an input differs from what it is compared with, to be answered when its hashes are known."""

    place: Place
    kind: WarningKind
    before: Earlier
    now: Seen
    difference: Difference


_encode = msgspec.msgpack.Encoder().encode
_active = reader(ActiveRun)
_input = msgspec.msgpack.Decoder(Input).decode
_output = msgspec.msgpack.Decoder(Output).decode
_warning = msgspec.msgpack.Decoder(ChangeWarning).decode
_question = msgspec.msgpack.Decoder(Question).decode


class ActiveRuns:
    """The active runs of all projects of a state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def begin(self, txn: Any, active: ActiveRun) -> None:
        """A run has begun."""
        self._put(txn, active.run.id, _RUN, b"", active)

    def get(self, txn: Any, run: RunId) -> ActiveRun | None:
        """A run that goes on."""
        return _active(txn.get(run.encode() + _RUN, db=self._state.open_runs))

    def all(self, txn: Any) -> list[ActiveRun]:
        """All of them."""
        found = []
        with txn.cursor(db=self._state.open_runs) as cursor:
            more = cursor.first()
            while more:
                active = _active(cursor.value())
                if active is not None:
                    found.append(active)
                # Behind everything of this run; ids have one length.
                run = bytes(cursor.key()).removesuffix(_RUN)
                more = cursor.set_range(run + b"\xff")
        return found

    def add_input(self, txn: Any, run: RunId, note: Input) -> bool:
        """Add what was used; True if this run had not used that content before."""
        digest = _digest(note.place, note.content.token)
        value = txn.get(run.encode() + _INPUT + digest, db=self._state.open_runs)
        known = _input(value) if value is not None else None
        merged = note
        if known is not None:
            merged = replace(
                known,
                last_used=max(known.last_used, note.last_used),
                opens=known.opens + note.opens,
                read_bytes=max(known.read_bytes, note.read_bytes),
                inherited=known.inherited or note.inherited,
                pinned=known.pinned and note.pinned,
            )
        self._put(txn, run, _INPUT, digest, merged)
        return known is None

    def add_output(self, txn: Any, run: RunId, output: Output) -> None:
        """Add what was made, in place of what this run had made of that path before, or had removed."""
        self._put(txn, run, _OUTPUT, _digest(output.place), output)
        txn.delete(run.encode() + _REMOVED + _digest(output.place), db=self._state.open_runs)

    def remove(self, txn: Any, run: RunId, place: Place) -> None:
        """A run has removed a path, and what it had made of it."""
        txn.delete(run.encode() + _OUTPUT + _digest(place), db=self._state.open_runs)
        self._put(txn, run, _REMOVED, _digest(place), None)

    def has_removed(self, txn: Any, run: RunId, place: Place) -> bool:
        """Whether a run has removed a path itself."""
        key = run.encode() + _REMOVED + _digest(place)
        return txn.get(key, db=self._state.open_runs) is not None

    def outputs_below(self, txn: Any, run: RunId, store: StoreId, directory: Key) -> list[Output]:
        """What a run has made below a directory."""
        return [
            one
            for one in map(_output, self._values(txn, run, _OUTPUT))
            if one.place.store == store and one.place.path.startswith(f"{directory}/")
        ]

    def add_warning(
        self, txn: Any, run: RunId, warning: ChangeWarning, acknowledged: Acknowledgement | None
    ) -> bool:
        """Warn of a path once in a run, and once more after each acknowledgement; False if that was done."""
        kind = warning.kind.value
        value = txn.get(
            run.encode() + _WARNING + _digest(warning.place, kind), db=self._state.open_runs
        )
        if value is not None:
            before = _warning(value)
            if not changes.is_ended(acknowledged, before):
                return False
            self._put(txn, run, _WARNING, _digest(warning.place, f"{kind} {before.time}"), before)
        self._put(txn, run, _WARNING, _digest(warning.place, kind), warning)
        return True

    def ask(self, txn: Any, run: RunId, question: Question) -> None:
        """Remember a question about an input."""
        digest = _digest(question.place, question.now.token)
        self._put(txn, run, _QUESTION, digest, question)

    def answer(self, txn: Any, run: RunId, place: Place, token: str) -> Question | None:
        """Take a question back, if there is one about that content."""
        key = run.encode() + _QUESTION + _digest(place, token)
        value = txn.pop(key, db=self._state.open_runs)
        return _question(value) if value is not None else None

    def is_asked(self, txn: Any, run: RunId, place: Place, token: str) -> bool:
        """Whether there is a question about that content."""
        key = run.encode() + _QUESTION + _digest(place, token)
        return txn.get(key, db=self._state.open_runs) is not None

    def questions(self, txn: Any, run: RunId) -> list[Question]:
        """All questions of a run."""
        return [_question(value) for value in self._values(txn, run, _QUESTION)]

    def manifest(self, txn: Any, active: ActiveRun) -> Manifest:
        """What is known of a run by now."""
        run = active.run.id
        inputs = tuple(
            sorted(
                map(_input, self._values(txn, run, _INPUT)),
                key=lambda one: (one.first_used, one.place.shown),
            )
        )
        outputs = tuple(
            sorted(
                map(_output, self._values(txn, run, _OUTPUT)),
                key=lambda one: (one.made, one.place.shown),
            )
        )
        warnings = tuple(
            sorted(map(_warning, self._values(txn, run, _WARNING)), key=lambda one: one.time)
        )
        counted = replace(
            active.run,
            inputs=len(inputs),
            outputs=len(outputs),
            warnings=len(warnings),
            warning_texts=tuple(changes.line(one) for one in warnings[:_FEW]),
        )
        return Manifest(
            run=counted, inputs=inputs, outputs=outputs, warnings=warnings, stores=active.stores
        )

    def end(self, txn: Any, run: RunId) -> None:
        """Forget a run."""
        prefix = run.encode()
        with txn.cursor(db=self._state.open_runs) as cursor:
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                more = cursor.delete()

    def _values(self, txn: Any, run: RunId, kind: bytes) -> Iterator[bytes]:
        prefix = run.encode() + kind
        with txn.cursor(db=self._state.open_runs) as cursor:
            more = cursor.set_range(prefix)
            while more and cursor.key().startswith(prefix):
                yield cursor.value()
                more = cursor.next()

    def _put(self, txn: Any, run: RunId, kind: bytes, digest: bytes, value: object) -> None:
        txn.put(run.encode() + kind + digest, _encode(value), db=self._state.open_runs)


def _digest(place: Place, more: str = "") -> bytes:
    text = f"{place.store}\0{place.path}\0{more}"
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=16).digest()
