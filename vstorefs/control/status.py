"""Asking a mount what it is doing, and to bring what it has to its stores."""

from __future__ import annotations

import msgspec

from vstorefs import units
from vstorefs.control.protocol import Request


class StoreStatus(msgspec.Struct, frozen=True):
    """One store: `state` is `ok`, `read-only` or `down`, `why` empty for `ok`."""

    alias: str
    url: str
    id: str
    state: str
    why: str
    layout: str


class CacheStatus(msgspec.Struct, frozen=True):
    """The cache that the mount uses, and others too; `file_bytes` is 0 where its file was removed."""

    dir: str
    limit_bytes: int
    used_bytes: int
    file_bytes: int
    chunks: int


class TransferStatus(msgspec.Struct, frozen=True):
    """What moves now, and how much has."""

    downloads: int
    uploads: int
    downloaded_bytes: int


class ChangeStatus(msgspec.Struct, frozen=True):
    """A change that no store has; `number` is its place in the journal, `error` what the last attempt met."""

    number: int
    path: str
    operation: str
    attempts: int
    error: str | None
    size: int
    waiting_s: float


class Marked(msgspec.Struct, frozen=True):
    """A version of this mount that was published with marks."""

    path: str
    marks: tuple[str, ...]


class Unshown(msgspec.Struct, frozen=True):
    """A name that no directory can show."""

    name: str
    why: str


class LedgerStatus(msgspec.Struct, frozen=True):
    """The mount's own run; how many records wait to be sent, and why; hosts whose clocks are off."""

    run: str
    waiting: int
    why: str
    skewed: tuple[str, ...]


class MountStatus(msgspec.Struct, frozen=True):
    """All that `vstorefs status` shows; `at` is the moment of a mount of the past.

    `held_back`: closed files with temporary names, which wait some seconds for their rename. `set_aside`: changes that
    could not be uploaded, and are not tried any more.
    """

    mount_point: str
    pid: int
    stores: tuple[StoreStatus, ...]
    cache: CacheStatus
    transfers: TransferStatus
    pending: tuple[ChangeStatus, ...]
    set_aside: tuple[ChangeStatus, ...]
    held_back: int
    marked: tuple[Marked, ...]
    unshown: tuple[Unshown, ...]
    read_only: bool
    ledger: LedgerStatus
    at: str | None


class ShowStatus(Request[MountStatus], frozen=True, tag="status"):
    """What is the mount doing?"""


class Drained(msgspec.Struct, frozen=True):
    """How many changes waited when it was asked; `pending` are those that wait still, `set_aside` was given up on."""

    flushed: int
    pending: tuple[ChangeStatus, ...] = ()
    set_aside: tuple[ChangeStatus, ...] = ()

    @property
    def left(self) -> str:
        """What waits still, in words; empty where nothing does."""
        return (
            f"{units.count(len(self.pending), 'change')} not uploaded yet" if self.pending else ""
        )

    @property
    def aside(self) -> str:
        """What was set aside, in words; empty where nothing was."""
        return aside_text(len(self.set_aside)) if self.set_aside else ""


def aside_text(count: int) -> str:
    """What people are told where changes were set aside, and what to type."""
    return (
        f"{units.count(count, 'change')} could not be uploaded and {'was' if count == 1 else 'were'} set aside; "
        "type: vstorefs journal"
    )


class Drain(Request[Drained], frozen=True, tag="drain"):
    """Bring everything to its store; answered when that is done, or `seconds` later.

    `ends`: the mount is unmounted then, and is to have ended altogether after `seconds`.
    """

    seconds: float = 600.0
    ends: bool = False
