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
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing import dependencies
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.pending import CommittedDraft, PendingChange
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.state.journal import Journal
from vstorefs.versions.publish import Publisher


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
        "a close that joins a failed one leaves what its fsync had recorded",
        Commits,
        "_same_as_waiting",
        "await self._drop_synced(draft)",
        "pass",
    ),
    Fault(
        "an unlink while a close syncs brings the file back",
        Commits,
        "_commit",
        "if node.removed:",
        "if False:",
    ),
    Fault(
        "a rename that the journal refused leaves the file under the new name",
        PendingChange,
        "undo",
        "self.move.take_back()",
        "pass",
    ),
    Fault(
        "a truncate after an fsync changes what the journal names",
        Commits,
        "_change",
        "if draft.would_change_synced(",
        "if False and draft.would_change_synced(",
    ),
    Fault(
        "a short write is believed",
        files,
        "write_all",
        "view = view[written:]",
        "view = view[len(view) :]",
    ),
    Fault(
        "a scratch name that nobody renames is never published",
        Commits,
        "_publish_held",
        "await self._commit(node, draft)",
        "pass",
    ),
    Fault(
        "what was published is not looked for after a lost reply",
        Uploads,
        "_try",
        "look=entry.adopted or pending.attempts > 0 or entry.attempts > 0",
        "look=False",
    ),
    Fault(
        "an upload that ends takes along what was written meanwhile",
        CommittedDraft,
        "settle",
        "if node.draft is self.draft:\n        node.draft = None",
        "node.draft = None",
    ),
    Fault(
        "a writer goes on in a draft that is on its way",
        Commits,
        "_change",
        "if draft.frozen or node.draft is not draft:",
        "if False:",
    ),
    Fault(
        "a listing that was asked for before a change undoes it",
        Namespace,
        "_apply",
        "local.pending == 0 and local.settled_at < listed_at",
        "local.pending == 0",
    ),
    Fault(
        "a change is forgotten as soon as the store has it",
        Namespace,
        "_load",
        "max(self._clock.monotonic_s() - lifetime, settled, directory.expired_at)",
        "max(self._clock.monotonic_s() - lifetime, directory.expired_at)",
    ),
    Fault(
        "a directory is renamed in the store before what is in it is there",
        dependencies,
        "_is_whole",
        "entry.operation in _WHOLE or (",
        "entry.operation in _WHOLE or False and (",
    ),
    Fault(
        "what was synced and not closed is dropped by the next mount",
        Journal,
        "adopt",
        "elif entry.promise is Promise.SCRATCH:",
        "elif entry.promise is Promise.SYNCED:",
    ),
    Fault(
        "what a program reads is noted for no run",
        Uses,
        "opened",
        "if content is not None:",
        "if False:",
    ),
    Fault(
        "hashes of a short read are taken for none",
        Hashing,
        "last_reader_left",
        "if size <= self._whole_below or",
        "if",
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
    Fault(
        "a promise waits for a draft that its writer has left",
        Commits,
        "commit",
        "if node.draft is not draft:",
        "if False:",
    ),
    Fault(
        "a second write of equal content is what an unlink starts from",
        Publisher,
        "publish",
        "if outcome.unchanged and outcome.version else None",
        "if False else None",
    ),
    Fault(
        "a reader who goes takes along what a truncate is about to cut",
        Commits,
        "finish",
        "if not draft.dirty and draft.lock.locked():",
        "if False:",
    ),
    Fault(
        "a worker that dies as it takes over makes the mount forget what that was",
        Journal,
        "adopt",
        "if owner == session and entry.adopted and entry.store in stores:",
        "if False:",
    ),
    Fault(
        "one name that the server refuses makes the store down",
        Remote,
        "doubt",
        "await self._look(about_root=about_root)",
        "self.note_failure(error)",
    ),
    Fault(
        "a refused close leaves its file without a name of its own",
        CommittedDraft,
        "undo",
        "self.draft.frozen = False",
        "pass",
    ),
)
