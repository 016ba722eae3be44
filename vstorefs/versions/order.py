"""What a path's records and its plain key say together: the head, its attributes, the history.

A path has two registers, one for what is a file there and one for what is a directory. In each, the
record that comes last is in force; attributes come from the last record of any kind, content from
the last content or tombstone. Other tools write plain keys and know no records: where the last
record was made of another plain key than is there now, the plain key is newer.

The same for every reader, in whatever order records were read. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum

from vstorefs.model import Key, Token
from vstorefs.versions.records import (
    NO_PLAIN,
    Flag,
    RecordKind,
    Summary,
    plain_id,
    stamp_of,
)

_CONTENTS = (RecordKind.CONTENT, RecordKind.TOMBSTONE)
_OUTSIDE_GAP = 2


@dataclass(frozen=True, slots=True)
class Plain:
    """A plain key as a listing shows it. `etag` is the store's own name for its content."""

    path: Key
    etag: Token
    size: int
    modified_ns: int

    @property
    def stamp(self) -> str:
        """What records name it by."""
        return stamp_of(self.etag, self.size, self.modified_ns)

    @property
    def id(self) -> str:
        """The id of the version that it is."""
        return plain_id(self.path, self.stamp)


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What is in force at a path.

    `head` is a content record, a plain key, or None where nothing is. `attributes` is the record
    that tells its attributes, None where nothing does. `directory` is the last record of the other
    register. `last` is the last content or tombstone. `sequence` is what the next record takes.
    `superseded` records say nothing that others do not.
    """

    head: Summary | Plain | None
    attributes: Summary | None
    directory: Summary | None
    directory_attributes: Summary | None
    last: Summary | None
    sequence: int
    superseded: tuple[Summary, ...]

    @property
    def head_id(self) -> str | None:
        """The id of the head."""
        return self.head.id if self.head is not None else None


def reckon(
    records: Iterable[Summary], plain: Plain | None, purged: Collection[str] = ()
) -> Reckoning:
    """What a path's records in force and its plain key say.

    `purged`: stamps of plain keys that a purge has removed. That such a one is not there says nothing.
    """
    whole = sorted(_by_id(records).values(), key=lambda one: one.order)
    # What is late is never in force, wherever somebody may have put its record.
    of_file = [one for one in whole if not one.of_directory and Flag.LATE not in one.flags]
    of_directory = [one for one in whole if one.of_directory]
    last = _last(of_file, _CONTENTS)
    last_any = of_file[-1] if of_file else None
    stamp = plain.stamp if plain is not None else NO_PLAIN
    head: Summary | Plain | None
    purged_below = plain is None and last is not None and last.stamp in purged
    outside = last.stamp != stamp if last is not None and not purged_below else False
    if last is None or outside:
        head = plain
        told = last_any is not None and last_any.stamp == stamp and plain is not None
        attributes = last_any if told else None
    else:
        head = last if last.kind is RecordKind.CONTENT else None
        attributes = last_any
    directory = _last(of_directory, (RecordKind.DIRECTORY, RecordKind.TOMBSTONE))
    directory_attributes = of_directory[-1] if of_directory else None
    kept = {one.id for one in (last, last_any, directory, directory_attributes) if one is not None}
    highest = whole[-1].sequence if whole else 0
    return Reckoning(
        head,
        attributes if head is not None else None,
        directory,
        directory_attributes,
        last,
        highest + (_OUTSIDE_GAP if outside else 1),
        tuple(one for one in whole if one.id not in kept),
    )


def misses_plain(state: Reckoning, plain: Plain | None) -> bool:
    """Whether a file would be there if another tool had not removed a plain key, or a purge."""
    last = state.last
    return (
        plain is None
        and last is not None
        and last.kind is RecordKind.CONTENT
        and last.stamp != NO_PLAIN
    )


def purged_stamps(path: Key, notes: Iterable[Summary]) -> frozenset[str]:
    """The stamps of plain keys among what purges have left of a path's versions."""
    return frozenset(one.stamp for one in notes if one.id == plain_id(path, one.stamp))


def late_sequence(base: Summary | None, state: Reckoning) -> int:
    """The sequence of what is kept beside the head: right after its base, and never above the head."""
    wanted = base.sequence + 1 if base is not None else 1
    highest = state.last.sequence if state.last is not None else 1
    return min(wanted, highest)


class PositionKind(Enum):
    """What stands at one place of a history."""

    RECORD = "record"
    PLAIN = "plain"
    VANISHED = "vanished"
    DELETED_OUTSIDE = "deleted outside"


@dataclass(frozen=True, slots=True)
class Position:
    """One place of a history, oldest first.

    A record of content or a tombstone; the plain key; a plain key that another tool replaced, of which
    only its stamp and who saw it (`record`) are known; or a deletion by another tool, between `record`
    and what came before it (or after it, at the end).
    """

    kind: PositionKind
    id: str
    record: Summary | None = None
    plain: Plain | None = None
    is_head: bool = False

    @property
    def is_late(self) -> bool:
        """Whether it was kept beside the head."""
        return self.record is not None and Flag.LATE in self.record.flags

    @property
    def is_deletion(self) -> bool:
        """Whether nothing was there from then on."""
        if self.kind is PositionKind.RECORD:
            return self.record is not None and self.record.kind is RecordKind.TOMBSTONE
        return self.kind is PositionKind.DELETED_OUTSIDE


def timeline(
    path: Key,
    records: Collection[Summary],
    plain: Plain | None,
    purged: Collection[str] = (),
) -> tuple[Position, ...]:
    """The history of a path's file register, from all of its records. `purged` as in `reckon`."""
    of_file = sorted(
        (one for one in _by_id(records).values() if not one.of_directory),
        key=lambda one: one.order,
    )
    state = reckon(of_file, plain, purged)
    plain_is_head = plain is not None and state.head is plain
    positions: list[Position] = []
    seen: set[str] = set()
    before = NO_PLAIN
    for record in of_file:
        late = Flag.LATE in record.flags
        if record.kind is RecordKind.ATTRIBUTES and isinstance(state.head, Summary):
            # What another tool undid since leaves no trace below a head of ours.
            continue
        if not late and record.stamp != NO_PLAIN and record.stamp not in seen:
            seen.add(record.stamp)
            position = _plain_position(path, record, plain, plain_is_head=plain_is_head)
            if position is not None:
                positions.append(position)
        if record.kind not in _CONTENTS:
            continue
        if not late:
            if before not in {NO_PLAIN, *purged} and record.stamp == NO_PLAIN:
                positions.append(
                    Position(
                        PositionKind.DELETED_OUTSIDE, _deletion_id(path, record, before), record
                    )
                )
            before = record.stamp
        positions.append(
            Position(
                PositionKind.RECORD,
                record.id,
                record,
                is_head=state.head is not None and state.head == record,
            )
        )
    if plain is not None and (plain_is_head or plain.stamp not in seen):
        positions.append(Position(PositionKind.PLAIN, plain.id, plain=plain, is_head=plain_is_head))
    newest = next((one for one in reversed(positions) if not one.is_late), None)
    if state.head is None and newest is not None and not newest.is_deletion:
        assert newest.record is not None
        identity = _deletion_id(path, newest.record, newest.record.stamp)
        positions.append(Position(PositionKind.DELETED_OUTSIDE, identity, newest.record))
    return tuple(positions)


def _plain_position(
    path: Key, record: Summary, plain: Plain | None, *, plain_is_head: bool
) -> Position | None:
    """The plain key stands just before the lowest record that names it, unless it is the head."""
    if plain is None or plain.stamp != record.stamp:
        return Position(PositionKind.VANISHED, plain_id(path, record.stamp), record)
    if plain_is_head:
        return None
    return Position(PositionKind.PLAIN, plain.id, record, plain)


def _deletion_id(path: Key, record: Summary, stamp: str) -> str:
    return plain_id(path, f"deleted {stamp} {record.id}")


def _last(records: list[Summary], kinds: tuple[RecordKind, ...]) -> Summary | None:
    return next((one for one in reversed(records) if one.kind in kinds), None)


def _by_id(records: Iterable[Summary]) -> dict[str, Summary]:
    """One record per id: a request that was lost and sent again may have made two; the later one holds."""
    found: dict[str, Summary] = {}
    for record in records:
        present = found.get(record.id)
        if present is None or record.order > present.order:
            found[record.id] = record
    return found
