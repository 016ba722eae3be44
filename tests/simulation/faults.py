"""Faults put back, one at a time, to show that the simulation finds them: each is a way that the code was, or could be.

A fault is a change of one function's text while it lasts. Where the text is no longer there it says so, rather than
change nothing.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from vstorefs import files
from vstorefs.mount.writing import dependencies
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.pending import PendingChange
from vstorefs.state.journal import Journal


@dataclass(frozen=True)
class Fault:
    """In function `name` of `place`, `new` instead of `old`; found within so many seeds, from 0 on."""

    told: str
    place: Any
    name: str
    old: str
    new: str
    within: int = 2000

    @contextmanager
    def put_back(self) -> Iterator[None]:
        """While this lasts, the code has the fault."""
        function = vars(self.place)[self.name]
        with mock.patch.object(self.place, self.name, self._changed(function)):
            yield

    def _changed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        text = textwrap.dedent(inspect.getsource(function))
        if self.old not in text:
            raise LookupError(
                f"{self.name} has no {self.old!r} any more: put this fault back otherwise"
            )
        text = f"from __future__ import annotations\n{text.replace(self.old, self.new)}"
        found: dict[str, Any] = {}
        exec(
            compile(text, self.name, "exec"), function.__globals__, found
        )  # its own function's text, changed
        made: Callable[..., Any] = found[self.name]
        return made


FAULTS = (
    Fault(
        "an unlink while a close syncs brings the file back",
        Commits,
        "_commit",
        "if node.removed:",
        "if False:",
    ),
    Fault(
        "a short write is believed",
        files,
        "write_all",
        "view = view[written:]",
        "view = view[len(view) :]",
    ),
    Fault(
        "a directory is renamed in the store before what is in it is there",
        dependencies,
        "_is_whole",
        "entry.operation in _WHOLE or moves_directory(entry)",
        "entry.operation in _WHOLE",
    ),
    Fault(
        "what was synced and not closed is dropped by the next mount",
        Journal,
        "adopt",
        "elif entry.promise is Promise.SCRATCH:",
        "elif entry.promise is Promise.SYNCED:",
    ),
    Fault(
        "an unlink leaves the name until the journal has it",
        PendingChange,
        "show",
        "if self.move is not None:",
        "if self.move is not None and not isinstance(self.move, Departure):",
    ),
    Fault(
        "what a new file had replaced comes back when that is removed",
        Changes,
        "remove",
        "and not replaces(node)",
        "",
    ),
)
