"""Seeds run clean, replay exactly, shrink; and faults that are put back are found."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.simulation.faults import FAULTS, Fault
from tests.simulation.many import failures, found_after, replay_command
from tests.simulation.plan import plan_of
from tests.simulation.run import runner
from tests.simulation.shrink import shrunk
from tests.support.processes import ROOT

SEEDS = 2000
PARTS = 8
KNOWN: dict[int, str] = {}
"""Histories that are impossible still, and why: faults that are found and not mended. Each must go on to fail."""


@pytest.mark.parametrize("part", range(PARTS))
def test_no_history_is_impossible(part: int) -> None:
    """See docs/explanation/simulation.md; `make simulate SEEDS=…` goes on from here."""
    size = SEEDS // PARTS
    failed = dict(failures(part * size, size))
    known = {seed for seed in KNOWN if part * size <= seed < (part + 1) * size}
    found = [
        f"{why}\n  {replay_command(seed)}" for seed, why in failed.items() if seed not in known
    ]
    assert not found, "\n".join(found)
    assert set(failed) == known, "mended: take it out of KNOWN"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.told.replace(" ", "-"))
def test_a_fault_that_is_put_back_is_found(fault: Fault) -> None:
    assert found_after(fault, fault.within) is not None


@pytest.mark.parametrize("hashing", ["0", "1"])
def test_a_seed_is_the_same_history_each_time(hashing: str) -> None:
    """In another process, too, and whatever order its sets have."""
    seeds = range(40, 44)
    with runner() as one:
        here = [one.run(plan_of(seed)) for seed in seeds]
    code = (
        "from tests.simulation.run import runner; from tests.simulation.plan import plan_of\n"
        f"with runner() as one: print(*(one.run(plan_of(seed)).digest for seed in {list(seeds)}))"
    )
    there = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": hashing},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.split() == [one.digest for one in here]
    assert all(len(one.trace) > 20 for one in here)


def test_a_failing_history_is_made_small() -> None:
    fault = next(one for one in FAULTS if one.told == "a short write is believed")
    found = found_after(fault, fault.within)
    assert found is not None
    plan = plan_of(found[0] - 1)
    with runner() as one:
        with fault.put_back():
            small = shrunk(plan, lambda smaller: one.run(smaller).why, tries=60)
            assert one.run(small).why
        assert small.size() < plan.size()
        assert not one.run(small).why
