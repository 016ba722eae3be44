"""Ledgers filled with runs, without any mount: what a page or a command is to show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from vstorefs.ledger.index import Index
from vstorefs.ledger.ledger import Ledger, Note
from vstorefs.ledger.manifest import (
    Input,
    Manifest,
    Output,
    Place,
    Run,
    RunKind,
    RunStatus,
    Seen,
)
from vstorefs.model import Hashes, Key, RunId, SessionId, StoreId, Token
from vstorefs.state.env import State
from vstorefs.stores.ids import derived_id

START = datetime(2026, 11, 20, 14, 2, 11, tzinfo=UTC)


class SetClock:
    """A clock that stands where it was put."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def wall_ns(self) -> int:
        return int(self.now.timestamp() * 1e9)

    def monotonic_s(self) -> float:
        return self.now.timestamp()


def hashes(text: str) -> Hashes:
    """Hashes as good as any."""
    digits = "".join(
        f"{(ord(one) * 7919 + at * 104_729) % 251:02x}" for at, one in enumerate(text * 40)
    )
    return Hashes(md5=digits[:32], sha1=digits[8:48], sha256=digits[16:80])


def seen(text: str, size: int = 28_881) -> Seen:
    """A content that is told from others by a word."""
    version = derived_id(text)
    return Seen(token=Token(version), size=size, version=version, hashes=hashes(text))


class Runs:
    """Makes runs in a ledger, one after the other, the first at `START`."""

    def __init__(self, ledger: Ledger, clock: SetClock, store: StoreId, *, host: str) -> None:
        self.ledger = ledger
        self.clock = clock
        self.store = store
        self.host = host
        self._count = 0

    def place(self, path: str) -> Place:
        return Place(store=self.store, alias="", path=Key(path))

    def begin(self, name: str, *command: str, **more: object) -> Run:
        self._count += 1
        self.clock.now += timedelta(minutes=17)
        run = Run(
            id=RunId(derived_id(f"{name} {self._count}")),
            project=self.store,
            kind=RunKind.COMMAND if command else RunKind.MOUNT,
            sequence=0,
            started=self.clock.now,
            user="ada",
            host=self.host,
            name=name,
            command=command,
        )
        return self.ledger.begin(replace(run, **more), SessionId("s"), {"": "file:///srv/mnist"})  # type: ignore[arg-type]

    def use(self, run: Run, path: str, content: Seen, **more: object) -> None:
        self.clock.now += timedelta(seconds=2)
        now = self.clock.now
        use = Input(
            place=self.place(path),
            content=content,
            first_used=now,
            last_used=now,
            read_bytes=content.size,
        )
        self.ledger.note([Note(run=run.id, use=replace(use, **more))])  # type: ignore[arg-type]

    def make(self, run: Run, path: str, content: Seen) -> None:
        self.clock.now += timedelta(seconds=2)
        self.ledger.made(
            run.id, Output(place=self.place(path), content=content, made=self.clock.now)
        )

    def end(self, run: Run, exit_status: int | None = 0) -> Manifest | None:
        self.clock.now += timedelta(minutes=5, seconds=31)
        status = RunStatus.FAILED if exit_status else RunStatus.FINISHED
        return self.ledger.end(run.id, status, exit_status)

    def whole(
        self,
        name: str,
        *command: str,
        used: Sequence[tuple[str, Seen]] = (),
        made: Sequence[tuple[str, Seen]] = (),
        exit_status: int | None = 0,
    ) -> Run:
        """A run from its beginning to its end."""
        run = self.begin(name, *command)
        for path, content in used:
            self.use(run, path, content)
        for path, content in made:
            self.make(run, path, content)
        ended = self.end(run, exit_status)
        return ended.run if ended is not None else run


def many(state: State, project: StoreId, count: int) -> None:
    """Many runs at once, in the index alone: names `even-N` and `odd-N`, the last one began last."""
    index = Index(state, project)
    with state.writing() as txn:
        for number in range(count):
            started = START + timedelta(minutes=number)
            run = Run(
                id=RunId(derived_id(f"many {number}")),
                project=project,
                kind=RunKind.COMMAND,
                sequence=number + 1,
                started=started,
                user="ada",
                host="far",
                name=f"{'odd' if number % 2 else 'even'}-{number}",
                status=RunStatus.FINISHED,
                ended=started + timedelta(seconds=40),
                exit_status=0,
                command=("python", "sweep.py", "--step", str(number)),
                inputs=100,
                outputs=1,
            )
            index.put_run(txn, run)
