"""Makes a failing history small: takes out what it does not need, greedily, for as long as it still fails.

What is taken out changes what chance decides after it, so a smaller history may fail otherwise or not at all; it is kept
where it fails in the same way, which is told by the first words of what was impossible.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.simulation.plan import Plan, Step

_TRIES = 1500


def shrunk(plan: Plan, fails: Callable[[Plan], str], tries: int = _TRIES) -> Plan:
    """The smallest history that was found which fails like this one; `fails` says how one does, or nothing."""
    wanted = kind_of(fails(plan))
    left = tries
    progress = True
    while progress and left > 0:
        progress = False
        for smaller in _smaller(plan):
            left -= 1
            if left <= 0:
                break
            if kind_of(fails(smaller)) == wanted:
                plan, progress = smaller, True
                break
    return plan


def kind_of(why: str) -> str:
    """How something fails, without what differs from one history to the next."""
    why = re.sub(r"^program \d+: ", "", why)
    found = re.match(r"Op\(kind='(\w+)'.*?\) (got|failed|has)", why)
    return (
        f"{found[1]} {found[2]}" if found else re.sub(r"[^a-z ]", "", why.partition("[")[0])[-30:]
    )


def _smaller(plan: Plan) -> Iterator[Plan]:
    """What is left when something is taken out, the largest pieces first."""
    for number in range(len(plan.programs)):
        yield replace(plan, programs=_without(plan.programs, number))
    for number in range(len(plan.kills)):
        yield replace(plan, kills=_without(plan.kills, number))
    for number in range(len(plan.troubles)):
        yield replace(plan, troubles=_without(plan.troubles, number))
    for number in range(len(plan.files)):
        yield replace(plan, files=_without(plan.files, number))
    for number in range(len(plan.folders)):
        yield replace(plan, folders=_without(plan.folders, number))
    for number, program in enumerate(plan.programs):
        if program.is_run:
            programs = list(plan.programs)
            programs[number] = replace(program, is_run=False)
            yield replace(plan, programs=tuple(programs))
        for steps in _fewer(program.steps):
            programs = list(plan.programs)
            programs[number] = replace(program, steps=steps)
            yield replace(plan, programs=tuple(programs))


def _fewer(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    size = len(steps) // 2
    while size:
        for start in range(0, len(steps), size):
            yield steps[:start] + steps[start + size :]
        size //= 2
    for number, step in enumerate(steps):
        if step.pause_s:
            yield (*steps[:number], Step(step.op), *steps[number + 1 :])


def _without(values: tuple[Any, ...], number: int) -> tuple[Any, ...]:
    return values[:number] + values[number + 1 :]
