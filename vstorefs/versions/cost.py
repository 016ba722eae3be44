"""What history costs: files, versions and bytes, per directory or file. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vstorefs.model import Key, Version
from vstorefs.versions.points import head_of, is_kept


@dataclass(slots=True)
class Cost:
    """What is at or below one path. `deleted` of its `files` have no head."""

    files: int = 0
    deleted: int = 0
    versions: int = 0
    head_bytes: int = 0
    history_bytes: int = 0

    def count(self, history: Sequence[Version]) -> None:
        """Count one path's history in."""
        head = head_of(history)
        self.files += 1
        self.deleted += head is None
        self.versions += len(history)
        self.head_bytes += head.size if head is not None else 0
        self.history_bytes += sum(one.size for one in history if is_kept(one) and one is not head)


def costs(
    histories: Iterable[tuple[Key, tuple[Version, ...]]], path: Key, depth: int
) -> list[tuple[str, Cost]]:
    """What everything at or below `path` costs, in parts down to `depth` levels; sorted, the whole last.

    The paths are relative to `path`; the whole has the empty one.
    """
    found: dict[str, Cost] = {"": Cost()}
    for key, history in histories:
        parts = key[len(path) :].lstrip("/").split("/")
        for level in range(min(depth, len(parts)) + 1):
            below = "/".join(parts[:level])
            if below or level == 0:
                found.setdefault(below, Cost()).count(history)
    whole = found.pop("")
    return [*sorted(found.items()), ("", whole)]
