"""What makes a seed the whole of a history: the order of tasks, time, names by chance, threads.

* *Order of tasks*: trio's own scheduler, with its generator replaced by a seeded one and the sorting that makes its
  shuffle repeatable (`_ALLOW_DETERMINISTIC_SCHEDULING`), which is what it does for hypothesis; nothing else can reorder.
* *Time*: trio's MockClock, which jumps ahead when nobody can go on. Every clock of the code asks it.
* *Threads*: `trio.to_thread.run_sync` calls in place, between two pauses. Worker code is a greenlet that may wait
  (`wait`) for anything that trio can wait for: a request to a store, a pause before the next try, a lock.
* *Names by chance*: `secrets` and the jitter of pauses take from the seed.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace, TracebackType
from typing import Any, TypeVar
from unittest import mock

import greenlet
import trio

from tests.support.clocks import TrioClock
from vstorefs.stores.retry import Retrying, ask_again

T = TypeVar("T")


@contextmanager
def seeded(chance: random.Random) -> Iterator[None]:
    """While this lasts, what happens depends on `chance` alone."""
    clock = TrioClock()
    with ExitStack() as stack:
        patch = stack.enter_context
        core = "trio._core._run"
        patch(mock.patch(f"{core}._ALLOW_DETERMINISTIC_SCHEDULING", True))
        patch(mock.patch(f"{core}._r", random.Random(chance.random())))
        names = random.Random(chance.random())
        patch(mock.patch.object(secrets, "randbits", names.getrandbits))
        patch(mock.patch.object(secrets, "token_hex", lambda size: names.randbytes(size).hex()))
        patch(mock.patch("vstorefs.backoff.random", random.Random(chance.random())))
        timing = {"sleep": sleep, "now": trio.current_time}
        assert ask_again.__kwdefaults__ is not None
        patch(mock.patch.dict(ask_again.__kwdefaults__, timing))
        patch(mock.patch.dict(Retrying.__init__.__kwdefaults__, timing))
        for module in ("workers.jobs.context", "ledger.opening", "mount.front"):
            patch(mock.patch(f"vstorefs.{module}.SystemClock", return_value=clock))
        ours = SimpleNamespace(monotonic=trio.current_time)
        patch(mock.patch("vstorefs.versions.layouts.format.time", ours))
        patch(mock.patch("vstorefs.mount.provenance.processes.time", ours))
        # Only these two are held while a store is asked.
        locks = SimpleNamespace(Lock=WaitingLock)
        patch(mock.patch("vstorefs.workers.jobs.context.threading", locks))
        patch(mock.patch("vstorefs.versions.layouts.format.threading", locks))
        for module in (
            "ledger.exchange",
            "versions.layouts.recordstore",
            "versions.layouts.portablehistory",
        ):
            patch(mock.patch(f"vstorefs.{module}.ThreadPoolExecutor", _OneByOne))
        yield


# --- worker code, which blocks


async def carry_out(work: Callable[[], T], abandoned: list[Any]) -> T:
    """Run code that blocks, in a greenlet: what it waits for is awaited here.

    Where that is cancelled the code stops where it is, for good, as in a process that was killed; it is put among the
    `abandoned`, for code that is thrown away would run its `finally` clauses first.
    """
    job = greenlet.greenlet(work)
    asked = job.switch()
    while not job.dead:
        try:
            answer = await asked()
        except trio.Cancelled:
            abandoned.append(job)
            raise
        except Exception as error:  # noqa: BLE001 — it belongs to who waits
            asked = job.throw(error)
        else:
            asked = job.switch(answer)
    result: T = asked
    return result


def wait(until: Callable[[], Awaitable[T]]) -> T:
    """Block worker code until something has happened; outside of a job nothing can be waited for."""
    here = greenlet.getcurrent()
    assert here.parent is not None, "only a job may wait"
    result: T = here.parent.switch(until)
    return result


def in_a_job() -> bool:
    """Whether the code that runs may wait."""
    return greenlet.getcurrent().parent is not None


def sleep(seconds: float) -> None:
    """What `time.sleep` is to worker code."""
    wait(lambda: trio.sleep(seconds))


class WaitingLock:
    """A lock of worker code; a real one would stop all of the simulation."""

    def __init__(self) -> None:
        self._held = False
        self._freed = trio.Event()

    def __enter__(self) -> None:
        while self._held:
            wait(self._freed.wait)
        self._held = True

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._held = False
        self._freed.set()
        self._freed = trio.Event()


class _OneByOne:
    """A pool of threads that has none."""

    def __init__(self, _size: int) -> None:
        self.map = map

    def __enter__(self) -> _OneByOne:
        return self

    def __exit__(self, *_: object) -> None:
        return
