"""A run and all that is kept of it: the values of the ledger, and the manifest that holds them, format 1.

A manifest is one JSON object in the default store, written once, when its run ends. Times are UTC. What a reader
does not know it leaves alone; a newer format number it refuses. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

import msgspec

from vstorefs import errors
from vstorefs.logs import visible
from vstorefs.model import Hashes, Key, RunId, StoreId, Token

FORMAT = 1
SHORT_ID = 12


class RunKind(Enum):
    """What made a run."""

    MOUNT = "mount"
    COMMAND = "command"


class RunStatus(Enum):
    """How far a run is. `FAILED`: its command's exit status was not 0. `INTERRUPTED`: nobody saw its end."""

    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


class WarningKind(Enum):
    """What a warning is about."""

    CHANGED = "changed"
    MAY_HAVE_CHANGED = "may have changed"
    DISAPPEARED = "disappeared"
    CHANGED_WHILE_READ = "changed while it was being read"
    REPLACED = "replaced by another program"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run. `project` is the identity of its default store.

    `sequence` is above that of every run that was known when this one began: it orders runs of hosts whose clocks
    disagree. `command` is empty for a mount. `commit` is that of the folder's git repository, with `+` where files
    differed from it. `warning_texts` are the first few of its warnings, for lists.
    """

    id: RunId
    project: StoreId
    kind: RunKind
    sequence: int
    started: datetime
    user: str
    host: str
    name: str = ""
    status: RunStatus = RunStatus.RUNNING
    ended: datetime | None = None
    exit_status: int | None = None
    command: tuple[str, ...] = ()
    folder: str = ""
    commit: str | None = None
    mount_point: str = ""
    software: str = ""
    inputs: int = 0
    outputs: int = 0
    warnings: int = 0
    warning_texts: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How people are told of it."""
        short = self.id[:SHORT_ID]
        return f"{short} ({visible(self.name)})" if self.name else short


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A path of a project: the store's identity, its alias there, and the path in it."""

    store: StoreId
    alias: str
    path: Key

    @property
    def shown(self) -> str:
        """The path in the mount."""
        return f"{self.alias}/{self.path}" if self.alias else self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One content of a path, as far as it is known."""

    token: Token
    size: int
    version: str | None = None
    hashes: Hashes | None = None
    strong: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """What a run read of one version: opened `opens` times, and `read_bytes` of it were read at most.

    `inherited`: it was open when the run began. `pinned`: a chosen version, asked for by its name in `.versions/` or
    by a lock file, which is compared with nothing.
    """

    place: Place
    content: Seen
    first_used: datetime
    last_used: datetime
    opens: int = 1
    read_bytes: int = 0
    inherited: bool = False
    pinned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A version that a run made."""

    place: Place
    content: Seen
    made: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What a run used, or made, before: the content, when, and by which run."""

    content: Seen
    time: datetime
    run: RunId
    run_name: str
    host: str
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWarning:
    """An input is not what it was.

    `now` is None where it is gone, `before` where no run used it before. `lost`: the content of before was found to be
    kept nowhere any more.
    """

    kind: WarningKind
    place: Place
    time: datetime
    run: RunId
    before: Earlier | None
    now: Seen | None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody accepted a change: that `content` is what the path has now (None: that it is gone)."""

    id: str
    project: StoreId
    place: Place
    content: Seen | None
    time: datetime
    user: str
    host: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Somebody wants what a run used and made kept from purges, or does not any more."""

    run: RunId
    kept: bool
    time: datetime
    user: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything about one run."""

    format: int = FORMAT
    run: Run
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = ()
    warnings: tuple[ChangeWarning, ...] = ()
    stores: dict[str, str] = field(default_factory=dict)
    """URLs of the project's stores, by alias."""


def earlier(run: Run, content: Seen, time: datetime) -> Earlier:
    """What a run used, or made, as later runs are compared with it."""
    return Earlier(
        content=content,
        time=time,
        run=run.id,
        run_name=run.name,
        host=run.host,
        sequence=run.sequence,
    )


class _Format(msgspec.Struct):
    format: int


_decode = msgspec.json.Decoder(Manifest)
_format = msgspec.json.Decoder(_Format)


def encode(manifest: Manifest) -> bytes:
    """A manifest's text, for programs and for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode(data: bytes, name: str) -> Manifest:
    """A manifest. Raises: NotSupported for a newer format, Corrupt for what is none; both name it."""
    try:
        found = _format.decode(data).format
        if found > FORMAT:
            raise errors.NotSupported(
                f"{name} has format {found}, and this vstorefs knows {FORMAT}; install a newer vstorefs"
            )
        return _decode.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Corrupt(f"{name} is no readable manifest: {error}") from error
