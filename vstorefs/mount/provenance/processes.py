"""Which run a process belongs to: the one whose root is among its ancestors.

The root of a run is the process that `vstorefs run` is, which takes in orphans of its tree (a subreaper), so that the
way up from any of them leads to it. A process keeps its run for as long as it lives: what was found is remembered, by
the number of the process and when it started. The processes of other pid namespaces are not known here.
"""

from __future__ import annotations

import time

from vstorefs import files
from vstorefs.model import RunId

_KNOWN = 100_000
_LATELY_S = 0.1
_TRIES = 5
Process = tuple[int, int]
"""The number of a process and when it started, in clock ticks since boot."""


class Processes:
    """The roots of the runs of one mount; touched by the front's loop only."""

    def __init__(self) -> None:
        self._roots: dict[Process, RunId] = {}
        self._known: dict[Process, RunId | None] = {}
        self._lately: dict[int, RunId | None] = {}
        self._forget_at = 0.0

    @property
    def any(self) -> bool:
        """Whether there is any run but the mount's own."""
        return bool(self._roots)

    def add(self, root: Process, run: RunId) -> None:
        """From now on the tree of this process belongs to a run."""
        self._roots[root] = run
        self._forget()

    def remove(self, run: RunId) -> None:
        """A run has ended."""
        self._roots = {root: one for root, one in self._roots.items() if one != run}
        self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._lately.clear()

    def dead(self) -> list[RunId]:
        """Runs whose roots are gone."""
        # Called in a thread, so it goes through a copy.
        roots = self._roots.copy()
        return [run for (pid, start), run in roots.items() if files.process_start(pid) != start]

    def run_of(self, pid: int) -> RunId | None:
        """The run of a process, or of a thread; None where it is in no run's tree."""
        if not self._roots:
            return None
        # Numbers of processes are not given again within a moment.
        now = time.monotonic()
        if now > self._forget_at:
            self._lately.clear()
            self._forget_at = now + _LATELY_S
        if pid not in self._lately:
            self._lately[pid] = self._look_up(pid)
        return self._lately[pid]

    def _look_up(self, pid: int) -> RunId | None:
        for _ in range(_TRIES):
            is_whole, found = self._go_up(pid)
            if is_whole:
                return found
        return None

    def _go_up(self, pid: int) -> tuple[bool, RunId | None]:
        """The run of a process, and whether the way up was whole.

        It is not where a parent ends meanwhile: then the child has another one.
        """
        way: list[Process] = []
        found = None
        while pid > 1:
            about = files.process_parent(pid)
            if about is None:
                return False, None
            parent, start = about
            here = (pid, start)
            if here in self._roots:
                found = self._roots[here]
                break
            if here in self._known:
                found = self._known[here]
                break
            way.append(here)
            pid = parent
        if len(self._known) > _KNOWN:
            self._known.clear()
        self._known.update(dict.fromkeys(way, found))
        return True, found
