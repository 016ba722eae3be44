"""What was promised and is on its way to the stores: records in the journal, publishes in order, waits, tries again.

A change is first put into the journal (`promise`). Callers wait for that side by side: one worker takes all
records, in the order in which they are asked, so that the order of the entries is the order of the
promises. Then it is queued by what it depends on. One task per entry that may
go asks a worker to publish it, until the store has it. `settled` runs then, on the loop, exactly
once.

A close waits here for the store, for a bounded time. What is refused for a reason that waiting does
not cure is told at once; the entry stays all the same, and is tried again now and then. Where the fault is its own, it
is *set aside* after some tries (`tries.py`): it stays in the journal with the reason, `vstorefs journal` shows it, and
what waited for it goes on.
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
from vstorefs.mount.writing.tries import Fault, fault_of
from vstorefs.versions.history.texts import marks_text
from vstorefs.workers import messages

log = logging.getLogger(__name__)

CLOSE_BOUND_S = 60.0
_OVERDUE_S = 60.0
_ATTEMPTS = Backoff(0.5, 30.0)
_REFUSED_PAUSE_S = 60.0
_AT_ONCE = 8
_MARKED = 100
_SET_ASIDE_S = 600.0


def _nothing() -> None:
    """What is not followed."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What is done, on the loop, when an entry has come to its end.

    `settled`: its store has it. `set_aside`: it stays in the journal, and what comes after it must not rest on it; one
    that is retried then can be settled still. `dropped`: after it was set aside, it will never be.
    """

    settled: Callable[[messages.Published], None]
    set_aside: Callable[[], None] = _nothing
    dropped: Callable[[], None] = _nothing


@dataclass(slots=True, eq=False)
class Pending:
    """One entry on its way.

    `failure` is what the last try met. `begun`: nothing stands before it any more. `failed_at`: how much its store had
    taken by then; `counted`: failures that count against the entry itself, `counted_until`: the end of the pause after
    the last of them. `is_aside`: it was set aside. `pausing`: it waits for its next try, `hurried`: somebody asked for
    that one.
    """

    entry: JournalEntry
    since: float
    callbacks: Callbacks
    done: trio.Event = field(default_factory=trio.Event)
    tried: trio.Event = field(default_factory=trio.Event)
    failure: errors.VstorefsError | None = None
    error: str = ""
    attempts: int = 0
    begun: bool = False
    failed_at: int | None = None
    counted: int = 0
    counted_until: float = float("-inf")
    is_aside: bool = False
    pausing: bool = False
    hurried: bool = False
    resumed: trio.Event = field(default_factory=trio.Event)

    def hurry(self) -> None:
        """Try it now rather than after its pause; that counts against it no sooner than its pauses would have."""
        if self.pausing:
            self.failure, self.hurried = None, True
            self.resumed.set()

    @property
    def refusal(self) -> errors.VstorefsError | None:
        """Why the store does not take it, where waiting will not help."""
        if self.failure is None or self.is_aside:
            return self.failure
        return None if errors.may_pass(self.failure) else self.failure


@dataclass(slots=True, eq=False)
class _Promise:
    """One that the journal was asked for. `entered`: it has its place in the queue, or was refused."""

    pending: Pending
    answered: bool = False
    seq: int | None = None
    entered: trio.Event = field(default_factory=trio.Event)


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
        self._aside: dict[int, Pending] = {}
        self._taken = dict.fromkeys(remotes, 0)
        self._promised: deque[_Promise] = deque()
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

    @property
    def set_aside(self) -> list[Pending]:
        """Entries that were set aside, oldest first."""
        return list(self._aside.values())

    async def promise(
        self, entry: JournalEntry, callbacks: Callbacks, *, drop: Iterable[int] = ()
    ) -> Pending:
        """Put a change into the journal and on its way.

        Raises: StoreError where the journal does not take it.
        """
        promise = _Promise(Pending(entry, self._clock.monotonic_s(), callbacks))
        self._promised.append(promise)
        try:
            promise.seq = await self.record(entry, drop)
        finally:
            promise.answered = True
            self._enter_answered()
        with trio.CancelScope(shield=True):
            # Answers come in the order of the promises, but who hears of his first is chance.
            await promise.entered.wait()
        return promise.pending

    def _enter_answered(self) -> None:
        """Queue what the journal has taken, in the order of the promises."""
        while self._promised and self._promised[0].answered:
            promise = self._promised.popleft()
            if promise.seq is not None:
                pending = promise.pending
                pending.entry = replace(pending.entry, seq=promise.seq)
                self._enter(pending)
            promise.entered.set()

    async def record(self, entry: JournalEntry, drop: Iterable[int] = ()) -> int:
        """Put an entry into the journal, only there. Raises: StoreError."""
        answer = await self._pool.ask(messages.Record((entry,), tuple(drop)))
        return answer.seqs[0]

    async def drop(self, seqs: Iterable[int]) -> None:
        """End entries whose content is not wanted any more. Raises: StoreError."""
        await self._pool.ask(messages.Record((), tuple(seqs)))

    def adopt(
        self, entries: Iterable[JournalEntry], callbacks_of: Callable[[JournalEntry], Callbacks]
    ) -> None:
        """Take on what a dead mount had promised, or had set aside."""
        for entry in entries:
            known = self._aside.pop(entry.seq, None)
            how = known.callbacks if known is not None else callbacks_of(entry)
            self._enter(Pending(entry, self._clock.monotonic_s(), how))

    def know_aside(
        self, entries: Iterable[JournalEntry], callbacks_of: Callable[[JournalEntry], Callbacks]
    ) -> None:
        """A dead mount had set these aside; they are shown, and retried when somebody says so."""
        for entry in entries:
            one = Pending(entry, self._clock.monotonic_s(), callbacks_of(entry), is_aside=True)
            one.error = entry.error or ""
            self._aside[entry.seq] = one

    def forget(self, seqs: Iterable[int]) -> None:
        """Entries that were set aside are in the journal no more, and will never be carried out."""
        for seq in seqs:
            pending = self._aside.pop(seq, None)
            if pending is not None:
                pending.callbacks.dropped()

    async def wait(self, pending: Pending, bound_s: float = CLOSE_BOUND_S) -> None:
        """Wait until the store has it.

        Raises: what the store refused it for; Unavailable when it takes too long.
        """
        with trio.move_on_after(bound_s):
            while pending.is_aside or not pending.done.is_set():
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

        What pauses after a failure is tried at once. False when that takes too long, or the store refuses something
        and the rest waits for that.
        """
        for one in self._pending.values():
            one.hurry()
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

    def names_too(self, entry: JournalEntry) -> bool:
        """Whether another entry, on its way or set aside, has the same staging file."""
        return any(
            one.entry.seq != entry.seq
            and one.entry.staged is not None
            and entry.staged is not None
            and one.entry.staged.name == entry.staged.name
            for one in (*self._pending.values(), *self._aside.values())
        )

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
        self._hurry_before(pending.entry)
        self._pending[pending.entry.seq] = pending
        self._queue.add(pending.entry)
        self._start_ready()

    def _hurry_before(self, entry: JournalEntry) -> None:
        """What was refused at an entry's paths is tried at once: the entry would wait out its long pause with it."""
        for one in self._pending.values():
            same = reaches(one.entry, entry.path) or reaches(one.entry, entry.target or entry.path)
            if one.entry.store == entry.store and same and one.refusal is not None:
                one.hurry()

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
            if await self._was_set_aside(pending, remote):
                break
            pending.tried.set()
            pending.tried = trio.Event()
            await self._pause(pending)
        try:
            if published is not None:
                pending.callbacks.settled(published)
            else:
                pending.callbacks.set_aside()
        except Exception:
            log.exception("%s: cannot record the result of the upload", pending.entry.path)
        del self._pending[pending.entry.seq]
        self._queue.done(pending.entry.seq)
        pending.done.set()
        pending.tried.set()
        if not self._pending:
            self._emptied.set()
            self._emptied = trio.Event()
        self._start_ready()

    @staticmethod
    async def _pause(pending: Pending) -> None:
        """Wait before the next try, unless somebody wants it now."""
        pending.resumed = trio.Event()
        pending.pausing = True
        with trio.move_on_after(_pause_s(pending)):
            await pending.resumed.wait()
        pending.pausing = False

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
        self._taken[entry.store] += 1
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
        now_s = self._clock.monotonic_s()
        is_early = pending.hurried and now_s < pending.counted_until
        counts = self._counts(pending, fault_of(error)) and not is_early
        pending.hurried = False
        pending.failed_at = self._taken[pending.entry.store]
        if pending.error != str(error):
            log.warning(
                "%s:%s: upload failed (%s); queued, will be retried",
                remote.spec.alias,
                pending.entry.path,
                error,
            )
        pending.error, pending.failure = str(error), error
        if counts:
            pending.counted += 1
            pending.counted_until = now_s + _pause_s(pending)
        if isinstance(error, errors.RETRIED):
            # One path that cannot be published is no reason to think that the others cannot be read.
            self._nursery.start_soon(remote.doubt, error)

    def _counts(self, pending: Pending, fault: Fault) -> bool:
        """Whether a failure counts against the entry: not where others fail as well, and none gets through."""
        if fault is not Fault.UNANSWERED:
            return True
        store = pending.entry.store
        got_on = pending.failed_at is not None and self._taken[store] > pending.failed_at
        others = (
            one
            for one in self._pending.values()
            if one is not pending and one.entry.store == store and one.failed_at is not None
        )
        return got_on or not any(others)

    async def _was_set_aside(self, pending: Pending, remote: Remote) -> bool:
        """Set an entry aside that was tried often enough, by its own fault."""
        error = pending.failure
        assert error is not None
        fault = fault_of(error)
        if fault.tries is None or pending.counted < fault.tries:
            return False
        if fault is not Fault.OWN and not await remote.serves():
            return False
        try:
            entry, now_ns = pending.entry, self._clock.wall_ns()
            request = messages.SetAside(entry.store, entry.seq, str(error), now_ns)
            await self._pool.ask(request, bound_s=_SET_ASIDE_S)
        except errors.StoreError as refused:
            log.warning("%s: cannot be set aside yet (%s)", pending.entry.path, refused)
            return False
        log.error(
            "%s:%s: could not be uploaded (%s) and was set aside; `vstorefs journal` lists, retries and exports it",
            remote.spec.alias,
            pending.entry.path,
            error,
        )
        pending.is_aside = True
        self._aside[pending.entry.seq] = pending
        return True


def _pause_s(pending: Pending) -> float:
    """How long to wait before the next try."""
    assert pending.failure is not None
    waits = fault_of(pending.failure) in {Fault.DENIED, Fault.NONE}
    is_slow = waits and not isinstance(pending.failure, errors.RETRIED)
    return _REFUSED_PAUSE_S if is_slow else _ATTEMPTS.after(pending.attempts)
