"""Carries out a history, and says whether anything in it is impossible.

Checked: what each call gives, and for how long it waits; that everything settles once nothing fails any more; what the
mount shows then, and the next one; what the store's histories hold; that the journal is empty, that nothing in the store
was written over, and that nothing was logged as a fault of vstorefs itself.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import random
import shutil
import tempfile
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import trio
import trio.testing

from tests.simulation.calls import made
from tests.simulation.checker import Case, Checker, Impossible
from tests.simulation.kernel import Gone, Handle, Kernel
from tests.simulation.model import FAILED, Error, Op, Result, beginning
from tests.simulation.plan import Plan, Program
from tests.simulation.runs import SimulatedRun, pid_of, processes
from tests.simulation.schedule import seeded
from tests.simulation.world import SPEC, Life, World
from vstorefs import errors
from vstorefs.cache.env import MIN_BYTES, Cache
from vstorefs.model import Key, VersionKind
from vstorefs.stores.base import Store
from vstorefs.workers.jobs.context import WorkerContext

_CALL_BOUND_S = 400.0
_SETTLE_BOUND_S = 900.0
_READER = 99
_MOVED = (".vstorefs/ledger/", ".vstorefs/heads/")
"""Objects of ours that are made to be moved."""
_TOLD = {
    errno.ENOENT,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.EINVAL,
    errno.ELOOP,
    errno.ENOTEMPTY,
}
_OUTSIDE = {errno.EIO, errno.ENOSPC}


@dataclass(frozen=True)
class Outcome:
    """What came of a history. `why`: what was impossible in it, empty where nothing was. `digest`: of its trace."""

    why: str
    digest: str
    trace: tuple[tuple[Any, ...], ...]
    longest_s: float


class Runner:
    """Carries out histories in one directory, one after the other; the cache is emptied between them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._cache = Cache.open(folder / "cache", MIN_BYTES)

    def close(self) -> None:
        """Leave nothing behind."""
        self._cache.close()

    def run(self, plan: Plan) -> Outcome:
        """Carry one out."""
        chance = random.Random(f"run {plan.seed}")
        place = Path(tempfile.mkdtemp(dir=self._folder))
        self._cache.clear()
        world = World(
            chance,
            place,
            self._cache,
            list(plan.troubles),
            versioned=plan.versioned,
            through=plan.through,
        )
        history = History(world, plan)
        try:
            with seeded(chance), world.in_place(), processes(plan):
                try:
                    trio.run(history.run, clock=trio.testing.MockClock(autojump_threshold=0))
                finally:
                    world.close()
        finally:
            shutil.rmtree(place)
        lines = tuple(world.trace)
        digest = hashlib.sha256(repr(lines).encode()).hexdigest()
        return Outcome(history.why, digest, lines, history.longest_s)


@contextmanager
def runner() -> Iterator[Runner]:
    """One that works in memory, where the machine has a file system for that."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        one = Runner(Path(folder))
        try:
            yield one
        finally:
            one.close()


class History:
    """One history under way."""

    def __init__(self, world: World, plan: Plan) -> None:
        self._world = world
        self._plan = plan
        self._checkers: dict[str, Checker] = {}
        self._kernel: Kernel | None = None
        self._mounted = trio.Event()
        self._numbers = 0
        self._owner: trio.Nursery | None = None
        self._runs: list[SimulatedRun] = []
        self.why = ""
        self.longest_s = 0.0

    async def run(self) -> None:
        """From the first mount to the last unmount."""
        try:
            async with trio.open_nursery() as owner:
                self._owner = owner
                await self._act(owner)
                owner.cancel_scope.cancel()
        except* Impossible as group:
            self.why = self.why or str(_first(group))
        except* Exception as group:  # noqa: BLE001 — whatever ends a front is a finding
            self.why = self.why or "".join(traceback.format_exception(_first(group)))
        if self._world.bugs and not self.why:
            self.why = f"an internal error was logged: {self._world.bugs[0]}"

    async def _act(self, owner: trio.Nursery) -> None:
        world, plan = self._world, self._plan
        for path, data in plan.files:
            world.shelf.write(path, data, {})
        for path in plan.folders:
            world.shelf.write(f"{path}/", b"", {})
        for family in sorted({one.family for one in plan.programs}):
            files = {path: data for path, data in plan.files if path.startswith(family)}
            folders = [path for path in plan.folders if path.startswith(family)]
            self._checkers[family] = Checker(
                beginning(files, folders), partial(self._may_fail, family)
            )
        await self._mount()
        self._mounted.set()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._kill_in_time, nursery.cancel_scope)
            async with trio.open_nursery() as programs:
                for number, program in enumerate(plan.programs):
                    programs.start_soon(self._run_program, number, program)
            nursery.cancel_scope.cancel()
        await self._end()

    def _may_fail(self, family: str) -> bool:
        now = trio.current_time()
        return bool(self._world.troubled(now, now, family))

    # --- lives of fronts

    async def _mount(self) -> None:
        """The next front, at once: what the cache has listed for the one before it may serve it still."""
        assert self._owner is not None
        for _ in range(100):
            life = await self._world.mount(self._owner)
            if life.operations is not None:
                self._kernel = Kernel(life, random.Random(self._world.chance.random()))
                return
            # A store that is away is not mounted; people try again.
            await trio.sleep(10)
        raise Impossible("it cannot be mounted")

    async def _kill_in_time(self, _scope: trio.CancelScope) -> None:
        for moment in self._plan.kills:
            await trio.sleep_until(moment)
            with trio.CancelScope(shield=True):
                life = self._world.life
                assert life is not None
                self._mounted = trio.Event()
                await self._world.kill(life)
                for checker in self._checkers.values():
                    checker.remounted()
                await self._mount()
                # What the one before had promised shows when the store has it.
                await self._settle()
                self._mounted.set()

    # --- programs

    async def _run_program(self, number: int, program: Program) -> None:
        """Its steps, and then it closes what it has open; when the front dies its files are gone."""
        task = _Task(self, number, program.family)
        run = SimulatedRun(number) if program.is_run else None
        if run is not None and not await self._of_run(run, run.begin):
            run = None
        for step in program.steps:
            if step.pause_s:
                await trio.sleep(step.pause_s)
            await task.do(step.op, run)
        for slot in sorted(task.handles):
            await task.do(Op("close", slot=slot))
        if run is not None and await self._of_run(run, run.end):
            self._runs.append(run)

    async def _of_run(self, run: SimulatedRun, act: Callable[[Kernel], Awaitable[None]]) -> bool:
        """Begin or end a run; whether that went well. Raises: Impossible where it did not, and nothing was wrong."""
        await self.mounted()
        kernel = self._kernel
        assert kernel is not None
        self._world.note("run", run.program, act.__name__)
        try:
            with trio.fail_after(_CALL_BOUND_S):
                await act(kernel)
        except trio.TooSlowError:
            raise Impossible(f"the run of program {run.program} does not {act.__name__}") from None
        except Gone:
            return False
        except errors.VstorefsError as error:
            if not self._plan.troubles and not self._plan.kills:
                raise Impossible(f"a run cannot {act.__name__}: {error}") from error
            return False
        return True

    async def mounted(self) -> None:
        """Wait until a front serves."""
        while not self._mounted.is_set():
            await self._mounted.wait()

    async def carry_out(self, task: _Task, op: Op) -> tuple[Life, Result | None]:
        """One call, checked. Raises: Impossible; Gone where the front died meanwhile."""
        kernel, life = self._kernel, self._world.life
        assert kernel is not None
        assert life is not None
        checker = self._checkers[task.family]
        self._numbers += 1
        number, began = self._numbers, trio.current_time()
        checker.called(number, task.number, op)
        self._world.note("call", number, task.number, *op)
        try:
            with trio.fail_after(_CALL_BOUND_S):
                result = await made(kernel, task.handles, op, task.who)
        except trio.TooSlowError:
            raise Impossible(
                f"program {task.number}: {op} has not returned in {_CALL_BOUND_S:.0f} s"
            ) from None
        except OSError as error:
            result = self._error(task, op, error, began)
        if life.dead:
            raise Gone
        self.longest_s = max(self.longest_s, trio.current_time() - began)
        self._world.note("return", number, result)
        if op.kind == "list" and isinstance(result, frozenset):
            result = frozenset(one for one in result if one.startswith(task.family))
        checker.returned(number, result)
        return life, result

    def _error(self, task: _Task, op: Op, error: OSError, began: float) -> Error:
        assert error.errno is not None
        if error.errno in _TOLD:
            return Error(error.errno)
        name = errno.errorcode.get(error.errno, "")
        now = trio.current_time()
        if error.errno not in _OUTSIDE or not self._world.troubled(began, now, task.family):
            raise Impossible(
                f"program {task.number}: {op} failed with {name}, and nothing was wrong"
            )
        self._world.note("error", name)
        return FAILED

    # --- the end

    async def _end(self) -> None:
        """Nothing fails any more."""
        world = self._world
        world.healed = True
        await self._settle()
        await self._look()
        life = world.life
        assert life is not None
        await world.unmount(life)
        if life.front.left_behind:
            raise Impossible("the unmount left something behind, and nothing was wrong")
        for checker in self._checkers.values():
            checker.remounted()
        await self._mount()
        # What was synced, and whose close failed, is in the journal: this one sends it.
        await self._settle()
        await self._look()
        life = world.life
        assert life is not None
        context = world._contexts[-1]
        pending = context.journal.pending()
        if pending:
            raise Impossible(f"the journal still has {pending}")
        self._check_runs(context)
        store = context.stores.get(SPEC.id)
        for checker in self._checkers.values():
            _check_histories(checker, store)
        taken_away = [one for one in world.shelf.taken_away if not one.startswith(_MOVED)]
        if taken_away:
            raise Impossible(f"written over in the store: {taken_away}")
        await world.unmount(life)

    def _check_runs(self, context: WorkerContext) -> None:
        """What the ledger says of runs, where nothing has cut their history short."""
        if self._plan.troubles or self._plan.kills:
            return
        for run in self._runs:
            told = context.ledger.manifest(context.ledger.find(run.id))
            why = run.fault(told, self._plan)
            if why:
                raise Impossible(why)

    async def _settle(self) -> None:
        life = self._world.life
        assert life is not None
        writing = life.parts.writing
        with trio.move_on_after(_SETTLE_BOUND_S) as scope:
            while len(writing.uploads) or writing.commits.held_back:
                await trio.sleep(1)
        if scope.cancelled_caught:
            left = [one.entry for one in writing.uploads.pending]
            raise Impossible(f"not settled {_SETTLE_BOUND_S:.0f} s after the last failure: {left}")

    async def _look(self) -> None:
        """What a program sees that looks at everything."""
        for family in self._checkers:
            task = _Task(self, _READER, family)
            waiting = [""]
            while waiting:
                _, names = await self.carry_out(task, Op("list", waiting.pop()))
                for path in sorted(names if isinstance(names, frozenset) else ()):
                    _, about = await self.carry_out(task, Op("stat", path))
                    match about:
                        case ("f", _):
                            for op in (Op("open", path, mode="r"), Op("read"), Op("close")):
                                await task.do(op)
                        case ("d", _):
                            waiting.append(path)
                        case ("l", _):
                            await self.carry_out(task, Op("readlink", path))


class _Task:
    """One program and its open files."""

    def __init__(self, history: History, number: int, family: str) -> None:
        self.number = number
        self.family = family
        self.handles: dict[int, Handle] = {}
        self._history = history
        self._life: Life | None = None
        self._paths: dict[int, str] = {}
        self.who: Any = SimpleNamespace(pid=pid_of(number), uid=os.getuid(), gid=os.getgid())

    async def do(self, op: Op, run: SimulatedRun | None = None) -> None:
        """Carry out a call, where its file is open or to be opened; when the front dies, go on with the next one."""
        await self._history.mounted()
        if self._life is not self._history._world.life:
            self.handles.clear()
        needs_open = op.kind in {"read", "write", "fsync", "ftruncate", "close"}
        if needs_open != (op.slot in self.handles) and (needs_open or op.kind == "open"):
            return
        if op.kind in {"write", "ftruncate"} and not self.handles[op.slot].writable:
            return
        try:
            self._life, result = await self._history.carry_out(self, op)
        except Gone:
            self.handles.clear()
            return
        if op.kind == "open" and op.slot in self.handles:
            self._paths[op.slot] = op.path
        if run is not None and op.kind in {"open", "read"} and op.slot in self.handles:
            run.opened.add(self._paths[op.slot])
            if op.kind == "read" and isinstance(result, bytes):
                run.read[self._paths[op.slot]] = result


def _check_histories(checker: Checker, store: Store) -> None:
    """In one of the cases at least, each promised content is in its path's history, in order, and nothing else is."""
    paths = {path for case in checker.cases for path, _ in (*case.state.log, *case.state.maybe)}
    held = {path: _history(store, path) for path in paths}
    faults = [_fault_of(case, held) for case in checker.cases]
    if all(faults):
        raise Impossible(faults[0])


def _history(store: Store, path: str) -> list[bytes]:
    found = []
    for version in store.history(Key(path)):
        if version.kind is VersionKind.CONTENT:
            blocks = store.read(Key(path), version.token, 0, version.size, version=version.id)
            # A link has no content of its own; what is missing is missed where it was promised.
            with contextlib.suppress(errors.NotFound, errors.Corrupt):
                found.append(b"".join(blocks))
    return found


def _fault_of(case: Case, held: dict[str, list[bytes]]) -> str:
    for path, contents in held.items():
        promised = [data for where, data in case.state.log if where == path]
        at = 0
        for data in _squeezed(promised):
            try:
                at = contents.index(data, at)
            except ValueError:
                return f"{path}: {data!r} is not where it was promised, in its history {contents}"
        kept = (*case.state.maybe, *case.state.again)
        times = Counter((*promised, *(data for where, data in kept if where == path)))
        for data, count in Counter(_squeezed(contents)).items():
            if data and count > times[data] > 0:
                return f"{path}: {data!r} is {count} times in its history {contents}"
    return ""


def _squeezed(contents: list[bytes]) -> list[bytes]:
    """Without what equals the one before: that makes no version."""
    return [one for number, one in enumerate(contents) if not number or one != contents[number - 1]]


def _first(group: BaseExceptionGroup[Any]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
