"""Every file that is read is hashed on its first read, once per version; these log lines say so.

A hash begins with the first read of a content that this host has not hashed. A worker goes through
the chunks as they arrive. When the last reader closes before the end, a small or mostly read
content is read to its end in the background; otherwise the hash is given up, and the next first
read begins it again.

Where the worker finds that what came is not the content, whoever reads it gets an error from then on; who has read
it to its end gets it at the close, which waits for that.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from vstorefs import errors, units
from vstorefs.cache.keys import content_prefix
from vstorefs.ledger.manifest import ChangeWarning
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.mount.backend.job import Job
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_KNOWN = 500_000
_COMPARED_S = 5.0


class Hashing:
    """All hashes under way; touched by the front's loop only."""

    def __init__(
        self,
        pool: Pool,
        transfers: Transfers,
        nursery: trio.Nursery,
        on_warning: Callable[[ChangeWarning], None],
        *,
        whole_below: int,
        whole_part: float,
    ) -> None:
        self._pool = pool
        self._transfers = transfers
        self._nursery = nursery
        self._on_warning = on_warning
        self._whole_below = whole_below
        self._whole_part = whole_part
        self._known: set[bytes] = set()
        self._jobs: dict[bytes, Job[messages.HashDone]] = {}
        self._followed: dict[bytes, Transfer] = {}
        self._asking: dict[bytes, trio.Event] = {}
        self._given_up: set[bytes] = set()
        self._spoilt: set[bytes] = set()
        self._anew: dict[bytes, str] = {}
        self._later: dict[bytes, trio.Event] = {}

    async def begin(self, transfer: Transfer, path: str) -> None:
        """Before the first read through a transfer.

        Start hashing it, unless its hashes are known or cannot be trusted.
        """
        prefix = transfer.prefix
        if prefix in self._given_up:
            self._anew[prefix] = path
        if prefix in self._known or prefix in self._jobs or not transfer.keep:
            return
        asking = self._asking.get(prefix)
        if asking is not None:
            await asking.wait()
            return
        self._asking[prefix] = trio.Event()
        try:
            answer = await self._pool.ask(messages.Known(transfer.content))
            if answer.read:
                self._note_known(prefix)
            else:
                self._begin(transfer, path)
        finally:
            self._asking.pop(prefix).set()

    def begin_later(self, transfer: Transfer, path: str, seconds: float) -> None:
        """Likewise, for a content whose token can be trusted after so many seconds, if its store has it still."""
        if transfer.prefix not in self._later:
            self._later[transfer.prefix] = trio.Event()
            transfer.users += 1
            self._nursery.start_soon(self._begin_trusted, transfer, path, seconds)

    async def _begin_trusted(self, transfer: Transfer, path: str, seconds: float) -> None:
        try:
            await trio.sleep(seconds)
            self._transfers.trust(transfer)
            await self.begin(transfer, path)
            if transfer.readers == 0:
                self.last_reader_left(transfer)
        except errors.VstorefsError as error:
            log.info("%s: not hashed: %s", path, error)
        finally:
            self._later.pop(transfer.prefix).set()
            self._transfers.close(transfer)

    async def begun(self, transfer: Transfer) -> None:
        """Return when it is decided whether a transfer is hashed, which another read has asked for."""
        asking = self._asking.get(transfer.prefix)
        if asking is not None:
            await asking.wait()

    def last_reader_left(self, transfer: Transfer) -> None:
        """Nobody reads this content any more.

        Finish its hash where that is worth it, else give it up.
        """
        job = self._jobs.get(transfer.prefix)
        if job is None or transfer.prefix in self._given_up:
            return
        if transfer.frontier >= transfer.chunks:
            return
        size = transfer.content.size
        read = min(size, len(transfer.touched) * CHUNK_BYTES)
        if size <= self._whole_below or read >= size * self._whole_part:
            transfer.users += 1
            self._nursery.start_soon(self._read_to_the_end, transfer, job, False)
        else:
            self._give_up(transfer, job)

    async def finished(self) -> None:
        """Wait for the hashes that need no reader any more, those that begin later too."""
        for begun in tuple(self._later.values()):
            await begun.wait()
        while under_way := [
            job
            for prefix, job in self._jobs.items()
            if not job.done.is_set() and self._needs_no_reader(self._followed[prefix])
        ]:
            for job in under_way:
                await job.done.wait()
            # Whoever follows a job learns of its end, and may begin it anew, in the same turn of the loop as this.
            await trio.lowlevel.checkpoint()

    @staticmethod
    def _needs_no_reader(transfer: Transfer) -> bool:
        return transfer.readers == 0 or transfer.frontier >= transfer.chunks

    async def verify(self, transfer: Transfer) -> messages.HashDone:
        """Read a content to its end and hash it, whatever is known of it; where that is damage, the transfer is spoilt.

        Raises: a StoreError.
        """
        job = self._start(transfer, sums=True)
        transfer.users += 1
        self._nursery.start_soon(self._read_to_the_end, transfer, job, True)
        try:
            answer = await self._pool.finish(job)
        finally:
            self._end(transfer)
        return answer

    def _begin(self, transfer: Transfer, path: str) -> None:
        job = self._start(transfer, sums=False)
        self._nursery.start_soon(self._follow, transfer, job, path)

    def _give_up(self, transfer: Transfer, job: Job[messages.HashDone]) -> None:
        self._given_up.add(transfer.prefix)
        self._pool.tell(job, messages.Abandon())

    def _start(self, transfer: Transfer, *, sums: bool) -> Job[messages.HashDone]:
        def on_report(report: messages.Report) -> None:
            if isinstance(report, messages.Hashed):
                self._transfers.hash_passed(transfer, report.until)

        transfer.hashed = 0
        self._transfers.advance(transfer)
        request = messages.Hash(transfer.content, transfer.frontier, sums, transfer.claims)
        job = transfer.hasher = self._pool.start(request, on_report)
        self._jobs[transfer.prefix] = job
        self._followed[transfer.prefix] = transfer
        transfer.on_frontier = lambda until: self._pool.tell(job, messages.Available(until))
        transfer.users += 1
        return job

    def _end(self, transfer: Transfer) -> None:
        transfer.hasher = None
        transfer.on_frontier = None
        del self._jobs[transfer.prefix]
        del self._followed[transfer.prefix]
        self._given_up.discard(transfer.prefix)
        self._transfers.hash_passed(transfer, transfer.chunks)
        path = self._anew.pop(transfer.prefix, None)
        if path is not None and transfer.prefix not in self._known:
            self._begin(transfer, path)
            if transfer.readers == 0:
                self.last_reader_left(transfer)
        self._transfers.close(transfer)

    async def _follow(self, transfer: Transfer, job: Job[messages.HashDone], path: str) -> None:
        try:
            answer = await self._pool.finish(job)
            if answer.hashes is not None:
                self._note_known(transfer.prefix)
        except errors.VstorefsError as error:
            log.warning("%s: cannot hash: %s", path, error)
            return
        finally:
            self._end(transfer)
        self._tell_of_damage(transfer, answer, path)
        if answer.hashes is not None:
            log_hashes(path, transfer.content, answer)
        for warning in answer.warnings:
            self._on_warning(warning)

    def _tell_of_damage(self, transfer: Transfer, answer: messages.HashDone, path: str) -> None:
        if answer.damaged:
            log.error("%s: %s; who read it so gets an error", path, answer.damaged)
            self._spoilt.add(transfer.prefix)
            self._transfers.spoil(transfer, errors.Corrupt(answer.damaged, key=path))

    def was_spoilt(self, content: Content) -> bool:
        """Whether other bytes than those of a content have come for it in this mount, which a kernel may still have."""
        return bool(self._spoilt) and content_prefix(content) in self._spoilt

    async def compared(self, transfer: Transfer) -> None:
        """Wait until a content that has come to its end was compared with what is claimed of it.

        Raises: Corrupt where it is something else.
        """
        job = self._jobs.get(transfer.prefix)
        if job is not None and transfer.claims and transfer.frontier >= transfer.chunks:
            with trio.move_on_after(_COMPARED_S):
                await job.done.wait()
                # Whoever follows a job learns of its end in the same turn of the loop as this.
                await trio.lowlevel.checkpoint()
        if transfer.spoilt is not None:
            raise transfer.spoilt

    async def _read_to_the_end(
        self, transfer: Transfer, job: Job[messages.HashDone], is_verified: bool
    ) -> None:
        try:
            await self._transfers.complete(transfer)
        except errors.VstorefsError as error:
            log.info(
                "%s: not hashed, as it was not read to its end: %s", transfer.content.key, error
            )
            if is_verified and isinstance(error, errors.Corrupt):
                self._transfers.spoil(transfer, error)
            if is_verified or transfer.readers == 0:
                self._give_up(transfer, job)
        finally:
            self._transfers.close(transfer)

    def _note_known(self, prefix: bytes) -> None:
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known.add(prefix)


def log_hashes(path: str, content: Content, done: messages.HashDone) -> None:
    """The lines of a first use."""
    assert done.hashes is not None
    log.info("%s: downloaded, %s", path, units.size(content.size))
    log.info("%s: md5 sum: %s", path, done.hashes.md5)
    log.info("%s: sha1 sum: %s", path, done.hashes.sha1)
    log.info("%s: sha256 sum: %s", path, done.hashes.sha256)
    if done.reread:
        log.info(
            "%s: %s read again for its hashes, as the cache had evicted them",
            path,
            units.size(done.reread),
        )
