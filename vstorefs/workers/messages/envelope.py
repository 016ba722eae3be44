"""What a message travels in: how a worker begins, numbered asks, notes and progress, answers, log lines."""

from __future__ import annotations

import functools
import operator
from typing import TYPE_CHECKING, Any

import msgspec

from vstorefs.errors import Origin
from vstorefs.model import SessionId, StoreSpec
from vstorefs.project import Project
from vstorefs.versions.locked import Lock
from vstorefs.workers.messages import history, ledger, read, write
from vstorefs.workers.messages.history import Planned, Read, Rows
from vstorefs.workers.messages.ledger import Compared
from vstorefs.workers.messages.read import Arrived, Available, Claimed, Hashed, Passed
from vstorefs.workers.messages.request import Request


class Start(msgspec.Struct, frozen=True, tag=True):
    """The first message to a worker: everything it needs to work."""

    project: Project
    cache_dir: str
    state_dir: str
    cache_bytes: int
    session: SessionId
    log_level: int
    lock: Lock | None = None

    @property
    def stores(self) -> tuple[StoreSpec, ...]:
        """The project's stores."""
        return self.project.stores


class Abandon(msgspec.Struct, frozen=True, tag=True):
    """Nobody needs this any more; finish soon."""


class Withdraw(msgspec.Struct, frozen=True, tag=True):
    """A definite request is not wanted any more: it fails at once, unless it is being carried out already."""


class Failure(msgspec.Struct, frozen=True, tag=True):
    """A request failed with an error of our family, whose class is `kind`, or a "Bug"."""

    kind: str
    message: str
    store: str = ""
    key: str = ""
    operation: str = ""
    origin: Origin = Origin.KEY
    number: int | None = None


WITHDRAWN = Failure("Unavailable", "there was no answer in time", origin=Origin.WAIT)
"""What a request is answered that was withdrawn: it did not happen, and never will."""
Remark = Available | Claimed | Passed | Abandon | Withdraw
Report = Arrived | Claimed | Hashed | Rows | Planned | Compared | Read
REQUESTS: tuple[type[Request[Any]], ...] = tuple(
    kind
    for wing in (read, write, history, ledger)
    for kind in vars(wing).values()
    if isinstance(kind, type) and issubclass(kind, Request) and kind is not Request
)
"""Every kind of request that a wing defines; nobody has to list them."""
if TYPE_CHECKING:
    AnyRequest = Request[Any]
    Answer = object
else:
    # What is on the wire: the type checker knows of each request what answers it.
    AnyRequest = functools.reduce(operator.or_, REQUESTS)
    Answer = functools.reduce(operator.or_, (kind.answer_type() for kind in REQUESTS), Failure)


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A numbered request."""

    number: int
    request: AnyRequest


class Tell(msgspec.Struct, frozen=True, tag=True):
    """A note about request `number`."""

    number: int
    remark: Remark


class Progress(msgspec.Struct, frozen=True, tag=True):
    """Something about request `number` before its answer."""

    number: int
    report: Report


class Reply(msgspec.Struct, frozen=True, tag=True):
    """The one answer to request `number`."""

    number: int
    answer: Answer


class Ping(msgspec.Struct, frozen=True, tag=True):
    """Does the worker live? Answered with Pong by its main thread, which waits for nothing else."""


class Pong(msgspec.Struct, frozen=True, tag=True):
    """It does."""


class LogLine(msgspec.Struct, frozen=True, tag=True):
    """A record for the mount's log, from a worker; `exception` is its traceback, empty where there is none."""

    logger: str
    level: int
    text: str
    exception: str = ""


ToWorker = Start | Ask | Tell | Ping
ToFront = Progress | Reply | LogLine | Pong
