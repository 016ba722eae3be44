"""Exchanges the ledger with other hosts, in a thread of its own: no page waits for a store."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime

from vstorefs import errors
from vstorefs.control.exchange import exchange
from vstorefs.ledger import opening
from vstorefs.ledger.opening import Chosen
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord

_EVERY_S = 30.0


class LedgerSync:
    """Asks the default store now and then. `problem` says why that does not work, and is empty where it does."""

    def __init__(self, chosen: Chosen) -> None:
        self.problem = ""
        self.asked: datetime | None = None
        self._chosen = chosen
        self._stop = threading.Event()

    def start(self) -> None:
        """Begin. The thread ends with the process, even in the middle of a request that hangs."""
        threading.Thread(target=self._run, name="ledger-sync", daemon=True).start()

    def stop(self) -> None:
        """Ask no more."""
        self._stop.set()

    def _run(self) -> None:
        # Its own opening of the state: a request that hangs must not keep another thread from closing.
        with opening.opened(self._chosen) as ledger:
            while not self._stop.is_set():
                try:
                    problem = exchange(replace(self._chosen, mount=self._mount()), ledger)
                except errors.VstorefsError as error:
                    problem = str(error)
                if not problem:
                    self.asked = datetime.now(UTC)
                self.problem = problem
                self._stop.wait(_EVERY_S)

    def _mount(self) -> MountRecord | None:
        """A mount that shares this host's state: one may have begun or ended since."""
        wanted = self._chosen.project.default_store.id, str(self._chosen.state_dir)
        for record in sorted(mounts.living(), key=lambda one: one.read_only):
            if (record.project.default_store.id, record.state_dir) == wanted:
                return record
        return None
