"""What is asked about runs, what they used, and what changed since."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from vstorefs.ledger.ledger import Note
from vstorefs.ledger.manifest import ChangeWarning, Run, RunStatus
from vstorefs.model import Key, RunId, StoreId
from vstorefs.workers.messages.request import Noted, Request


class RunBegun(msgspec.Struct, frozen=True, tag=True):
    """Answer to BeginRun."""

    run: Run


class BeginRun(Request[RunBegun], frozen=True, tag=True):
    """A run begins; told again, it takes its place above what came in since. Answer: RunBegun."""

    definite: ClassVar[bool] = True
    run: Run


class Warned(msgspec.Struct, frozen=True, tag=True):
    """Answer to NoteUses, FindWarnings and CheckInputs."""

    warnings: tuple[ChangeWarning, ...]


class NoteUses(Request[Warned], frozen=True, tag=True):
    """What runs did with inputs. Answer: Warned."""

    definite: ClassVar[bool] = True
    notes: tuple[Note, ...]


class RunEnded(msgspec.Struct, frozen=True, tag=True):
    """Answer to EndRun; None where there was nothing to keep."""

    run: Run | None
    warnings: tuple[ChangeWarning, ...] = ()


class EndRun(Request[RunEnded], frozen=True, tag=True):
    """A run ends, and its manifest is made. Answer: RunEnded."""

    definite: ClassVar[bool] = True
    run: RunId
    status: RunStatus
    exit_status: int | None = None


class RunsClosed(msgspec.Struct, frozen=True, tag=True):
    """Answer to EndAbandoned."""

    runs: tuple[Run, ...]


class EndAbandoned(Request[RunsClosed], frozen=True, tag=True):
    """Close the runs of mounts that died. Answer: RunsClosed."""


class Checkpoint(Request[Noted], frozen=True, tag=True):
    """Let other hosts see how far a run is. `number` counts its checkpoints. Answer: Noted."""

    run: RunId
    number: int


class Exchanged(msgspec.Struct, frozen=True, tag=True):
    """Answer to ExchangeLedger.

    `waiting` objects are kept on this host only, with why in `why`. `skewed`: hosts with wrong clocks, and by how many
    seconds they are ahead of the store's.
    """

    runs: int = 0
    waiting: int = 0
    why: str = ""
    skewed: tuple[tuple[str, int], ...] = ()


class ExchangeLedger(Request[Exchanged], frozen=True, tag=True):
    """Send what waits, then take in what other hosts have written; `whole`: whatever its age. Answer: Exchanged."""

    whole: bool


class FindWarnings(Request[Warned], frozen=True, tag=True):
    """The warnings that hold of a path, or with `below` of all paths below it. Answer: Warned."""

    store: StoreId
    path: Key
    below: bool


class Compared(msgspec.Struct, frozen=True, tag=True):
    """So many inputs of a run have been compared, of how many."""

    done: int
    of: int


class CheckInputs(Request[Warned], frozen=True, tag=True):
    """Compare inputs of a run with what the stores have now. Progress: Compared. Answer: Warned.

    `paths`: only what is at or below these, where any are given, as pairs of store and path.
    """

    run: RunId
    paths: tuple[tuple[StoreId, Key], ...]


class Accepted(msgspec.Struct, frozen=True, tag=True):
    """Answer to Accept: how many paths were accepted, and how many warnings that ended."""

    paths: int
    ended: int


class Accept(Request[Accepted], frozen=True, tag=True):
    """Accept what a path has now, or what is warned of below it. Answer: Accepted."""

    definite: ClassVar[bool] = True
    store: StoreId
    path: Key
    why: str
    user: str
