"""The runs of a mount: its own, and those of commands that were started in it.

A run begins in the state at once, with the number that this host knows; when what other hosts have written has come
in it moves above that. Uses are compared only then, so that a warning does not depend on who was faster. While a run
goes on its checkpoints let other hosts see it; when it ends its manifest is made, and sent as soon as the default store
takes it. Touched by the front's loop only.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from vstorefs import __version__, errors, files
from vstorefs.clock import Clock, utc
from vstorefs.ledger import changes
from vstorefs.ledger.manifest import ChangeWarning, Run, RunKind, RunStatus
from vstorefs.logs import visible
from vstorefs.model import RunId
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.provenance.processes import Processes
from vstorefs.project import Project
from vstorefs.stores.ids import new_id
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_EVERY_S = 60.0
_DEAD_EVERY_S = 2.0
_NEWS_S = 10.0


@dataclass(slots=True, eq=False)
class _Live:
    """`ended`: how, where the end is not recorded yet."""

    run: Run
    checkpoints: int = 0
    ended: tuple[RunStatus, int | None] | None = None


@dataclass(slots=True)
class LedgerState:
    """What `status` says of the ledger."""

    waiting: int = 0
    why: str = ""
    skewed: tuple[tuple[str, int], ...] = ()


@dataclass(slots=True, eq=False)
class Runs:
    """All runs of one mount. `touched`: something was noted since the last checkpoint."""

    pool: Pool
    project: Project
    clock: Clock
    mount_point: str
    processes: Processes = field(default_factory=Processes)
    state: LedgerState = field(default_factory=LedgerState)
    ready: trio.Event = field(default_factory=trio.Event)
    _live: dict[RunId, _Live] = field(default_factory=dict)
    _exchanging: trio.Lock = field(default_factory=trio.Lock)
    own: Run = field(init=False)
    touched: bool = False
    _exchanged_at: float = float("-inf")
    _begun: int = 0
    _served: int = 0
    _ending: set[RunId] = field(default_factory=set)
    _news: set[trio.CancelScope] = field(default_factory=set)
    _hurried: bool = False

    def __post_init__(self) -> None:
        self.own = self._new(RunKind.MOUNT)

    def _new(self, kind: RunKind, **about: Any) -> Run:
        return Run(
            id=RunId(new_id()),
            project=self.project.default_store.id,
            kind=kind,
            sequence=0,
            started=utc(self.clock.wall_ns()),
            user=files.user_name(),
            host=socket.gethostname(),
            mount_point=self.mount_point,
            software=__version__,
            **about,
        )

    def run_of(self, pid: int) -> RunId:
        """The run that a process's work belongs to."""
        return self.processes.run_of(pid) or self.own.id

    def touch(self) -> None:
        """Something was noted of a run that goes on."""
        self.touched = True

    # --- beginning and ending

    async def begin_own(self) -> None:
        """The mount's own run. Raises: Unavailable where the state does not take it."""
        await self._begin(self.own)

    async def begin(self, about: dict[str, Any], root: tuple[int, int]) -> Run:
        """A command's run. What other hosts have written meanwhile comes in first, if the store answers soon."""
        with self._for_news():
            await self.exchange(whole=False)
        run = await self._begin(self._new(RunKind.COMMAND, **about))
        self.processes.add(root, run.id)
        return run

    async def _begin(self, run: Run) -> Run:
        answer = await self.pool.ask(messages.BeginRun(run))
        live = self._live.setdefault(run.id, _Live(answer.run))
        live.run = answer.run
        return answer.run

    async def end(
        self, run: RunId, status: RunStatus, exit_status: int | None = None
    ) -> messages.RunEnded:
        """A run ends; its manifest is made, and sent in the background. Raises: NotFound for one that is not here."""
        live = self._live.get(run)
        if live is None:
            raise errors.NotFound("no run of that id goes on in this mount", key=run)
        self.processes.remove(run)
        # Where it cannot be recorded now, that is tried again, and this is what is said then, too.
        live.ended = live.ended or (status, exit_status)
        try:
            answer = await self.pool.ask(messages.EndRun(run, *live.ended))
        except errors.StoreError as error:
            if error.origin is errors.Origin.US:
                self._live.pop(run, None)
            raise
        self._live.pop(run, None)
        return answer

    @contextmanager
    def ending(self, run: RunId) -> Iterator[None]:
        """Its command has ended, and its end is being recorded, whether or not anybody waits for that."""
        self._ending.add(run)
        try:
            yield
        finally:
            self._ending.discard(run)

    def hurry(self) -> None:
        """The mount ends: nobody waits for what other hosts have written."""
        self._hurried = True
        for scope in self._news:
            scope.cancel()

    @contextmanager
    def _for_news(self) -> Iterator[None]:
        """What other hosts have written is waited for, for a moment."""
        with trio.move_on_after(0 if self._hurried else _NEWS_S) as scope:
            self._news.add(scope)
            try:
                yield
            finally:
                self._news.discard(scope)

    async def end_all(self) -> None:
        """The mount ends, and with it every run in it."""
        for run in list(self._live):
            status = RunStatus.FINISHED if run == self.own.id else RunStatus.INTERRUPTED
            await self._end_or_warn(run, status)

    async def _end_or_warn(self, run: RunId, status: RunStatus) -> None:
        try:
            await self.end(run, status)
        except errors.NotFound:
            # Its end was told meanwhile.
            return
        except errors.VstorefsError as error:
            log.warning("ledger: cannot close run %s now: %s", run, error)

    async def _end_late(self) -> None:
        """What ended while the journal took nothing."""
        for run, live in list(self._live.items()):
            if live.ended is not None and run not in self._ending:
                await self._end_or_warn(run, live.ended[0])

    # --- in the background

    async def keep(self, settle: Callable[[], Any], adopted: Callable[[], Any]) -> None:
        """Take part in the ledger until cancelled. `adopted`: waits for what an earlier mount left."""
        try:
            with self._for_news():
                await self.exchange(whole=True)
            await self._begin(self.own)
        except errors.VstorefsError as error:
            log.warning("ledger: %s", error)
        finally:
            self.ready.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._close_abandoned, adopted)
            nursery.start_soon(self._watch_roots, settle)
            while True:
                await trio.sleep(_EVERY_S)
                await settle()
                await self._end_late()
                # A mount that nobody uses asks nothing of the store.
                if self.touched or self.state.waiting:
                    self.touched = False
                    await self._checkpoint()
                    await self.exchange(whole=False)

    async def catch_up(self) -> None:
        """Before inputs are compared: take in what others wrote, if that was not done for a while."""
        if self.clock.monotonic_s() - self._exchanged_at > _EVERY_S:
            with self._for_news():
                await self.exchange(whole=False)

    async def exchange(self, *, whole: bool) -> None:
        """Send what waits, and take in what others wrote; a store that is away is said once."""
        begun = self._begun
        async with self._exchanging:
            if self._served > begun and not whole:
                # One that began after this was asked has done it.
                return
            number = self._begun = self._begun + 1
            self._exchanged_at = self.clock.monotonic_s()
            try:
                answer = await self.pool.ask(messages.ExchangeLedger(whole))
            except errors.VstorefsError as error:
                answer = messages.Exchanged(
                    waiting=self.state.waiting, why=str(error), skewed=self.state.skewed
                )
            self._served = number
        if answer.why and answer.why != self.state.why:
            log.info("ledger: cannot sync with other hosts: %s", answer.why)
        self.state = LedgerState(answer.waiting, answer.why, answer.skewed)

    async def _close_abandoned(self, adopted: Callable[[], Any]) -> None:
        """What a dead mount had promised may still make outputs of its runs, so these are closed after."""
        await adopted()
        try:
            answer = await self.pool.ask(messages.EndAbandoned())
        except errors.VstorefsError as error:
            log.warning("ledger: %s", error)
            return
        for run in answer.runs:
            log.warning("run %s of %s was interrupted: its mount died", run.label, run.mount_point)
        if answer.runs:
            await self.exchange(whole=False)

    async def _watch_roots(self, settle: Callable[[], Any]) -> None:
        """Close the run of a command whose `vstorefs run` was killed."""
        while True:
            await trio.sleep(_DEAD_EVERY_S)
            for run in await trio.to_thread.run_sync(self.processes.dead):
                if run not in self._ending and run in self._live:
                    await self._end_without_root(run, settle)

    async def _end_without_root(self, run: RunId, settle: Callable[[], Any]) -> None:
        log.warning("run %s was interrupted: its process is gone", run)
        await settle()
        await self._end_or_warn(run, RunStatus.INTERRUPTED)
        await self.exchange(whole=False)

    async def _checkpoint(self) -> None:
        for live in list(self._live.values()):
            try:
                await self.pool.ask(messages.Checkpoint(live.run.id, live.checkpoints))
                live.checkpoints += 1
            except errors.VstorefsError as error:
                log.debug("ledger: cannot write a checkpoint of run %s: %s", live.run.id, error)

    # --- warnings

    def path_of(self, warning: ChangeWarning) -> str:
        """Where programs see what a warning is about."""
        return f"{self.mount_point.rstrip('/')}/{warning.place.shown}"

    def warn(self, warning: ChangeWarning) -> None:
        """Put a warning into the log."""
        log.warning("%s: warning: %s", visible(self.path_of(warning)), changes.text(warning))
