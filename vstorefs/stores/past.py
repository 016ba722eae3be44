"""What a history says of a moment. Pure."""

from __future__ import annotations

from vstorefs.model import Entry, EntryKind, Mark, Version, VersionKind


def version_at(history: tuple[Version, ...], moment_ns: int) -> Version | None:
    """The version that was in force at a moment; None where there was none, or its content is gone."""
    in_force = None
    for version in history:
        if Mark.LATE not in version.marks and version.time_ns <= moment_ns:
            in_force = version
    if in_force is None or in_force.kind is VersionKind.TOMBSTONE or not in_force.token:
        return None
    return in_force


def as_entry(version: Version) -> Entry:
    """A version of a file as a listing would show it."""
    return Entry(
        version.key,
        EntryKind.FILE,
        version.size,
        version.mtime_ns or version.time_ns,
        version.token,
        version.strong,
        version.id,
        version.mode,
    )
