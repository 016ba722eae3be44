"""What is asked of a mount about runs and inputs. Paths are relative to the mount point."""

from __future__ import annotations

import msgspec

from vstorefs.control.protocol import Request
from vstorefs.ledger.manifest import ChangeWarning, Run


class RunBegun(msgspec.Struct, frozen=True):
    """The new run's id."""

    run: str


class BeginRun(Request[RunBegun], frozen=True, kw_only=True, tag="run-begin"):
    """A process and its children are a run from now on.

    `start` is the process's start time; `inherited` are inode numbers of files that it has open for reading.
    """

    name: str
    command: tuple[str, ...]
    folder: str
    commit: str | None
    pid: int
    start: int
    inherited: tuple[int, ...]


class Exchanged(msgspec.Struct, frozen=True):
    """How many records wait to be sent to the default store, and why; empty where nothing is in the way."""

    waiting: int
    why: str


class RunEnded(msgspec.Struct, frozen=True):
    """The run as it is recorded, and its warnings in words; `waiting` and `why` as in Exchanged."""

    run: Run
    warnings: tuple[str, ...]
    waiting: int
    why: str


class EndRun(Request[RunEnded], frozen=True, tag="run-end"):
    """A run has ended."""

    run: str
    exit_status: int


class Exchange(Request[Exchanged], frozen=True, tag="exchange"):
    """Send what waits, take in what other hosts wrote."""


class Accepted(msgspec.Struct, frozen=True):
    """How many paths were accepted and warnings ended; `waiting` and `why` as in Exchanged."""

    paths: int
    ended: int
    waiting: int
    why: str


class AcceptChange(Request[Accepted], frozen=True, tag="accept"):
    """What a path has now is what it should have."""

    path: str
    why: str
    user: str


class InputsChecked(msgspec.Struct, frozen=True):
    """What is not what it was."""

    warnings: tuple[ChangeWarning, ...]


class CheckInputs(Request[InputsChecked], frozen=True, tag="check"):
    """What of a run's inputs, or of those at or below paths, is not what it was?"""

    run: str
    paths: tuple[str, ...] = ()
