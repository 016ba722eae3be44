"""Many seeds, one after the other or on several processes; how soon a fault is found."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed

from tests.simulation.faults import Fault
from tests.simulation.plan import plan_of
from tests.simulation.run import runner

_CHUNK = 50

Failure = tuple[int, str]
"""A seed, and what was impossible in its history."""


def replay_command(seed: int) -> str:
    """What shows a seed again."""
    return f"{sys.executable} -m tests.simulation --seed {seed} --shrink"


def failures(first: int, count: int) -> Iterator[Failure]:
    """Those of so many seeds that fail."""
    with runner() as one:
        for seed in range(first, first + count):
            why = one.run(plan_of(seed)).why
            if why:
                yield seed, why


def chunks(first: int, count: int, jobs: int) -> Iterator[tuple[int, list[Failure]]]:
    """The same on several processes: how many seeds were gone through since the last time, and those that failed."""
    starts = iter(range(first, first + count, _CHUNK))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context) as pool:
        # A few ahead of the processes: a million of them would only fill memory.
        waiting = {
            pool.submit(_chunk, at, min(_CHUNK, first + count - at))
            for at in itertools.islice(starts, 2 * jobs)
        }
        while waiting:
            done = next(as_completed(waiting))
            waiting.discard(done)
            yield done.result()
            at = next(starts, None)
            if at is not None:
                waiting.add(pool.submit(_chunk, at, min(_CHUNK, first + count - at)))


def _chunk(first: int, count: int) -> tuple[int, list[Failure]]:
    return count, list(failures(first, count))


def found_after(fault: Fault, count: int, first: int = 0) -> tuple[int, str] | None:
    """How many seeds it takes until a fault is found, and how it shows; None where that is more than `count`.

    A seed that fails without it does not count.
    """
    with runner() as one:
        for seed in range(first, first + count):
            with fault.put_back():
                why = one.run(plan_of(seed)).why
            if why and not one.run(plan_of(seed)).why:
                return seed - first + 1, why
    return None
