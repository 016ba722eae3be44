"""md5, sha1 and sha256 of one content, side by side: hashlib lets go of the interpreter while it works."""

from __future__ import annotations

import hashlib
import queue
import threading
from pathlib import Path

from vstorefs.model import Hashes

_BLOCK = 1 << 20
_QUEUED = 4


class Digests:
    """Three digests, each fed by a thread of its own from the second block on.

    One block needs no threads.
    """

    def __init__(self) -> None:
        self._digests = (
            hashlib.md5(usedforsecurity=False),
            hashlib.sha1(usedforsecurity=False),
            hashlib.sha256(),
        )
        self._begun = False
        self._queues: list[queue.Queue[bytes | None]] = []
        self._threads: list[threading.Thread] = []

    @staticmethod
    def _run(digest: hashlib._Hash, blocks: queue.Queue[bytes | None]) -> None:
        while (block := blocks.get()) is not None:
            digest.update(block)

    def update(self, block: bytes) -> None:
        """Digest what comes next; returns when a few blocks at most are waiting."""
        if not self._begun:
            self._begun = True
            for digest in self._digests:
                digest.update(block)
            return
        if not self._threads:
            self._start()
        for one in self._queues:
            one.put(block)

    def _start(self) -> None:
        for digest in self._digests:
            self._queues.append(queue.Queue(_QUEUED))
            self._threads.append(
                threading.Thread(target=self._run, args=(digest, self._queues[-1]), daemon=True)
            )
            self._threads[-1].start()

    def finish(self) -> Hashes:
        """The digests of all that came."""
        for one in self._queues:
            one.put(None)
        for thread in self._threads:
            thread.join()
        return Hashes(*(digest.hexdigest() for digest in self._digests))


def hash_file(path: Path) -> Hashes:
    """The digests of a file."""
    digests = Digests()
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digests.update(block)
    finally:
        hashes = digests.finish()
    return hashes
