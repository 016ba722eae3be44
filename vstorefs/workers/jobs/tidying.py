"""Moves superseded records out of the way of listings, behind everything else."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable

from vstorefs import errors
from vstorefs.model import JournalEntry, Key, StoreId
from vstorefs.stores.base import Store

log = logging.getLogger(__name__)


class Tidier:
    """One thread that tidies paths that were published to, each once however often it was."""

    def __init__(self, store: Callable[[StoreId], Store]) -> None:
        self._store = store
        self._waiting: OrderedDict[tuple[StoreId, Key], None] = OrderedDict()
        self._changed = threading.Condition()

    def later(self, entry: JournalEntry) -> None:
        """Tidy what an entry was about, when there is time."""
        with self._changed:
            for path in (entry.path, entry.target):
                if path is not None:
                    self._waiting[entry.store, path] = None
            self._changed.notify()

    def run(self) -> None:
        """Tidy what comes, for ever."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                (store, path), _ = self._waiting.popitem(last=False)
            try:
                self._store(store).tidy(path)
            except errors.StoreError as error:
                # The next writer of this path tries again.
                log.debug("cannot tidy: %s", error)
            except Exception:
                log.exception("cannot tidy %s", path)
