"""One host and its store: what a history happens in, what fails in it, and the lives of its fronts.

The store, the state and the staging files outlive a front that is killed; so does the cache. Everything that a front or
a worker does to them passes here, where it is put off, refused, or cut off, as the plan of the history says.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import greenlet
import pyfuse3
import trio

from tests.simulation.schedule import in_a_job, wait
from tests.simulation.troubles import Kind, Trouble
from tests.simulation.workers import SimulatedPool, SimulatedWorker
from tests.support.memory.server import MemoryServer
from vstorefs import errors
from vstorefs.cache.env import Cache
from vstorefs.model import StoreId, StoreSpec
from vstorefs.mount.assembly import MountOptions
from vstorefs.mount.control.server import Control
from vstorefs.mount.front import Front
from vstorefs.mount.operations import Operations
from vstorefs.project import Project
from vstorefs.state.env import State, Wanted, always
from vstorefs.state.sessions import Session
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import AnyRequest, Record, Start

SPEC = StoreSpec(StoreId("store"), "store", "memory://store", listing_seconds=5.0)
_WRITES = ("put", "copy", "delete")
_LEDGER = re.compile(r" \.vstorefs/(ledger|runs)/")
_STAGING = frozenset({"_create", "_clone", "_sync", "_write", "_resize"})
_GRACE_S = 75.0
"""For so long after its end a failure may still be told: what waits is bounded by 60 s, and a store is looked at anew
after 10 s at most."""


@dataclass(eq=False)
class Life:
    """One front, from its mount to its end."""

    front: Front
    session: Session
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    mounted: trio.Event = field(default_factory=trio.Event)
    unmounting: trio.Event = field(default_factory=trio.Event)
    ended: trio.Event = field(default_factory=trio.Event)
    operations: Operations | None = None
    nursery: trio.Nursery | None = None
    workers: list[SimulatedWorker] = field(default_factory=list)
    parts: Any = None
    dead: bool = False


class InternalError(Exception):
    """Something was logged as a fault of vstorefs itself."""


class World:
    """See the head of the module. `note` keeps the trace."""

    def __init__(
        self,
        chance: random.Random,
        folder: Path,
        cache: Cache,
        troubles: list[Trouble],
        *,
        versioned: bool,
        through: bool,
    ) -> None:
        self.chance = chance
        self.state_dir = folder / "state"
        self.troubles = troubles
        self.abandoned: list[Any] = []
        self.trace: list[tuple[Any, ...]] = []
        self.life: Life | None = None
        self.server = MemoryServer(self._step)
        self.shelf = self.server.bucket("store", versioned=versioned)
        self.shelf.page = 1000
        self.healed = False
        self.project = Project(
            "p", (SPEC,), "store", single=True, write="through" if through else "back"
        )
        self._cache = cache
        self._contexts: list[WorkerContext] = []
        self.bugs: list[str] = []
        self._died_of: list[Record] = []

    # --- what fails

    def note(self, *what: Any) -> None:
        """Add a line to the trace."""
        line = (tuple(sorted(one)) if isinstance(one, frozenset) else one for one in what)
        self.trace.append((round(trio.current_time(), 6), *line))

    def fails(self, kind: Kind) -> bool:
        """Whether a call meets a failure of a kind, now."""
        now = trio.current_time()
        return not self.healed and any(
            one.kind is kind and one.at(now) and self.chance.random() < one.share
            for one in self.troubles
        )

    def troubled(self, start_s: float, end_s: float, family: str) -> set[Kind]:
        """What may have made a call about a family's names fail that lasted from one moment to another."""
        return {
            one.kind
            for one in self.troubles
            if one.overlaps(start_s - _GRACE_S, end_s) and one.family in {"", family}
        }

    async def pause(self) -> None:
        """Others go on, for no time, or for a while."""
        drawn = self.chance.random()
        if drawn < 0.75:
            await trio.lowlevel.checkpoint()
        else:
            await trio.sleep(0.02 * drawn if drawn < 0.98 else 1.0)

    def _step(self, label: str, request: Callable[[], Any]) -> Any:
        """Each request to the store. The ledger's are many, and about nothing that is checked: they take no time."""
        if not in_a_job():
            return request()
        if _LEDGER.search(label):
            self._refuse(label)
            return request()
        return wait(lambda: self._request(label, request))

    async def _request(self, label: str, request: Callable[[], Any]) -> Any:
        await self.pause()
        self._refuse(label)
        changes = label.startswith(_WRITES)
        lost = changes and (
            self.fails(Kind.LOST) or (self.fails(Kind.FLAKY) and self.chance.random() < 0.5)
        )
        try:
            result = request()
        except errors.StoreError as error:
            self.note("request", label, type(error).__name__)
            raise
        self.note("request", label, "lost" if lost else "")
        if self.chance.random() < 0.3:
            await self.pause()
        if lost:
            raise errors.Unavailable("the reply was lost", origin=errors.Origin.STORE)
        if self.fails(Kind.FLAKY):
            await trio.sleep(20 * self.chance.random())
        return result

    def _refuse(self, label: str) -> None:
        if self.fails(Kind.AWAY):
            raise errors.Unavailable("connection refused", origin=errors.Origin.STORE)
        if self.fails(Kind.FLAKY):
            raise errors.Unavailable("the request was dropped", origin=errors.Origin.STORE)
        for one in self.troubles:
            if one.kind is Kind.KEY and _is_about(label, one.family) and self.fails(Kind.KEY):
                raise errors.Unavailable("the server says 503")

    async def in_thread(
        self, function: Callable[..., Any], *arguments: Any, **_options: Any
    ) -> Any:
        """What `trio.to_thread.run_sync` does, in place: it may take a while, and the disk may refuse it."""
        life = self.life
        label = getattr(function, "__name__", "")
        if life is None or label == "<lambda>":
            return function(*arguments)
        await trio.lowlevel.checkpoint_if_cancelled()
        await self._pause_of_thread(life)
        if label in _STAGING and self.fails(Kind.STAGING):
            number = self.chance.choice((errno.ENOSPC, errno.EIO))
            self.note("disk", label, errno.errorcode[number])
            raise OSError(number, os.strerror(number))
        result = function(*arguments)
        await self._pause_of_thread(life)
        return result

    async def _pause_of_thread(self, life: Life) -> None:
        """A thread goes on where its task was cancelled, and stops where its process was killed."""
        with trio.CancelScope(shield=True):
            await self.pause()
        if life.dead:
            await trio.sleep_forever()

    def pwrite(self, number: int, data: Any, offset: int) -> int:
        """The kernel may take less than it is given; a disk that fails takes a part, and then nothing."""
        size = len(data)
        if size > 1 and self.chance.random() < 0.1:
            size = (size + 1) // 2
        if self.fails(Kind.STAGING):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return _pwrite(number, memoryview(data)[:size], offset)

    @contextmanager
    def writing_state(self, state: State, wanted: Wanted = always) -> Iterator[Any]:
        """What `State.writing` does, where the disk of the state lets it."""
        if self.fails(Kind.JOURNAL):
            raise errors.JournalError("cannot write; is the disk full?", errno.ENOSPC)
        with _writing(state, wanted) as transaction:
            yield transaction

    # --- workers

    def new_context(self, start: Start) -> WorkerContext:
        """What the jobs of a new worker share."""
        context = WorkerContext(start)
        self._contexts.append(context)
        return context

    async def job_begins(self, worker: SimulatedWorker, request: AnyRequest) -> None:
        """A job is about to be done."""
        await self._job(worker, request)

    async def job_ends(self, worker: SimulatedWorker, request: AnyRequest) -> None:
        """A job is done, and its answer about to be said."""
        await self._job(worker, request)
        if self.fails(Kind.LATE):
            await trio.sleep(100 * self.chance.random())

    async def _job(self, worker: SimulatedWorker, request: AnyRequest) -> None:
        await self.pause()
        if self.fails(Kind.DEATHS):
            records = [one for one in worker.doing if isinstance(one, Record)]
            if any(one in self._died_of for one in records):
                # What two workers died of is refused, though the journal may have it.
                return
            self._died_of += records
            self.note("worker dies", type(request).__name__)
            worker.kill()
            await trio.sleep_forever()

    # --- fronts

    async def mount(self, owner: trio.Nursery) -> Life:
        """A front that serves from now on; it takes over what the one before it left."""
        self.state_dir.mkdir(exist_ok=True)
        options = MountOptions(
            Path("/mnt"),
            self.project,
            self._cache.directory,
            self.state_dir,
            self._cache.limit_bytes,
            read_only=False,
            allow_other=False,
            log_file=None,
            workers=2,
        )
        session = await self._session()
        front = _Front(options, self._cache, session)
        life = front.life = self.life = Life(front, session)
        owner.start_soon(self._live, life)
        await life.mounted.wait()
        self.note("mounted")
        return life

    async def _session(self) -> Session:
        """A session, as soon as the disk of the state gives one: people try again."""
        while True:
            try:
                return Session.open(self.state_dir)
            except OSError as error:
                self.note("not mounted", str(error))
                await trio.sleep(10)

    async def _live(self, life: Life) -> None:
        def pool(start: Start, workers: int) -> SimulatedPool:
            return SimulatedPool(self, life, start, workers)

        try:
            with life.scope, mock.patch("vstorefs.mount.front.Pool", pool):
                await life.front.run(lambda _notes: None)
        except* errors.VstorefsError as group:
            self.note("not mounted", str(group.exceptions))
            life.front.left_behind = True
        if life.dead:
            # A lock goes with its process.
            os.close(life.session._number)
        else:
            life.front.area.close()
            life.session.close(owns_entries=life.front.left_behind)
        self.life = None
        life.ended.set()
        life.mounted.set()

    async def unmount(self, life: Life) -> None:
        """As `umount` does: what is on its way gets a moment."""
        life.unmounting.set()
        await life.ended.wait()
        self.note("unmounted")

    async def kill(self, life: Life) -> None:
        """`kill -9` of the front; its workers end with it."""
        self.note("killed")
        life.dead = True
        for worker in life.workers:
            worker.kill()
        life.scope.cancel()
        await life.ended.wait()

    def close(self) -> None:
        """Leave nothing behind: what was abandoned ends now, and files that nobody closed are closed."""
        for job in self.abandoned:
            with contextlib.suppress(Exception):
                job.throw(greenlet.GreenletExit)
        for context in self._contexts:
            context.close()
        for number in os.listdir("/proc/self/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/self/fd/{number}").startswith(str(self.state_dir)):
                    os.close(int(number))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """While this lasts, this world is what fronts and workers meet."""
        with contextlib.ExitStack() as stack:
            patch = stack.enter_context
            world = self
            patch(self.server.known())
            patch(mock.patch.object(trio.to_thread, "run_sync", self.in_thread))
            patch(mock.patch.object(os, "pwrite", self.pwrite))
            # A function: as a method of its own it would not be given the state.
            written = world.writing_state
            patch(
                mock.patch.object(
                    State, "writing", lambda state, wanted=always: written(state, wanted)
                )
            )
            patch(mock.patch("vstorefs.mount.front.pyfuse3", _Kernel(self)))
            patch(mock.patch("vstorefs.mount.front.mounts", SimpleNamespace(remove=lambda _: None)))
            patch(mock.patch.object(Control, "run", _silent))
            patch(mock.patch.object(pyfuse3, "readdir_reply", _readdir_reply))
            patch(_listening(self.bugs))
            yield


def _is_about(label: str, family: str) -> bool:
    """Whether a request names something of a family; listings of what all share are not theirs."""
    what, _, name = label.partition(" ")
    name = name.removeprefix(".vstorefs/heads/").removeprefix(".vstorefs/history/")
    return what not in {"list", "versions"} and name.startswith(family)


_pwrite = os.pwrite
_writing = State.writing


class _Front(Front):
    """The front's own beginning, adoption and end; the kernel is asked nothing."""

    life: Life

    def _mount(self, operations: Operations) -> None:
        self.life.operations = operations

    async def _become_ready(self, *_: Any) -> None:
        self.life.mounted.set()

    async def _stop_on_signal(self) -> None:
        return

    def _start_tasks(self, given: Any, parts: Any) -> None:
        self.life.parts = parts
        super()._start_tasks(given, parts)


class _Kernel:
    """What `front` calls of pyfuse3."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def main(self, **_: Any) -> None:
        """Serve until unmounted; upcalls are tasks of the front."""
        life = self._world.life
        assert life is not None
        async with trio.open_nursery() as nursery:
            life.nursery = nursery
            await life.unmounting.wait()

    def close(self, **_: Any) -> None:
        """Nothing is mounted."""


async def _silent(
    _control: Control, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
) -> None:
    """Nobody asks anything over the control socket."""
    task_status.started()
    await trio.sleep_forever()


def _readdir_reply(
    token: list[tuple[bytes, pyfuse3.EntryAttributes]],
    name: bytes,
    attributes: pyfuse3.EntryAttributes,
    _next: int,
) -> bool:
    token.append((name, attributes))
    return True


class _Bugs(logging.Handler):
    """Remembers what was logged with a traceback: that is a fault of vstorefs itself."""

    def __init__(self, bugs: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._bugs = bugs

    def emit(self, entry: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if entry.exc_info is not None:
            self._bugs.append(logging.Formatter("%(name)s: %(message)s").format(entry))


@contextmanager
def _listening(bugs: list[str]) -> Iterator[None]:
    logger = logging.getLogger("vstorefs")
    handler = _Bugs(bugs)
    level, propagates = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate = propagates
