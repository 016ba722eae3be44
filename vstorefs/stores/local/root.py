"""The directory that a `file` store is: whether it can be used, and whether it is still the one that was mounted."""

from __future__ import annotations

import os

from vstorefs import errors, files
from vstorefs.clock import Clock
from vstorefs.model import Capabilities, Key, StoreSpec
from vstorefs.stores.addresses import folder_path
from vstorefs.stores.ids import new_id
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import can_exchange, rename_absent, translated
from vstorefs.stores.local.versions import PathVersions, Step

_NO_EXCHANGE = (
    "its file system cannot swap two names in one step, so what another program writes to a file at the very "
    "moment of a save can be lost"
)


class Root:
    """One directory, and what all that work on it share; `step` is called before each system call that matters."""

    def __init__(self, spec: StoreSpec, clock: Clock, step: Step) -> None:
        self.alias = spec.alias
        self.path = folder_path(spec.url)
        self.step = step
        self._clock = clock
        self._note = ""
        self._device: int | None = None

    def versions(self, key: Key) -> PathVersions:
        """The versions of one path."""
        return PathVersions(self.path, key, self._clock, self.step)

    def capabilities(self) -> Capabilities:
        """What its file system can do, found out by trying. Raises: NotFound, Denied."""
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
        return Capabilities(not why, why, self._note, "native", names.path_bytes(self.path))

    def _why_read_only(self) -> str:
        if not os.access(self.path, os.W_OK):
            return f"no permission to write to {self.path}"
        hidden = self.path / names.HIDDEN
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
        except OSError as error:
            return f"the file system of {self.path} cannot keep versions ({error.strerror})"
        finally:
            files.change("probe.remove", one.unlink, missing_ok=True)
            files.change("probe.remove", other.unlink, missing_ok=True)
            if made and hidden.is_dir() and not any(hidden.iterdir()):
                files.change("probe.remove", hidden.rmdir)
        return ""

    def see_that_it_is_mounted(self) -> None:
        """A share that went away leaves an empty directory behind, of another device.

        Raises: Unavailable, rather than show that.
        """
        with translated(self.alias, "", "list"):
            device = self.path.stat().st_dev
        if self._device is None:
            self._device = device
        if device != self._device:
            raise errors.Unavailable(
                f"the file system that was mounted at {self.path} is gone; mount it again",
                store=self.alias,
                operation="list",
                origin=errors.Origin.STORE,
            )
