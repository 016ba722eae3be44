"""A run and all that is kept of it: the values of the ledger, and the manifest that holds them, format 1.

A manifest is one JSON object in the default store, written once, when its run ends. Times are UTC. What a reader
does not know it leaves alone; a newer format number it refuses. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Annotated, TypeVar

import msgspec

from vstorefs import errors
from vstorefs.logs import visible
from vstorefs.model import Hashes, Key, RunId, StoreId, Token

T = TypeVar("T")

FORMAT = 1
ACK_FORMAT = 1
KEPT_FORMAT = 1
SHORT_ID = 12
Moment = Annotated[datetime, msgspec.Meta(tz=True)]
"""A time that says which one it is; text without a zone is refused."""
SEQUENCE_MAX = (1 << 53) - 1
Sequence = Annotated[int, msgspec.Meta(ge=0, le=SEQUENCE_MAX)]
"""What orders runs and uses; a number that cannot be one is refused before it is taken for the highest."""


def following(sequence: int) -> int:
    """The next sequence; there is none above the highest, and what has that stands by its time."""
    return min(sequence + 1, SEQUENCE_MAX)


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
    disagree. `command` is empty for a mount. `commit` is that of the directory's git repository, with `+` where files
    differed from it. `warning_texts` are the first few of its warnings, for lists.
    """

    id: RunId
    project: StoreId
    kind: RunKind
    sequence: Sequence
    started: Moment
    user: str
    host: str
    name: str = ""
    status: RunStatus = RunStatus.RUNNING
    ended: Moment | None = None
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

    @property
    def search_text(self) -> str:
        """What a search for runs looks into, in lower case."""
        parts = (self.id, self.name, self.kind.value, self.status.value, self.host, self.user)
        return " ".join((*parts, *self.command, *self.warning_texts)).casefold()


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
    by a lock file, which is compared with nothing. `sequence` is above that of every use and output of the path that
    was known then; 0 where nobody said.
    """

    place: Place
    content: Seen
    first_used: Moment
    last_used: Moment
    opens: int = 1
    read_bytes: int = 0
    inherited: bool = False
    pinned: bool = False
    sequence: Sequence = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """A version that a run made; `sequence` as an input's."""

    place: Place
    content: Seen
    made: Moment
    sequence: Sequence = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """What a run used, or made, before: the content, when, and by which run."""

    content: Seen
    time: Moment
    run: RunId
    run_name: str
    host: str
    sequence: Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeWarning:
    """An input is not what it was.

    `now` is None where it is gone, `before` where no run used it before. `lost`: the content of before was found to be
    kept nowhere any more.
    """

    kind: WarningKind
    place: Place
    time: Moment
    run: RunId
    before: Earlier | None
    now: Seen | None
    lost: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody accepted a change: that `content` is what the path has now (None: that it is gone).

    `ends` are the warnings about the path that it ends, by their runs and times. `sequence` is above that of every
    acknowledgement of the path that was known then.
    """

    format: int = ACK_FORMAT
    id: str
    project: StoreId
    place: Place
    content: Seen | None
    time: Moment
    user: str
    host: str
    why: str
    sequence: Sequence = 0
    ends: tuple[tuple[RunId, Moment], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Somebody wants what a run used and made kept from purges, or does not any more.

    `sequence` is above that of every decision about the run that was known then.
    """

    format: int = KEPT_FORMAT
    run: RunId
    kept: bool
    time: Moment
    user: str
    host: str
    sequence: Sequence = 0


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

    @property
    def is_worth_telling(self) -> bool:
        """Whether the run read, made or ran anything."""
        return bool(self.inputs or self.outputs or self.run.command)


def earlier(run: Run, content: Seen, time: datetime, sequence: int = 0) -> Earlier:
    """What a run used, or made, as later runs are compared with it; without a sequence it has its run's."""
    return Earlier(
        content=content,
        time=time,
        run=run.id,
        run_name=run.name,
        host=run.host,
        sequence=sequence or run.sequence,
    )


class _Format(msgspec.Struct):
    format: int


_decode = msgspec.json.Decoder(Manifest)
_decode_kept = msgspec.json.Decoder(Kept)
_decode_ack = msgspec.json.Decoder(Acknowledgement)
_format = msgspec.json.Decoder(_Format)


def encode(manifest: Manifest) -> bytes:
    """A manifest's text, for programs and for people."""
    return msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"


def decode(data: bytes, name: str) -> Manifest:
    """A manifest. Raises: NotSupported for a newer format, Corrupt for what is none; both name it."""
    return decode_known(_decode, data, name, FORMAT, "manifest")


def decode_ack(data: bytes, name: str) -> Acknowledgement:
    """An acknowledgement. Raises: as `decode`."""
    return decode_known(_decode_ack, data, name, ACK_FORMAT, "acknowledgement")


def decode_kept(data: bytes, name: str) -> Kept:
    """A decision about keeping a run. Raises: as `decode`."""
    return decode_known(_decode_kept, data, name, KEPT_FORMAT, "decision about a run")


def decode_known(
    decoder: msgspec.json.Decoder[T], data: bytes, name: str, known: int, what: str
) -> T:
    """JSON that says its format, of one that is known.

    Raises: NotSupported for a newer format, Corrupt for what is none; both name it.
    """
    try:
        found = _format.decode(data).format
        if found > known:
            raise errors.NotSupported(
                f"{name} has format {found}, and this vstorefs knows {known}; install a newer vstorefs"
            )
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.Corrupt(f"{name} is no readable {what}: {error}") from error
