"""What history costs: files, versions and bytes, per directory or file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from vstorefs.model import Key, Version
from vstorefs.versions.history.points import head_of, is_kept
from vstorefs.versions.history.selection import Selection, chosen


@dataclass(slots=True)
class Cost:
    """What is at or below one path. `deleted` of its `files` have no head; `freed` is what each purge would free."""

    files: int = 0
    deleted: int = 0
    versions: int = 0
    head_bytes: int = 0
    history_bytes: int = 0
    freed: list[int] = field(default_factory=list)

    def count(self, history: Sequence[Version], freed: Sequence[int]) -> None:
        """Count one path's history in."""
        head = head_of(history)
        self.files += 1
        self.deleted += head is None
        self.versions += len(history)
        self.head_bytes += head.size if head is not None else 0
        self.history_bytes += sum(one.size for one in history if is_kept(one) and one is not head)
        self.freed = [one + more for one, more in zip(self.freed, freed, strict=True)]


def costs(
    histories: Iterable[tuple[Key, tuple[Version, ...]]],
    path: Key,
    depth: int,
    purges: Sequence[Selection],
    now_ns: int,
) -> list[tuple[str, Cost]]:
    """What everything at or below `path` costs, in parts down to `depth` levels; sorted, the whole last.

    The paths are relative to `path`; the whole has the empty one. Every part says what each of `purges` would free.
    """
    found: dict[str, Cost] = {}

    def part(below: str) -> Cost:
        return found.setdefault(below, Cost(freed=[0] * len(purges)))

    for key, history in histories:
        freed = [sum(one.size for one in chosen(history, purge, now_ns)) for purge in purges]
        parts = key[len(path) :].lstrip("/").split("/")
        part("").count(history, freed)
        for level in range(1, min(depth, len(parts)) + 1):
            if parts[0]:
                part("/".join(parts[:level])).count(history, freed)
    whole = part("")
    del found[""]
    return [*sorted(found.items()), ("", whole)]
