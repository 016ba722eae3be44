"""The directory that a `file` store is: whether it can be used, and whether it is still the one that was mounted."""

from __future__ import annotations

import copy
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vstorefs import errors, files
from vstorefs.clock import Clock
from vstorefs.model import Capabilities, Key, StoreSpec
from vstorefs.stores.addresses import folder_path
from vstorefs.stores.ids import new_id
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import can_exchange, rename_absent, translated
from vstorefs.stores.local.place import Place
from vstorefs.stores.local.versions import PathVersions, Step

_NO_EXCHANGE = (
    "its file system cannot swap two names in one step, so what another program writes to a file at the very "
    "moment of a save can be lost"
)


_TRIES = 20


class Root:
    """One directory, and what all that work on it share; `step` is called before each system call that matters."""

    def __init__(self, spec: StoreSpec, clock: Clock, step: Step) -> None:
        self.alias = spec.alias
        self.path = folder_path(spec.url)
        self.step = step
        self._clock = clock
        self._note = ""
        self._place = Place(spec.alias, self.path)

    def look(self, operation: str) -> None:
        """See that it is there, and still what was mounted. Raises: Displaced."""
        self._place.look(operation)

    @contextmanager
    def held(self, operation: str) -> Iterator[Root]:
        """This root for who changes something: nothing lands anywhere else, whatever becomes of the path meanwhile.

        Raises: Displaced, before anything is changed.
        """
        with self._place.held(operation) as path:
            yield self._below(path)

    def _below(self, path: Path) -> Root:
        found = copy.copy(self)
        found.path = path
        return found

    def versions(self, key: Key) -> PathVersions:
        """The versions of one path."""
        return PathVersions(self.path, key, self._clock, self.step)

    def capabilities(self) -> Capabilities:
        """What its file system can do, found out by trying. Raises: NotFound, Denied, Displaced."""
        if not self.path.is_dir():
            raise errors.NotFound(
                f"there is no directory {self.path}; make it, or correct the URL",
                store=self.alias,
                operation="check",
            )
        with translated(self.alias, "", "check"):
            if not os.access(self.path, os.R_OK | os.X_OK):
                raise errors.Denied(
                    f"no permission to read {self.path}", store=self.alias, operation="check"
                )
            why = self._why_read_only()
        longest = names.path_bytes(self.path)
        return Capabilities(not why, why, self._note, "native", longest, names.PART_BYTES)

    def _why_read_only(self) -> str:
        if not os.access(self.path, os.W_OK):
            return f"no permission to write to {self.path}"
        with self._place.held("check", agree=False) as root:
            return self._why_no_versions(root)

    def _why_no_versions(self, root: Path) -> str:
        for left in reversed(range(_TRIES)):
            try:
                self._try(root / names.HIDDEN)
                break
            except OSError as error:
                # Another worker that tries it may just have taken the directory away.
                if error.errno not in {errno.ENOENT, errno.EEXIST} or not left:
                    return f"the file system of {self.path} cannot keep versions ({error.strerror})"
        return ""

    def _try(self, hidden: Path) -> None:
        made = not hidden.exists()
        one, other = hidden / f"probe-{new_id()}", hidden / f"probe-{new_id()}"
        try:
            files.change("probe.make", hidden.mkdir, exist_ok=True)
            files.change("probe.create", one.touch)
            files.change("probe.create", other.touch)
            if not can_exchange(one, other):
                self._note = _NO_EXCHANGE
            files.change("probe.remove", one.unlink)
            rename_absent(other, one)
        finally:
            files.change("probe.remove", one.unlink, missing_ok=True)
            files.change("probe.remove", other.unlink, missing_ok=True)
            if made:
                # What others have in it by now stays.
                with suppress(OSError):
                    files.change("probe.remove", hidden.rmdir)
