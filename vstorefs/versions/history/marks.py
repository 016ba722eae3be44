"""What a history says about how its versions came to stand where they stand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vstorefs.model import Mark
from vstorefs.versions.order import Position, PositionKind
from vstorefs.versions.records import Body, RecordKind, Summary


def marks_of(
    positions: Sequence[Position], bodies: Sequence[Body | None]
) -> list[tuple[Mark, ...]]:
    """The marks of each place of a history, in its order.

    `bodies` are those of the positions' records, None where one is not known; then its base is not
    known either, and nothing is said about it.
    """
    races = Counter(
        one.record.sequence for one in positions if _is_ours(one) and one.record is not None
    )
    found: list[tuple[Mark, ...]] = []
    before: str | None = None
    for index, position in enumerate(positions):
        marks: list[Mark] = []
        body, record = bodies[index], position.record
        if _is_ours(position) and record is not None:
            if races[record.sequence] > 1:
                marks.append(Mark.RACE)
            if record.kind is RecordKind.CONTENT:
                if body is not None and body.base != before:
                    marks.append(Mark.OLDER_HEAD)
                if _deleted_meanwhile(positions[index + 1 :], bodies[index + 1 :], record):
                    marks.append(Mark.DELETED_WHILE_WRITTEN)
        if not position.is_late:
            before = None if position.is_deletion else position.id
        found.append(tuple(marks))
    return found


def _is_ours(position: Position) -> bool:
    return position.kind is PositionKind.RECORD and not position.is_late


def _deleted_meanwhile(
    later: Sequence[Position], bodies: Sequence[Body | None], record: Summary
) -> bool:
    """Whether the next thing that happened is a deletion that did not know of this content."""
    for position, body in zip(later, bodies, strict=True):
        if position.is_late:
            continue
        return (
            position.is_deletion
            and _is_ours(position)
            and body is not None
            and body.base != record.id
        )
    return False
