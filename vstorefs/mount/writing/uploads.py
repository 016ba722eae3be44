"""What was promised and is on its way to the stores: records in the journal, publishes in order, waits, tries again.

A change is first put into the journal (`promise`), under one lock, so that the order of the entries
is the order of the promises; then it is queued by what it depends on. One task per entry that may
go asks a worker to publish it, until the store has it. `settled` runs then, on the loop, exactly
once.

A close waits here for the store, for a bounded time. What is refused for a reason that waiting does
not cure is told at once; the entry stays all the same, and is tried again now and then.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import trio

from vstorefs import errors, units
from vstorefs.backoff import Backoff
from vstorefs.clock import Clock
from vstorefs.model import JournalEntry, StoreId
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.dependencies import Queue, reaches, reaches_below
from vstorefs.versions.history.texts import marks_text
from vstorefs.workers import messages

log = logging.getLogger(__name__)

CLOSE_BOUND_S = 60.0
_OVERDUE_S = 60.0
_ATTEMPTS = Backoff(0.5, 30.0)
_REFUSED_PAUSE_S = 60.0
_AT_ONCE = 8
_MARKED = 100

Settled = Callable[[messages.Published], None]


@dataclass(slots=True, eq=False)
class Pending:
    """One entry on its way.

    `refusal` is why the store does not take it, where waiting will not help. `begun`: nothing stands
    before it any more.
    """

    entry: JournalEntry
    since: float
    settled: Settled
    done: trio.Event = field(default_factory=trio.Event)
    tried: trio.Event = field(default_factory=trio.Event)
    refusal: errors.VstorefsError | None = None
    error: str = ""
    attempts: int = 0
    begun: bool = False


class Uploads:
    """All entries on their way; touched by the front's loop only."""

    def __init__(
        self, pool: Pool, remotes: dict[StoreId, Remote], clock: Clock, nursery: trio.Nursery
    ) -> None:
        self._pool = pool
        self._remotes = remotes
        self._clock = clock
        self._nursery = nursery
        self._queue = Queue()
        self._pending: dict[int, Pending] = {}
        self._recording = trio.Lock()
        # A store that hangs must not hold up the others.
        self._slots = {store: trio.CapacityLimiter(_AT_ONCE) for store in remotes}
        self._emptied = trio.Event()
        self.active = 0
        self.published = 0
        self.marked: deque[tuple[str, tuple[str, ...]]] = deque(maxlen=_MARKED)

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def pending(self) -> list[Pending]:
        """Entries on their way, oldest first."""
        return list(self._pending.values())

    async def promise(
        self, entry: JournalEntry, settled: Settled, *, drop: Iterable[int] = ()
    ) -> Pending:
        """Put a change into the journal and on its way.

        Raises: StoreError where the journal does not take it.
        """
        pending = Pending(entry, self._clock.monotonic_s(), settled)
        async with self._recording:
            seq = await self.record(entry, drop)
            pending.entry = replace(entry, seq=seq)
            self._enter(pending)
        return pending

    async def record(self, entry: JournalEntry, drop: Iterable[int] = ()) -> int:
        """Put an entry into the journal, only there. Raises: StoreError."""
        answer = await self._pool.ask(messages.Record((entry,), tuple(drop)))
        return answer.seqs[0]

    async def drop(self, seqs: Iterable[int]) -> None:
        """End entries whose content is not wanted any more. Raises: StoreError."""
        await self._pool.ask(messages.Record((), tuple(seqs)))

    def adopt(
        self, entries: Iterable[JournalEntry], settled: Callable[[JournalEntry], Settled]
    ) -> None:
        """Take on what a dead mount had promised."""
        for entry in entries:
            self._enter(Pending(entry, self._clock.monotonic_s(), settled(entry)))

    async def wait(self, pending: Pending, bound_s: float = CLOSE_BOUND_S) -> None:
        """Wait until the store has it.

        Raises: what the store refused it for; Unavailable when it takes too long.
        """
        with trio.move_on_after(bound_s):
            while not pending.done.is_set():
                if pending.refusal is not None:
                    raise pending.refusal
                await self._either(pending)
            return
        raise errors.Unavailable(
            f"not uploaded within {units.duration(bound_s)} ({pending.error or 'no answer'}); "
            "queued, will be retried",
            key=pending.entry.path,
            operation=pending.entry.operation.value,
        )

    async def drain(self, bound_s: float) -> bool:
        """Wait until nothing is on its way.

        False when that takes too long, or the store refuses something and the rest waits for that.
        """
        with trio.move_on_after(bound_s):
            while self._pending:
                if all(one.refusal is not None for one in self._pending.values() if one.begun):
                    return False
                with trio.move_on_after(0.5):
                    await self._emptied.wait()
        return not self._pending

    def latest(self, store: StoreId, path: str) -> Pending | None:
        """The newest entry on its way that makes content at a path."""
        found = None
        for one in self._pending.values():
            if one.entry.store == store and path in {one.entry.path, one.entry.target}:
                found = one
        return found

    async def settled_at(self, store: StoreId, path: str, bound_s: float) -> None:
        """Wait, for so long at most, until nothing is on its way to a path."""
        await self._all_done(store, lambda entry: reaches(entry, path), bound_s)

    async def settled_below(self, store: StoreId, path: str, bound_s: float) -> None:
        """The same for everything directly or deeper in a directory."""
        await self._all_done(store, lambda entry: reaches_below(entry, path), bound_s)

    async def _all_done(
        self, store: StoreId, concerns: Callable[[JournalEntry], bool], bound_s: float
    ) -> None:
        waiting = [
            one
            for one in self._pending.values()
            if one.entry.store == store and concerns(one.entry)
        ]
        with trio.move_on_after(bound_s):
            for one in waiting:
                await one.done.wait()

    async def _either(self, pending: Pending) -> None:
        async with trio.open_nursery() as nursery:

            async def until(event: trio.Event) -> None:
                await event.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until, pending.done)
            nursery.start_soon(until, pending.tried)

    def _enter(self, pending: Pending) -> None:
        self._pending[pending.entry.seq] = pending
        self._queue.add(pending.entry)
        self._start_ready()

    def _start_ready(self) -> None:
        for entry in self._queue.ready():
            pending = self._pending[entry.seq]
            pending.begun = True
            self._nursery.start_soon(self._publish, pending)

    async def _publish(self, pending: Pending) -> None:
        remote = self._remotes[pending.entry.store]
        while True:
            published = await self._try(pending, remote)
            if published is not None:
                break
            pending.tried.set()
            pending.tried = trio.Event()
            pause_s = _ATTEMPTS.after(pending.attempts)
            is_final = pending.refusal and not isinstance(pending.refusal, errors.RETRIED)
            await trio.sleep(_REFUSED_PAUSE_S if is_final else pause_s)
        try:
            pending.settled(published)
        except Exception:
            log.exception("%s: cannot record the result of the upload", pending.entry.path)
        del self._pending[pending.entry.seq]
        self._queue.done(pending.entry.seq)
        pending.done.set()
        if not self._pending:
            self._emptied.set()
            self._emptied = trio.Event()
        self._start_ready()

    async def _try(self, pending: Pending, remote: Remote) -> messages.Published | None:
        entry = pending.entry
        waited = self._clock.monotonic_s() - pending.since
        request = messages.Publish(
            entry,
            look=entry.adopted or pending.attempts > 0 or entry.attempts > 0,
            overdue=entry.adopted or waited > _OVERDUE_S,
        )
        try:
            async with self._slots[entry.store]:
                self.active += 1
                try:
                    answer = await self._pool.finish(self._pool.start(request))
                finally:
                    self.active -= 1
        except errors.VstorefsError as error:
            self._failed(pending, remote, error)
            return None
        remote.note_answer()
        self.published += 1
        self._note_marks(entry, answer, remote)
        return answer

    def _note_marks(
        self, entry: JournalEntry, published: messages.Published, remote: Remote
    ) -> None:
        """Tell what came between a writer and the store: nothing is lost, and people should know."""
        version = published.version
        if version is None or published.unchanged or not version.marks:
            return
        words = tuple(mark.value for mark in version.marks)
        path = entry.target or entry.path
        self.marked.append((path, words))
        log.warning(
            "%s:%s: %s; all versions are in .versions in its directory",
            remote.spec.alias,
            path,
            marks_text(words),
        )

    def _failed(self, pending: Pending, remote: Remote, error: errors.VstorefsError) -> None:
        pending.attempts += 1
        if pending.error != str(error):
            log.warning(
                "%s:%s: upload failed (%s); queued, will be retried",
                remote.spec.alias,
                pending.entry.path,
                error,
            )
        pending.error = str(error)
        if isinstance(error, errors.RETRIED):
            pending.refusal = None if errors.may_pass(error) else error
            # One path that cannot be published is no reason to think that the others cannot be read.
            self._nursery.start_soon(remote.doubt, error)
        else:
            pending.refusal = error
