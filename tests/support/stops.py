"""Steps of a journal entry's life at which a mount's workers stop, to be killed there.

    stops = Stops(folder)
    with host(folder / "host", stops.env) as one:
        stops.arm(Step.IN_STORE)

While a step is armed, every thread of a worker that comes to it says so and goes no further. Workers learn of it by a
module that Python imports as it starts; nothing of it is in the program.
"""

from __future__ import annotations

import enum
import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from tests.support.changedworkers import changed_workers
from vstorefs.model import JournalEntry, Token

_ENV = "VSTOREFS_TEST_STOPS"


class Step(enum.StrEnum):
    """Where an entry is."""

    UNRECORDED = "before it is in the journal"
    RECORDED = "in the journal, and nobody told"
    ASKED = "a worker is asked to publish it"
    BEFORE_WRITE = "before its first write to the store"
    WRITTEN = "after its first write to the store"
    IN_STORE = "in the store, and in the journal still"
    ENDED = "out of the journal, and nobody told"


class Stops:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "stops"
        self._folder.mkdir()
        self.env = {**changed_workers(folder, "stops"), _ENV: str(self._folder)}

    def arm(self, step: Step) -> None:
        """From now on, threads stop at this step."""
        (self._folder / "armed").write_text(step)

    def disarm(self) -> None:
        """Who has not stopped yet does not."""
        (self._folder / "armed").unlink()

    def reached(self) -> dict[str, int]:
        """The paths of entries that have stopped, and in which worker."""
        found = {}
        for file in self._folder.glob("reached-*"):
            pid, _, path = file.read_text().partition("\n")
            found[path] = int(pid)
        return found


class _Watch:
    """A worker's side. Each thread knows the entry that it publishes, and whether it has written to the store."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = 0
        self._lock = threading.Lock()
        self._own = threading.local()

    def publishing(self, path: str) -> None:
        self._own.path, self._own.wrote = path, False

    @property
    def path(self) -> str:
        return getattr(self._own, "path", "")

    def is_first_write(self) -> bool:
        first = bool(self.path) and not self._own.wrote
        self._own.wrote = True
        return first

    def at(self, step: Step, path: str) -> None:
        """Stop here, if this is the step."""
        try:
            armed = (self._folder / "armed").read_text()
        except FileNotFoundError:
            return
        if armed == step:
            self._stop(path)

    def _stop(self, path: str) -> NoReturn:
        with self._lock:
            self._numbers += 1
            name = f"{os.getpid()}-{self._numbers}"
        (self._folder / f"part-{name}").write_text(f"{os.getpid()}\n{path}")
        (self._folder / f"part-{name}").rename(self._folder / f"reached-{name}")
        while True:
            time.sleep(3600)


def watch() -> None:
    """Put the steps into what this worker calls."""
    here = _Watch(Path(os.environ[_ENV]))
    _watch_journal(here)
    _watch_publisher(here)
    _watch_bucket(here)


def _watch_journal(here: _Watch) -> None:
    from vstorefs.state import journal  # noqa: PLC0415 — not in other processes

    class Watched(journal.Journal):
        def record_all(self, additions: Sequence[journal.Addition]) -> list[tuple[int, ...] | None]:
            entries = [entry for one in additions for entry in one.entries]
            for entry in entries:
                here.at(Step.UNRECORDED, entry.path)
            answer = super().record_all(additions)
            for entry in entries:
                here.at(Step.RECORDED, entry.path)
            return answer

        def finish(
            self, seq: int, *, same_as: Token | None = None, carry: journal.Carry | None = None
        ) -> None:
            here.at(Step.IN_STORE, here.path)
            super().finish(seq, same_as=same_as, carry=carry)
            here.at(Step.ENDED, here.path)

    # For whoever imports it after this.
    setattr(journal, "Journal", Watched)  # noqa: B010 — a class is no variable to the type checker


def _watch_publisher(here: _Watch) -> None:
    from vstorefs.versions import publish  # noqa: PLC0415

    class Watched(publish.Publisher):
        def publish(self, entry: JournalEntry, *, look: bool, overdue: bool) -> publish.Outcome:
            here.publishing(entry.path)
            try:
                here.at(Step.ASKED, entry.path)
                return super().publish(entry, look=look, overdue=overdue)
            finally:
                here.publishing("")

    setattr(publish, "Publisher", Watched)  # noqa: B010


def _watch_bucket(here: _Watch) -> None:
    from vstorefs.stores.s3.store import S3Bucket  # noqa: PLC0415

    def watched(write: Callable[..., Any]) -> Callable[..., Any]:
        def write_watched(*arguments: Any, **named: Any) -> Any:
            if not here.is_first_write():
                return write(*arguments, **named)
            here.at(Step.BEFORE_WRITE, here.path)
            answer = write(*arguments, **named)
            here.at(Step.WRITTEN, here.path)
            return answer

        return write_watched

    for name in ("put", "copy", "delete"):
        setattr(S3Bucket, name, watched(getattr(S3Bucket, name)))
