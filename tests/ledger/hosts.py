"""Hosts that share a ledger, without mounts: a state and a clock each, and one archive in memory for all."""

from __future__ import annotations

import contextlib
import hashlib
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from vstorefs import errors
from vstorefs.ledger.archive import Named
from vstorefs.ledger.ledger import Ledger, Note
from vstorefs.ledger.manifest import (
    ChangeWarning,
    Input,
    Manifest,
    Output,
    Place,
    Run,
    RunKind,
    RunStatus,
    Seen,
)
from vstorefs.model import Content, Hashes, Key, RunId, SessionId, StoreId, Token
from vstorefs.state.env import State
from vstorefs.state.fingerprints import Fingerprint, Fingerprints
from vstorefs.stores.ids import new_id

PROJECT = StoreId("p" * 32)
STORE = StoreId("s" * 32)
START = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)


@dataclass
class Time:
    """The time that it is; every look at a clock takes a moment."""

    now: datetime = START

    def tick(self, step: timedelta = timedelta(milliseconds=1)) -> datetime:
        self.now += step
        return self.now


@dataclass
class HostClock:
    """One host's clock, ahead of the time by so much."""

    time: Time
    ahead: timedelta = timedelta(0)

    def wall_ns(self) -> int:
        return (
            (self.time.tick() + self.ahead - datetime(1970, 1, 1, tzinfo=UTC))
            // timedelta(microseconds=1)
            * 1000
        )

    def monotonic_s(self) -> float:
        return (self.time.now - START).total_seconds()


@dataclass
class MemoryArchive:
    """The archive that all hosts share; counts requests, and may be away, or lose an answer."""

    time: Time
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    requests: Counter[str] = field(default_factory=Counter)
    away: bool = False
    loses_answer: bool = False

    def _ask(self, what: str) -> None:
        self.requests[what] += 1
        if self.away:
            raise errors.Unavailable("no answer")

    def names(self, prefix: str) -> Iterator[Named]:
        found = sorted(name for name in self.objects if name.startswith(prefix))
        for _ in range(max(1, -(-len(found) // 1000))):
            self._ask("list")
        return iter([Named(name, self.objects[name][1]) for name in found])

    def get(self, name: str) -> bytes:
        self._ask("get")
        if name not in self.objects:
            raise errors.NotFound("no such object", key=name)
        return self.objects[name][0]

    def add(self, name: str, data: bytes) -> None:
        self._ask("add")
        self.objects.setdefault(name, (data, self.time.tick()))
        if self.loses_answer:
            raise errors.Unavailable("the answer was lost")

    def remove(self, name: str) -> None:
        self._ask("remove")
        self.objects.pop(name, None)

    def below(self, prefix: str) -> list[str]:
        return [name for name in self.objects if name.startswith(prefix)]


def hashes(text: str) -> Hashes:
    data = text.encode()
    return Hashes(
        hashlib.md5(data).hexdigest(),
        hashlib.sha1(data).hexdigest(),
        hashlib.sha256(data).hexdigest(),
    )


def place(path: str, store: StoreId = STORE) -> Place:
    return Place(store=store, alias="inputs", path=Key(path))


def seen(token: str, content: str | None = None, size: int = 5) -> Seen:
    """A content by its token; with hashes if it is said what it is."""
    known = hashes(content) if content is not None else None
    return Seen(token=Token(token), size=size, hashes=known)


class LedgerHost:
    """One host."""

    def __init__(
        self,
        folder: Path,
        archive: MemoryArchive,
        *,
        name: str = "a",
        ahead: timedelta = timedelta(0),
        project: StoreId = PROJECT,
    ) -> None:
        self.name = name
        self.state = State.open(folder / name)
        self.clock = HostClock(archive.time, ahead)
        self.prints = Fingerprints(self.state)
        self.ledger = Ledger(self.state, project, lambda: archive, self.clock)

    def close(self) -> None:
        self.state.close()

    def begin(self, name: str = "", *, session: str = "living") -> Run:
        run = Run(
            id=RunId(new_id()),
            project=self.ledger.project,
            kind=RunKind.COMMAND,
            sequence=0,
            started=self.ledger.now(),
            user="ann",
            host=self.name,
            name=name,
            command=("train",),
        )
        return self.ledger.begin(run, SessionId(session), {"inputs": "s3://inputs"})

    def input(self, path: str, content: Seen, *, pinned: bool = False) -> Input:
        now = self.ledger.now()
        return Input(
            place=place(path), content=content, first_used=now, last_used=now, pinned=pinned
        )

    def use(
        self, run: Run, path: str, content: Seen, *, pinned: bool = False
    ) -> list[ChangeWarning]:
        note = Note(run=run.id, use=self.input(path, content, pinned=pinned))
        return list(self.ledger.note([note]))

    def miss(self, run: Run, path: str) -> list[ChangeWarning]:
        """A run looks for a path that is not there."""
        return list(self.ledger.note([Note(run=run.id, use=self.input(path, seen("")), gone=True)]))

    def make(self, run: Run, path: str, content: Seen) -> None:
        self.ledger.made(run.id, Output(place=place(path), content=content, made=self.ledger.now()))

    def hash(self, path: str, content: Seen, data: str | None) -> list[ChangeWarning]:
        """The hashing of a content ends; `data` None: in vain."""
        if data is not None:
            self.prints.put(STORE, Key(path), content.token, Fingerprint(hashes(data), read=True))
        return list(
            self.ledger.answer_questions(Content(STORE, Key(path), content.token, content.size))
        )

    def end(self, run: Run) -> Manifest:
        whole = self.ledger.end(run.id, RunStatus.FINISHED, 0)
        assert whole is not None
        return whole

    def once(self, path: str, content: Seen, name: str = "") -> list[ChangeWarning]:
        """A whole run that uses one input."""
        run = self.begin(name)
        warnings = self.use(run, path, content)
        self.end(run)
        return warnings

    def meet(self, *, whole: bool = False) -> int:
        """Send what waits, and take in what there is."""
        self.ledger.send()
        return self.ledger.receive(whole=whole).runs

    def kinds(self, path: str) -> list[str]:
        return [one.kind.value for one in self.ledger.warnings_of(place(path))]


@contextlib.contextmanager
def in_memory() -> Iterator[Path]:
    """A folder in memory, where there is such a place: states are synced thousands of times."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        yield Path(folder)


class World:
    """Several hosts and their archive."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = Time()
        self.archive = MemoryArchive(self.time)
        self._stack = contextlib.ExitStack()

    def host(self, name: str = "a", *, ahead: timedelta = timedelta(0)) -> LedgerHost:
        one = LedgerHost(self.folder, self.archive, name=name, ahead=ahead)
        self._stack.callback(one.close)
        return one

    def close(self) -> None:
        self._stack.close()
