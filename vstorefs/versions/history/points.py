"""A point in a file's history, as people name it: a version's id, a time, or `now`. Pure.

What is typed is first looked for among the ids of the file's versions, and only then taken as a
time: an id never changes its meaning, and no time looks like the first characters of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeGuard

from vstorefs import errors
from vstorefs.model import Key, Mark, Version, VersionKind
from vstorefs.versions.history.names import label
from vstorefs.versions.history.selection import has_bytes, is_named

LATEST_NS = (1 << 63) - 1
_SHORTEST_ID = 4


@dataclass(frozen=True, slots=True)
class Point:
    """What was typed, and the moment that it says; None where it says none."""

    text: str
    moment_ns: int | None = None


NOW = Point("now", LATEST_NS)


def resolve(key: Key, history: Sequence[Version], point: Point) -> Version | None:
    """The version (a tombstone, too) that a point names; None where there was none yet.

    Raises: NotFound where it names no version and is no time.
    """
    if point != NOW:
        found = _with_id(key, history, point.text)
        if found is not None:
            return found
    if point.moment_ns is None:
        raise errors.NotFound(
            f"{point.text} is neither the id of a version nor a time; `vstorefs log` lists the versions",
            key=key,
        )
    return in_force(history, point.moment_ns)


def version_of(key: Key, history: Sequence[Version], wanted: str) -> Version:
    """The version with an id (or a name in `.versions`, or the first characters of one). Raises: NotFound."""
    found = _with_id(key, history, wanted)
    if found is None:
        raise errors.NotFound(
            f"no version with an id that begins with {wanted}; `vstorefs log` lists the versions",
            key=key,
        )
    return found


def in_force(history: Sequence[Version], moment_ns: int) -> Version | None:
    """The version that a path showed at a moment: a content, a tombstone, or None before the first."""
    found = None
    for version in history:
        if Mark.LATE not in version.marks and version.time_ns <= moment_ns:
            found = version
    return found


def head_of(history: Sequence[Version]) -> Version | None:
    """The version whose content a path shows; None where it is deleted, by whom and however that was done."""
    head = next((one for one in reversed(history) if one.is_head), None)
    return head if is_content(head) else None


def is_content(version: Version | None) -> TypeGuard[Version]:
    """Whether a version is one that a path can show."""
    return version is not None and version.kind is VersionKind.CONTENT


def is_kept(version: Version) -> bool:
    """Whether the store has a version's content."""
    return bool(version.token) and has_bytes(version)


def same_content(one: Version, other: Version) -> bool | None:
    """Whether two versions have equal bytes; None where that is not known."""
    if one.size != other.size:
        return False
    if one.key == other.key and one.token and one.token == other.token:
        return True
    if one.hashes is not None and other.hashes is not None:
        return one.hashes.sha256 == other.hashes.sha256
    return True if one.size == 0 else None


Same = Callable[[Version, Version], bool | None]
"""Whether two versions have equal bytes; None where that cannot be found out."""


def _with_id(key: Key, history: Sequence[Version], wanted: str) -> Version | None:
    """Raises: NotFound where several versions fit."""
    # A name in `.versions` holds a label between its time and its suffix.
    named = wanted.rpartition("Z_")[2].partition(".")[0] if "Z_" in wanted else wanted
    if len(named) < _SHORTEST_ID:
        return None
    exact = [one for one in history if named in {one.id, label(one.id)}]
    found = exact or [one for one in history if is_named(one, named)]
    if len(found) > 1:
        raise errors.NotFound(
            f"{len(found)} versions have an id that begins with {wanted}; give more characters",
            key=key,
        )
    return found[0] if found else None
