"""`python -m tests.simulation`: carry out many seeds, replay one, or measure how soon faults are found.

python -m tests.simulation 1000000 --jobs 4     seeds 0 to 999,999, on four processes
python -m tests.simulation 1000 --from 5000     seeds 5,000 to 5,999
python -m tests.simulation --seed 1021          one seed, with its trace
python -m tests.simulation --seed 1021 --shrink the same, made as small as it can be
python -m tests.simulation --faults             after how many seeds each known fault is found
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.simulation.faults import FAULTS
from tests.simulation.many import chunks, found_after, replay_command
from tests.simulation.plan import Plan, plan_of
from tests.simulation.run import Outcome, runner
from tests.simulation.shrink import shrunk

_TOLD_EVERY_S = 10.0
_FAULT_SEEDS = 3000


def main() -> int:
    """Do what the command line says; the exit status is 1 where a seed failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulation", description="simulated histories"
    )
    parser.add_argument("seeds", type=int, nargs="?", default=2000, help="how many (2000)")
    parser.add_argument("--from", type=int, default=0, dest="first", help="the first seed (0)")
    parser.add_argument("--jobs", type=int, default=1, help="on so many processes (1)")
    parser.add_argument("--seed", type=int, help="this one only, with its trace")
    parser.add_argument("--shrink", action="store_true", help="make it as small as it can be")
    parser.add_argument("--faults", action="store_true", help="how soon each known fault is found")
    asked = parser.parse_args()
    if asked.faults:
        return _show_faults(asked.first)
    if asked.seed is not None:
        return _replay(asked.seed, shrinks=asked.shrink)
    return _go_through(asked.first, asked.seeds, asked.jobs)


def _go_through(first: int, count: int, jobs: int) -> int:
    began = told_at = time.monotonic()
    done = failed = 0
    for size, found in chunks(first, count, jobs):
        done += size
        failed += len(found)
        for seed, why in found:
            print(f"seed {seed}: {why}\n    {replay_command(seed)}", flush=True)
        now = time.monotonic()
        if now - told_at > _TOLD_EVERY_S or done == count:
            told_at = now
            rate = done / (now - began)
            print(f"{done:,} seeds, {failed:,} failed, {rate:.1f} a second", flush=True)
    return 1 if failed else 0


def _replay(seed: int, *, shrinks: bool) -> int:
    with runner() as one:
        plan = plan_of(seed)
        if shrinks and one.run(plan).why:
            plan = shrunk(plan, lambda smaller: one.run(smaller).why)
        outcome = one.run(plan)
    _tell(plan, outcome)
    return 1 if outcome.why else 0


def _tell(plan: Plan, outcome: Outcome) -> None:
    print("\n".join(plan.lines()), end="\n\n")
    for at, *what in outcome.trace:
        print(f"{at:12.6f}", *what)
    print(f"\n{outcome.why or 'nothing impossible'}; trace {outcome.digest[:16]}")


def _show_faults(first: int) -> int:
    missed = 0
    print("| fault | found after | as |\n|---|---|---|")
    for fault in FAULTS:
        found = found_after(fault, _FAULT_SEEDS, first)
        missed += found is None
        after = f"{found[0]} seeds" if found else f"not in {_FAULT_SEEDS} seeds"
        told = found[1].splitlines()[-1][:90].replace("|", "/") if found else ""
        print(f"| {fault.told} | {after} | {told} |", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
