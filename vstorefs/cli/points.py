"""Points of a history on the command line: a version's id, a time, `run:ID` or `now`."""

from __future__ import annotations

from typing import Any

from vstorefs import errors
from vstorefs.cli.at import moment_of
from vstorefs.versions.points import NOW

HELP = "a version's id, a time such as 2026-11-01T09:00Z or 'yesterday 14:00', run:ID, or now"
_RUN = "run:"


def point(text: str) -> dict[str, Any]:
    """A point as the mount takes it; what is no time may be a version's id."""
    moment_ns = None
    if text == NOW.text:
        moment_ns = NOW.moment_ns
    elif not text.startswith(_RUN):
        try:
            moment_ns = moment_of(text)
        except errors.UsageError:
            if " " in text:
                raise
    return {"text": text, "moment_ns": moment_ns}


def moment(text: str) -> dict[str, Any]:
    """A time, `run:ID` or `now`. Raises: UsageError for what is none."""
    if text == NOW.text or text.startswith(_RUN):
        return point(text)
    return {"text": text, "moment_ns": moment_of(text)}
