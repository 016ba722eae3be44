"""Which versions of a file a purge removes. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from vstorefs import errors
from vstorefs.model import Mark, Version, VersionKind
from vstorefs.versions.history.names import label

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}
_AGE = re.compile(r"([1-9][0-9]*)([smhdw])")
_SHORTEST_ID = 4


class Rule(Enum):
    """How versions are chosen; values are what a user types before the colon."""

    ALL = "all"
    KEEP = "keep"
    OLDER = "older-than"
    NAMED = "id"


@dataclass(frozen=True, slots=True)
class Selection:
    """Versions of each path: all, all but the newest `keep`, those superseded for `older_ns`, or those named."""

    rule: Rule = Rule.ALL
    keep: int = 0
    older_ns: int = 0
    ids: tuple[str, ...] = ()


def parse(words: Sequence[str]) -> Selection:
    """What `--versions` says. Raises: UsageError."""
    if not words:
        return Selection()
    rule, _, value = words[0].partition(":")
    # Some stores' ids have colons too.
    if rule not in {Rule.KEEP.value, Rule.OLDER.value}:
        return Selection(Rule.NAMED, ids=tuple(_id(word) for word in words))
    if len(words) > 1:
        raise errors.UsageError(
            f"{words[0]} cannot be combined with other versions; purge them separately"
        )
    if rule == Rule.KEEP.value and value.isdecimal() and int(value) > 0:
        return Selection(Rule.KEEP, keep=int(value))
    age = _AGE.fullmatch(value)
    if rule == Rule.OLDER.value and age is not None:
        seconds = int(age[1]) * _UNITS_S[age[2]]
        return Selection(Rule.OLDER, older_ns=seconds * 1_000_000_000)
    raise errors.UsageError(
        f"{words[0]} names no versions; give keep:5, older-than:90d (s, m, h, d, w), or ids as "
        "vstorefs log shows them"
    )


def _id(word: str) -> str:
    if len(word) < _SHORTEST_ID:
        raise errors.UsageError(
            f"{word} is too short for an id; give at least {_SHORTEST_ID} characters"
        )
    return word


def chosen(history: Sequence[Version], selection: Selection, now_ns: int) -> tuple[Version, ...]:
    """The versions of one path to remove, oldest first; what an earlier purge has begun among them.

    `history` is whole, oldest first. Only what has bytes is chosen; the head only by id or with all.
    """
    there = [one for one in history if has_bytes(one)]
    match selection.rule:
        case Rule.ALL:
            wanted = there
        case Rule.KEEP:
            wanted = [one for one in there[: -selection.keep] if not one.is_head]
        case Rule.OLDER:
            wanted = _superseded(history, now_ns - selection.older_ns)
        case _:
            wanted = [one for one in there if any(is_named(one, word) for word in selection.ids)]
    ids = {one.id for one in wanted}
    return tuple(one for one in there if one.id in ids or Mark.PURGING in one.marks)


def has_bytes(version: Version) -> bool:
    """Whether there is anything of a version that could be removed."""
    gone = {Mark.PURGED, Mark.REPLACED_OUTSIDE}
    return version.kind is VersionKind.CONTENT and not gone & set(version.marks)


def is_named(version: Version, word: str) -> bool:
    """Whether a word is a version's id as people are shown it, or how it begins."""
    return version.id.startswith(word) or label(version.id).startswith(word)


def _superseded(history: Sequence[Version], before_ns: int) -> list[Version]:
    """Versions that were no longer in force at a moment. What came late never was."""
    found = []
    for at, version in enumerate(history):
        if version.is_head or not has_bytes(version):
            continue
        later = (one.time_ns for one in history[at + 1 :] if Mark.LATE not in one.marks)
        ended = version.time_ns if Mark.LATE in version.marks else next(later, None)
        if ended is not None and ended < before_ns:
            found.append(version)
    return found
