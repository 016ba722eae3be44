"""What differs between two points of one history, or of many. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from vstorefs.model import Key, Version
from vstorefs.versions.history.points import Point, Same, is_content, resolve


class Change(Enum):
    """What became of a path; values are shown to people."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One path that differs.

    `certain` is False where the sizes are equal and no hashes are known: then it may have changed.
    """

    key: Key
    change: Change
    before: Version | None
    after: Version | None
    certain: bool = True


def text_of(data: bytes) -> str | None:
    """A content as text that can be compared line by line; None for what is none."""
    if b"\0" in data:
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def differences(
    histories: Iterable[tuple[Key, tuple[Version, ...]]], one: Point, other: Point, same: Same
) -> Iterator[Difference]:
    """The paths that differ between two points. Raises: NotFound for a point that is none."""
    for key, history in histories:
        found = difference(key, resolve(key, history, one), resolve(key, history, other), same)
        if found is not None:
            yield found


def difference(
    key: Key, before: Version | None, after: Version | None, same: Same
) -> Difference | None:
    """What happened to a path between two of its versions; None where nothing did."""
    if is_content(before) and is_content(after):
        equal = same(before, after)
        return None if equal else Difference(key, Change.CHANGED, before, after, equal is not None)
    if is_content(after):
        return Difference(key, Change.ADDED, None, after)
    if is_content(before):
        return Difference(key, Change.REMOVED, before, None)
    return None
