"""A file's history as people and as programs read it: HISTORY and history.json. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec

from vstorefs import units
from vstorefs.model import Mark, Version, VersionKind
from vstorefs.versions.history.names import label, version_names

_MARKS = {
    Mark.LATE: "conflict: uploaded late, never current",
    Mark.INTERRUPTED: "interrupted write",
    Mark.OLDER_HEAD: "conflict: based on an older version",
    Mark.REPLACED_OUTSIDE: "content lost: overwritten by another program",
    Mark.CHANGED_AFTER: "content modified after it was superseded",
    Mark.OUTSIDE: "written by another program",
    Mark.RACE: "conflict: written concurrently",
    Mark.DELETED_WHILE_WRITTEN: "conflict: deleted while being written",
    Mark.DAMAGED: "record damaged",
    Mark.FOREIGN: "record of another store",
    Mark.PURGED: "purged",
    Mark.PURGING: "purge unfinished",
}
"""Marks as people read them; programs get the values, which lie in stores too."""
_CURRENT = "current"
_HEADER = ("TIME (UTC)", "SIZE", "WHO", "SHA256", "ID", "USES", "RUN", "MARKS")


class VersionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One version, as history.json and commands tell of it. Times are ISO 8601, sizes bytes.

    `name` is that of its file in `.versions`; None where its content is kept nowhere.
    """

    id: str
    name: str | None
    kind: str
    time: str
    size: int
    mtime: str | None
    md5: str | None
    sha1: str | None
    sha256: str | None
    token: str | None
    base: str | None
    write_id: str | None
    run: str | None
    uses: int
    marks: tuple[str, ...]
    is_head: bool
    purged_by: str | None
    purged_at: str | None


def items(name: str, versions: Sequence[Version]) -> list[VersionItem]:
    """What history.json holds: one item per version, oldest first."""
    return [
        VersionItem(
            id=version.id,
            name=shown,
            kind=version.kind.value,
            time=iso(version.time_ns),
            size=version.size,
            mtime=iso(version.mtime_ns) if version.mtime_ns else None,
            md5=version.hashes.md5 if version.hashes else None,
            sha1=version.hashes.sha1 if version.hashes else None,
            sha256=version.hashes.sha256 if version.hashes else None,
            token=version.token or None,
            base=version.base,
            write_id=version.write_id,
            run=version.run,
            uses=version.uses,
            marks=tuple(mark.value for mark in version.marks),
            is_head=version.is_head,
            purged_by=version.purged.by if version.purged else None,
            purged_at=iso(version.purged.time_ns) if version.purged else None,
        )
        for version, shown in zip(versions, version_names(name, versions), strict=True)
    ]


def to_json(name: str, versions: Sequence[Version]) -> bytes:
    """The file history.json."""
    return json.dumps(msgspec.to_builtins(items(name, versions)), indent=2).encode() + b"\n"


def to_table(name: str, versions: Sequence[Version]) -> bytes:
    """The file HISTORY."""
    return table(items(name, versions)).encode()


def table(history: Sequence[VersionItem]) -> str:
    """A history as text, oldest first, one line a version."""
    rows = [_HEADER, *(_row(item) for item in history)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
    return "\n".join(lines) + "\n"


def marks_text(values: Iterable[str], *, is_head: bool = False) -> str:
    """Marks, given by their values, as people read them; that a version is what its path shows comes last."""
    words = [_MARKS[Mark(value)] for value in values]
    return ", ".join([*words, _CURRENT] if is_head else words)


def _row(item: VersionItem) -> tuple[str, ...]:
    deleted = item.kind == VersionKind.TOMBSTONE.value
    outside = Mark.OUTSIDE.value in item.marks or item.write_id is None
    told = [mark for mark in item.marks if mark != Mark.OUTSIDE.value]
    return (
        units.moment_of(item.time),
        "deleted" if deleted else str(item.size),
        "other program" if outside else "vstorefs",
        item.sha256[:12] if item.sha256 else "-",
        label(item.id),
        str(item.uses or "-"),
        (item.run or "-")[:12],
        marks_text(told, is_head=item.is_head),
    )


def iso(time_ns: int) -> str:
    """A time for programs, to the millisecond."""
    seconds, rest = divmod(time_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest // 1_000_000:03d}Z"
