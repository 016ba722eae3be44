"""What is mounted on this host, what is moving, and what is pending."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vstorefs import errors
from vstorefs.state import control, mounts
from vstorefs.state.mounts import MountRecord

_ASK_S = 5.0
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class MountRow:
    """One mount: what it says of itself, or why it says nothing."""

    record: MountRecord
    status: dict[str, Any]
    problem: str

    @property
    def pending(self) -> list[dict[str, Any]]:
        """The first changes that are on their way."""
        found: list[dict[str, Any]] = self.status["pending"]
        return found[:_SHOWN]


def show() -> list[MountRow]:
    """Every mount of this user that lives."""
    return [_row(record) for record in mounts.living()]


def _row(record: MountRecord) -> MountRow:
    try:
        answer = control.ask(record, {"op": "status"}, timeout_s=_ASK_S)
    except errors.VstorefsError as error:
        return MountRow(record, {}, str(error))
    return MountRow(record, answer, "" if answer["ok"] else str(answer["error"]))
