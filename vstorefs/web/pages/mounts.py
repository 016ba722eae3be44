"""What is mounted on this host, what is moving, and what is pending."""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs import errors
from vstorefs.control import client
from vstorefs.control.status import ChangeStatus, MountStatus, ShowStatus
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord

_ASK_S = 5.0
_SHOWN = 100


@dataclass(frozen=True, slots=True)
class MountRow:
    """One mount: what it says of itself, or why it says nothing."""

    record: MountRecord
    status: MountStatus | None
    problem: str

    @property
    def pending(self) -> tuple[ChangeStatus, ...]:
        """The first pending changes."""
        return self.status.pending[:_SHOWN] if self.status is not None else ()


def show() -> list[MountRow]:
    """Every mount of this user, those too whose process has died."""
    living = [_row(record) for record in mounts.living()]
    return living + [MountRow(record, None, record.why_dead) for record in mounts.dead()]


def _row(record: MountRecord) -> MountRow:
    try:
        return MountRow(record, client.ask(record, ShowStatus(), timeout_s=_ASK_S), "")
    except errors.VstorefsError as error:
        return MountRow(record, None, str(error))
