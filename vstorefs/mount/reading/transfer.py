"""One content on its way from a store to its readers and its hasher: what is known of it, and of its chunks.

Changed by `transfers.py`, `hashing.py` and `handover.py`, on the front's loop only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from vstorefs import errors
from vstorefs.checksums import Claims
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.mount.backend.job import Job
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

AT_ONCE = 5
"""What a kernel asks for ahead of one program that reads a file to its end, and the chunk that it is at."""

_AHEAD = 16
"""How far ahead a kernel asks for one that said that it reads to the end (`posix_fadvise`): two windows of 8 MiB."""


@dataclass(slots=True, eq=False)
class Transfer:
    """One content in use.

    `users` are its open handles and tasks, `readers` the handles that read it. `held`: chunks that were asked
    for with a pin which the hasher has not released; `handed`: those that its worker keeps in memory for it, likewise.
    `early`: chunks beyond the frontier that have arrived. `hasher`: the hash under way. `sums`: the checksums that its
    chunks must have, 8 bytes each, where that is known. `claims`: what its store said of it. `spoilt`: why what came is
    not the content, told to whoever reads on.
    """

    content: Content
    remote: Remote
    keep: bool
    prefix: bytes
    users: int = 0
    readers: int = 0
    in_flight: dict[int, trio.Event] = field(default_factory=dict)
    failures: dict[int, errors.VstorefsError] = field(default_factory=dict)
    present: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)
    held: set[int] = field(default_factory=set)
    handed: set[int] = field(default_factory=set)
    inline: dict[int, bytes] = field(default_factory=dict)
    frontier: int = 0
    early: set[int] = field(default_factory=set)
    asked: int = 0
    hashed: int = 0
    hasher: Job[messages.HashDone] | None = None
    downloaded: int = 0
    on_frontier: Callable[[int], None] | None = None
    sums: bytes = b""
    claims: Claims = ()
    spoilt: errors.Corrupt | None = None

    @property
    def chunks(self) -> int:
        """How many chunks the content has."""
        return -(-self.content.size // CHUNK_BYTES)

    @property
    def at_once(self) -> int:
        """How many of its chunks are in use at the same time, while one program reads it to its end."""
        return min(self.chunks, AT_ONCE)

    def ask(self, first: int, last: int) -> bool:
        """Note that chunks [first, last) are asked for; whether that is in line, and not at random.

        A kernel sends what it asks for ahead of a program in any order.
        """
        self.asked = max(self.asked, self.frontier)
        while self.asked in self.early or self.asked in self.in_flight:
            self.asked += 1
        in_line = first <= self.asked + _AHEAD
        if in_line:
            self.asked = max(self.asked, last)
        return in_line

    @property
    def unhashed(self) -> int:
        """Chunks that are there and wait for the hasher."""
        return 0 if self.hasher is None else max(0, self.frontier - self.hashed)
