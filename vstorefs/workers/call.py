"""One request under way in a worker: what its job tells meanwhile, and what the front says of it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from vstorefs.checksums import Claims
from vstorefs.workers.messages import Available, Claimed, Passed, Remark, Report


class Call:
    """The other end of one job; used by the job's thread, while the worker's main thread passes on remarks."""

    def __init__(self, report: Callable[[Report], None]) -> None:
        self.report = report
        self._available = 0
        self._claims: Claims = ()
        self._abandoned = False
        self._begun = False
        self._withdrawn = False
        self._passed: dict[int, bytes] = {}
        self._changed = threading.Condition()

    @property
    def abandoned(self) -> bool:
        """Whether nobody needs the answer any more."""
        return self._abandoned

    @property
    def available(self) -> int:
        """Chunks [0, available) have been in the cache, as far as the front has said."""
        return self._available

    @property
    def claims(self) -> Claims:
        """What a store has said of the content that the job is about, as far as the front has told."""
        return self._claims

    def begin(self) -> bool:
        """Whether a definite request is still wanted: asked when nothing stands before its change any more.

        From then on it cannot be withdrawn.
        """
        with self._changed:
            self._begun = not self._withdrawn
            return self._begun

    def withdraw(self) -> bool:
        """See that it never begins; False where it has begun, and is to be waited for."""
        with self._changed:
            self._withdrawn = not self._begun
            return self._withdrawn

    def heed(self, remark: Remark) -> None:
        """Take in what the front says."""
        with self._changed:
            if isinstance(remark, Available):
                self._available = max(self._available, remark.until)
            elif isinstance(remark, Claimed):
                self._claims = remark.claims
            elif isinstance(remark, Passed):
                self._passed[remark.chunk] = remark.data
            else:
                self._abandoned = True
            self._changed.notify_all()

    def wait_for(self, chunk: int) -> bool:
        """Wait until the front has said that a chunk has been in the cache; False when abandoned."""
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or self._available > chunk)
            return not self._abandoned

    def take(self, chunk: int) -> bytes | None:
        """A chunk that the front has handed over, once; None where it has not."""
        with self._changed:
            return self._passed.pop(chunk, None)
