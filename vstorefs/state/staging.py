"""Staging files: content being written, sparse, beside the state, in a directory of its session.

A staging file holds the ranges that were written; the rest of the content still lies in its base.
Ranges are sorted, disjoint and never touch: pure functions below keep them so.
"""

from __future__ import annotations

import os
import secrets
from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

from vstorefs import files
from vstorefs.model import SessionId, Staged

Ranges = tuple[tuple[int, int], ...]


def add(present: Ranges, start: int, end: int) -> Ranges:
    """The ranges with [start, end) in them."""
    if start >= end:
        return present
    # Writing goes on at the end nearly always: no search then.
    if present and present[-1][0] <= start <= present[-1][1]:
        return (*present[:-1], (present[-1][0], max(end, present[-1][1])))
    before = [one for one in present if one[1] < start]
    after = [one for one in present if one[0] > end]
    touched = [one for one in present if one[1] >= start and one[0] <= end]
    low = min([start, *(one[0] for one in touched)])
    high = max([end, *(one[1] for one in touched)])
    return (*before, (low, high), *after)


def cut(present: Ranges, size: int) -> Ranges:
    """The ranges below `size`."""
    return tuple((start, min(end, size)) for start, end in present if start < size)


def missing(present: Ranges, start: int, end: int) -> Ranges:
    """What of [start, end) is not there."""
    gaps = []
    at = start
    index = max(0, bisect_left(present, (start,)) - 1)
    for low, high in present[index:]:
        if low >= end:
            break
        if low > at:
            gaps.append((at, low))
        at = max(at, high)
    if at < end:
        gaps.append((at, end))
    return tuple(gaps)


class StagingArea:
    """The staging files of one session. Names are relative to the staging directory."""

    def __init__(self, state_dir: Path, session: SessionId) -> None:
        self._root = state_dir / "staging"
        self._session = session
        self._left: set[str] = set()
        self._kept: set[str] = set()
        files.make_private(self._root / session)

    def create(self) -> str:
        """A new empty staging file."""
        name = f"{self._session}/{secrets.token_hex(10)}"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        os.close(files.change("staging.create", os.open, self.path(name), flags, 0o600))
        return name

    def path(self, name: str) -> Path:
        """Where a staging file lies."""
        return self._root / name

    def clone(self, staged: Staged) -> Staged:
        """The same content in a new file, to write on while the old one is published."""
        name = self.create()
        try:
            self._copy(staged, name)
        except OSError:
            self.discard(name)
            raise
        return replace(staged, name=name)

    def _copy(self, staged: Staged, name: str) -> None:
        source = os.open(self.path(staged.name), os.O_RDONLY | os.O_CLOEXEC)
        target = files.change("staging.open", os.open, self.path(name), os.O_WRONLY | os.O_CLOEXEC)
        try:
            for start, end in staged.present:
                # Where the source ends, the rest is zeros, as a sparse file has them anyway.
                files.copy("staging.copy", source, target, start, end)
            files.change("staging.size", os.ftruncate, target, staged.size)
        finally:
            os.close(source)
            os.close(target)

    def keep(self, name: str) -> None:
        """Never remove a staging file: the next mount knows if it is needed."""
        self._kept.add(name)

    def discard(self, name: str) -> None:
        """Remove a staging file, unless it is kept; one that is gone already is fine.

        Raises: OSError; then it is tried once more when the session ends.
        """
        if name in self._kept:
            return
        try:
            files.change("staging.remove", self.path(name).unlink, missing_ok=True)
        except OSError:
            self._left.add(name)
            raise

    def close(self) -> None:
        """Remove the session's directory if nothing is left in it."""
        for name in self._left:
            files.change("staging.remove", self.path(name).unlink, missing_ok=True)
        folder = self._root / self._session
        if folder.is_dir() and not any(folder.iterdir()):
            files.change("staging.remove-directory", folder.rmdir)
