"""Runs that programs are: how they begin and end, and what the ledger must say of them.

The processes are made up; their runs begin and end as the control socket has it. What is checked is narrow and certain:
a file that was there before and that nothing ever changes is an input, with its hashes, of a run that read all of it;
and a run has no inputs but what it opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import pyfuse3

from tests.simulation.kernel import Kernel
from tests.simulation.plan import Plan, Program
from vstorefs import files
from vstorefs.control.runs import BeginRun, EndRun
from vstorefs.ledger.manifest import Manifest

_FIRST_PID = 5_000_000
"""Above all that the kernel gives."""
_CHANGES = {"truncate", "rename", "unlink", "rmdir", "mkdir", "symlink"}


@dataclass
class SimulatedRun:
    """One program that is a run, from its first step to its last. `read`: what it read whole, by path."""

    program: int
    id: str = ""
    opened: set[str] = field(default_factory=set)
    read: dict[str, bytes] = field(default_factory=dict)

    async def begin(self, kernel: Kernel) -> None:
        """As `vstorefs run` begins. Raises: an error of ours, Gone."""
        about = BeginRun(
            name=f"program {self.program}",
            command=("program",),
            folder="",
            commit=None,
            pid=pid_of(self.program),
            start=1,
            inherited=(),
        )
        self.id = (await kernel.control(about)).run

    async def end(self, kernel: Kernel) -> None:
        """As it ends. Raises: an error of ours, Gone."""
        await kernel.control(EndRun(self.id, 0))

    def fault(self, told: Manifest, plan: Plan) -> str:
        """What is wrong with what the ledger says of it; empty where nothing is."""
        found = {str(one.place.path): one for one in told.inputs}
        untouched = untouched_files(plan)
        for path, data in self.read.items():
            if path not in untouched:
                continue
            if path not in found:
                return f"{path} was read by program {self.program}, and is no input of its run"
            hashes = found[path].content.hashes
            if hashes is None or hashes.sha256 != hashlib.sha256(data).hexdigest():
                return f"{path} is an input with other hashes than what program {self.program} read: {hashes}"
        others = {path for path in found if path in untouched} - self.opened
        return f"{others} are inputs of a run that did not open them" if others else ""


def pid_of(program: int) -> int:
    """The process of a program."""
    return _FIRST_PID + program


def untouched_files(plan: Plan) -> set[str]:
    """Files that are there from the beginning and that no program changes, nor what they lie in."""
    touched = {one for program in plan.programs for one in _touched(program)}
    return {
        path
        for path, _ in plan.files
        if not any(path == one or path.startswith(f"{one}/") for one in touched)
    }


def _touched(program: Program) -> Iterator[str]:
    for step in program.steps:
        op = step.op
        if op.kind in _CHANGES or (op.kind == "open" and op.mode != "r"):
            yield op.path
            yield op.other


@contextmanager
def processes(plan: Plan) -> Iterator[None]:
    """While this lasts, programs are processes, each a child of the first one, and the kernel forgets what it is told to."""
    made_up = {pid_of(number) for number in range(len(plan.programs))}
    real_parent, real_start = files.process_parent, files.process_start

    def parent(pid: int) -> tuple[int, int] | None:
        return (1, 1) if pid in made_up else real_parent(pid)

    def start(pid: int) -> int | None:
        return 1 if pid in made_up else real_start(pid)

    forget: Any = mock.patch.object(pyfuse3, "invalidate_entry")
    with (
        forget,
        mock.patch.object(files, "process_parent", parent),
        mock.patch.object(files, "process_start", start),
    ):
        yield
