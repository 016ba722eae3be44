"""What a restore has to do: which version comes back to which path, and what stays. Pure.

Every step makes a new version on top of what is there; nothing is taken out of a history.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from vstorefs import errors
from vstorefs.model import Key, Mark, Version
from vstorefs.versions.history.points import (
    Point,
    Same,
    head_of,
    is_content,
    is_kept,
    resolve,
    version_of,
)

Histories = Iterable[tuple[Key, tuple[Version, ...]]]


class Action(Enum):
    """What is done to a path; values are shown to people."""

    CREATE = "created"
    OVERWRITE = "overwritten"
    SAME = "unchanged"
    REMOVE = "removed"
    LEFT = "left"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Step:
    """One path: `version` is what comes back, `head` what is there now.

    SAME has that content already; LEFT was not there then and stays; of LOST the store does not have
    the content any more.
    """

    action: Action
    target: Key
    version: Version | None = None
    head: Version | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to bring back: a version of a file by its id, what was there at a point, or the last other content."""

    version: str | None = None
    at: Point | None = None


def steps(
    histories: Histories,
    wanted: Wanted,
    path: Key,
    to: Key,
    heads: Mapping[Key, Version] | None,
    same: Same,
    *,
    delete: bool,
) -> Iterator[Step]:
    """What to do for each file at or below `path`, which comes back at or below `to`.

    `heads` are those at `to`; None where they are those of the histories, as `to` is `path`.
    Raises: NotFound for a version or a point that is none.
    """
    left = dict(heads or {})
    known = came = False
    for key, history in histories:
        known = True
        target = Key(f"{to}/{key[len(path) :].lstrip('/')}".strip("/"))
        head = head_of(history) if heads is None else heads.get(target)
        if key != path and wanted.at is None:
            raise errors.NotFound("is a directory; give a time with --at", key=path)
        found = _chosen(key, history, wanted, same)
        if found is not None:
            came = True
            left.pop(target, None)
            yield _step(target, found, head, same)
        elif heads is None and head is not None:
            left[target] = head
    if known and not came:
        raise errors.NotFound("did not exist then; `vstorefs log` lists the versions", key=path)
    for target, head in sorted(left.items()):
        yield Step(Action.REMOVE if delete else Action.LEFT, target, None, head)


def _step(target: Key, version: Version, head: Version | None, same: Same) -> Step:
    if head is not None and same(version, head):
        return Step(Action.SAME, target, version, head)
    if not is_kept(version):
        return Step(Action.LOST, target, version, head)
    return Step(Action.OVERWRITE if head is not None else Action.CREATE, target, version, head)


def _chosen(key: Key, history: tuple[Version, ...], wanted: Wanted, same: Same) -> Version | None:
    if wanted.version is not None:
        found: Version | None = version_of(key, history, wanted.version)
        if not is_content(found):
            raise errors.NotFound(
                f"version {wanted.version} is a deletion and has no content",
                key=key,
            )
        return found
    if wanted.at is not None:
        found = resolve(key, history, wanted.at)
        return found if is_content(found) else None
    return _last_other(key, history, same)


def _last_other(key: Key, history: tuple[Version, ...], same: Same) -> Version:
    """The newest content that is not the head's. Raises: NotFound."""
    head = head_of(history)
    for version in reversed(history):
        late = Mark.LATE in version.marks
        if is_kept(version) and not late and not (head and same(version, head)):
            return version
    raise errors.NotFound(
        "no other version to restore; `vstorefs log` lists the versions",
        key=key,
    )
