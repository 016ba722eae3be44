"""What a history says about how its versions came to stand where they stand. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from vstorefs.model import Mark
from vstorefs.versions.order import Place, PlaceKind
from vstorefs.versions.records import Body, RecordKind, Summary


def marks_of(places: Sequence[Place], bodies: Sequence[Body | None]) -> list[tuple[Mark, ...]]:
    """The marks of each place of a history, in its order.

    `bodies` are those of the places' records, None where one is not known; then its base is not
    known either, and nothing is said about it.
    """
    races = Counter(
        one.record.sequence for one in places if _is_ours(one) and one.record is not None
    )
    found: list[tuple[Mark, ...]] = []
    before: str | None = None
    for index, place in enumerate(places):
        marks: list[Mark] = []
        body, record = bodies[index], place.record
        if _is_ours(place) and record is not None:
            if races[record.sequence] > 1:
                marks.append(Mark.RACE)
            if record.kind is RecordKind.CONTENT:
                if body is not None and body.base != before:
                    marks.append(Mark.OLDER_HEAD)
                if _deleted_meanwhile(places[index + 1 :], bodies[index + 1 :], record):
                    marks.append(Mark.DELETED_WHILE_WRITTEN)
        if not place.is_late:
            before = None if place.is_deletion else place.id
        found.append(tuple(marks))
    return found


def _is_ours(place: Place) -> bool:
    return place.kind is PlaceKind.RECORD and not place.is_late


def _deleted_meanwhile(
    later: Sequence[Place], bodies: Sequence[Body | None], record: Summary
) -> bool:
    """Whether the next thing that happened is a deletion that did not know of this content."""
    for place, body in zip(later, bodies, strict=True):
        if place.is_late:
            continue
        return place.is_deletion and _is_ours(place) and body is not None and body.base != record.id
    return False
