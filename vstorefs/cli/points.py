"""Points of a history on the command line: a version's id, a time, `run:ID` or `now`."""

from __future__ import annotations

from pathlib import Path

from vstorefs import errors
from vstorefs.cli.at import moment_of
from vstorefs.ledger.opening import Chosen
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.points import NOW, Point

HELP = "a version's id, a time such as 2026-11-01T09:00Z or 'yesterday 14:00', run:ID, or now"


def point(text: str, record: MountRecord) -> Point:
    """A point as a mount takes it; what is no time may be a version's id. Raises: NotFound for an unknown run."""
    try:
        return moment(text, record)
    except errors.UsageError:
        if " " in text:
            raise
    return Point(text)


def moment(text: str, record: MountRecord) -> Point:
    """A time, `run:ID` or `now`. Raises: UsageError for what is none, NotFound for an unknown run."""
    if text == NOW.text:
        return NOW
    found = moment_of(text, lambda: Chosen(record.project, record, Path(record.state_dir)))
    return Point(text, found)
