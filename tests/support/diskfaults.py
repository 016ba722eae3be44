"""A disk that refuses one change, or takes less of it than it was given: chosen by the label of the change."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vstorefs import files

FAULTS = (errno.EIO, errno.ENOSPC, None)
"""What a change meets: an error, or (None) that the disk takes one byte of it."""


@dataclass
class Disk:
    """Notes the labels of changes, in order; the one at place `at` meets `fault`.

    It does not know what is `unknown`, and lets pass what is not `watched`.
    """

    at: int | None = None
    fault: int | None = None
    unknown: frozenset[str] = frozenset()
    watched: Callable[[str], bool] = lambda _: True
    made: list[str] = field(default_factory=list)

    def __call__(self, label: str) -> int | None:
        """See `files.before_change`."""
        if not self.watched(label):
            return None
        self.made.append(label)
        if label in self.unknown:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        if len(self.made) - 1 != self.at:
            return None
        if self.fault is None:
            return 1
        raise OSError(self.fault, os.strerror(self.fault))


@contextmanager
def disk(
    at: int | None = None,
    fault: int | None = None,
    unknown: frozenset[str] = frozenset(),
    watched: Callable[[str], bool] = lambda _: True,
) -> Iterator[Disk]:
    """All changes that this process makes meanwhile go through such a disk."""
    one = Disk(at, fault, unknown, watched)
    before, files.before_change = files.before_change, one
    try:
        yield one
    finally:
        files.before_change = before
