"""One ask under way, and what becomes of it when the worker that had it dies.

Everything that a dead worker had is asked again. What two workers have died of is refused, so that it does not take one
worker after the other with it; but others were there by chance, and it must be found out which one it was. Whoever was
with every worker that died is a suspect; where there are several, they are asked apart from all others and from each
other (`sort_out`), until one is left. A worker that was killed (kill -9, the kernel for want of memory, the front since
it hung) says less about what it did, and counts for less. A Fetch or Hash that got further than ever is innocent.
Records are no suspects, for their order must stand: they go to the next worker together, as long as there is a point in
it. A worker that died before it was heard had begun nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec
import trio

from vstorefs import units
from vstorefs.workers import messages

if TYPE_CHECKING:
    from vstorefs.mount.backend.worker import Worker

OnReport = Callable[[messages.Report], None]
A = TypeVar("A")

_DIED, _KILLED = 5, 1
_GUILTY = 2 * _DIED
_LAST_RECORD = 3 * _GUILTY


@dataclass(slots=True, eq=False)
class Job(Generic[A]):
    """One ask under way. `answer` is set before `done`.

    `worker`: the last one that was given it, and there `number`. `remarks`: the last one of each kind. `deaths`:
    workers that have died while they had it, and `suspicion` what that says of it. `given_up`: nobody waits for it any
    more. `begun`: a part of its answer was passed on. `near`: the job whose worker is to do it too.
    """

    request: messages.Request[A]
    on_report: OnReport | None
    near: Job[Any] | None = None
    done: trio.Event = field(default_factory=trio.Event)
    answer: messages.Answer | None = None
    worker: Worker | None = None
    number: int = 0
    arrived: int | None = None
    hashed: int = 0
    remarks: dict[type[messages.Remark], messages.Remark] = field(default_factory=dict)
    deaths: int = 0
    suspicion: int = 0
    given_up: bool = False
    begun: bool = False

    def reported(self, report: messages.Report) -> None:
        """Take in what was reported of it."""
        if isinstance(report, messages.Arrived):
            self.arrived, self.deaths, self.suspicion = report.chunk, 0, 0
        if isinstance(report, messages.Hashed) and report.until > self.hashed:
            self.hashed, self.deaths, self.suspicion = report.until, 0, 0
        self.begun |= isinstance(report, messages.Rows | messages.Planned)
        if self.on_report is not None:
            self.on_report(report)

    def survived(self, *, was_killed: bool) -> None:
        """The worker that had it is dead; `was_killed`: not of itself. It is to be asked again."""
        self.deaths += 1
        self.suspicion += _KILLED if was_killed else _DIED
        # Whether it was done is to be found out now, not to be called off.
        self.remarks.pop(messages.Withdraw, None)
        self.request = repeat(self)


@dataclass(frozen=True, slots=True)
class Sorted:
    """What becomes of a dead worker's jobs; `refused` with why. `apart`: each may be what it died of."""

    again: list[Job[Any]] = field(default_factory=list)
    apart: list[Job[Any]] = field(default_factory=list)
    refused: list[tuple[Job[Any], str]] = field(default_factory=list)


def sort_out(jobs: Iterable[Job[Any]]) -> Sorted:
    """Whom to ask again, whom apart from the others, and whom to refuse. Pure; keeps their order."""
    found, left = Sorted(), []
    for job in jobs:
        if job.given_up:
            found.refused.append((job, "nobody waits for it any more"))
        elif job.begun:
            found.refused.append((job, "the worker died in the middle of its answer; ask again"))
        else:
            left.append(job)
    suspects = _suspects(left)
    for job in left:
        if suspects == [job] or job.suspicion >= _LAST_RECORD:
            died = units.count(job.deaths, "worker")
            found.refused.append((job, f"{died} died of it; the log has the details"))
        elif job in suspects:
            found.apart.append(job)
        else:
            found.again.append(job)
    return found


def _suspects(jobs: list[Job[Any]]) -> list[Job[Any]]:
    """Those that were with more of the dead than all others, where that is enough to blame one of them."""
    possible = [job for job in jobs if not isinstance(job.request, messages.Record)]
    worst = max((job.suspicion for job in possible), default=0)
    return [job for job in possible if job.suspicion == worst] if worst >= _GUILTY else []


def repeat(job: Job[Any]) -> messages.AnyRequest:
    """What to ask another worker when the one that had this job died."""
    request = job.request
    if isinstance(request, messages.Fetch) and job.arrived is not None:
        return msgspec.structs.replace(request, first=min(job.arrived + 1, request.last))
    return request.again()
