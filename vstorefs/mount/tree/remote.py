"""A store as the front sees it.

Its description, its health, and questions asked through the pool.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from typing import TypeVar

import msgspec
import trio

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.model import Capabilities, Entry, Key, StoreSpec, Version
from vstorefs.moments import SETTLED_NS, to_text
from vstorefs.mount.backend.health import Health
from vstorefs.mount.backend.pool import OnReport, Pool
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_BOUND_S = 60.0
_PAST_BOUND_S = 600.0
_AWAY = (errors.Unavailable, errors.Throttled)
A = TypeVar("A")


class Remote:
    """One store of the mount, or as it was at `moment_ns`; every method is called from the front's loop."""

    def __init__(self, spec: StoreSpec, pool: Pool, clock: Clock) -> None:
        self.spec = spec
        self.health = Health(spec.alias, clock)
        self.capabilities = Capabilities(writable=False, why_read_only="not checked yet")
        self.moment_ns: int | None = None
        self._pool = pool
        self._clock = clock
        self._checked = False
        self._checking = trio.Lock()

    @property
    def read_only(self) -> str:
        """Why nothing can be written here, empty if it can."""
        if self.moment_ns is not None:
            return f"it shows the past, {to_text(self.moment_ns)}"
        if self.spec.read_only:
            return "mounted read-only"
        return "" if self.capabilities.writable else self.capabilities.why_read_only

    def as_of(self, moment_ns: int) -> Remote:
        """The same store as it was at a moment: nothing can be written there."""
        past = copy.copy(self)
        past.moment_ns = moment_ns
        return past

    async def check(self, bound_s: float = _BOUND_S) -> None:
        """Ask the store what it can do. Raises: NotFound, Denied, Unavailable; a StoreError."""
        answer = await self._ask(messages.Check(self.spec.id), None, bound_s)
        self.capabilities = answer.capabilities
        self._checked = True

    async def _see_that_it_works(self) -> None:
        """Before anything else is asked of a store that was not to be had when it was mounted.

        Raises: Unavailable, whatever stands in the way.
        """
        async with self._checking:
            if self._checked:
                return
            try:
                await self.check()
            except errors.StoreError as error:
                self.note_failure(error)
                raise errors.Unavailable(error.message, store=self.spec.alias) from error

    async def revive(self) -> None:
        """Where the store does not answer, and it is time, find out whether it does again."""
        if not self.health.is_due():
            return
        with contextlib.suppress(errors.StoreError):
            if self._checked:
                request = messages.ListDirectory(self.spec.id, Key(""), self._clock.monotonic_s())
                await self._ask(request, None, _BOUND_S)
            else:
                await self._see_that_it_works()

    async def list(self, directory: Key, not_before: float) -> messages.Listed:
        """One directory, from the cache where listed at or after `not_before`.

        Raises: a StoreError.
        """
        if self.moment_ns is not None:
            return await self._list_past(directory, self.moment_ns)
        request = messages.ListDirectory(self.spec.id, directory, not_before)
        try:
            listed = await self.ask(request)
        except _AWAY:
            # A worker serves from the cache what the store cannot say now, so it is asked even of a
            # store that is down.
            listed = await self._from_cache(directory)
        if listed.stale:
            log.warning(
                "%s: the store does not answer (%s); %s is shown as it was last known",
                self.spec.alias,
                self.health.why or "no reason given",
                directory or "its top directory",
            )
        return listed

    async def _list_past(self, directory: Key, moment_ns: int) -> messages.Listed:
        request = messages.Past(self.spec.id, directory, moment_ns)
        listed = await self.ask(request, bound_s=_PAST_BOUND_S)
        if self._clock.wall_ns() - moment_ns < SETTLED_NS:
            # Other hosts may have written by then what is not in the store yet: asked again soon.
            early = self._clock.monotonic_s() - self.spec.listing_seconds + 1
            return msgspec.structs.replace(listed, listed_at=min(listed.listed_at, early))
        return listed

    async def _from_cache(self, directory: Key) -> messages.Listed:
        request = messages.ListDirectory(self.spec.id, directory, float("-inf"))
        answer = await self._pool.ask(request)
        return msgspec.structs.replace(answer, stale=True)

    async def find(self, key: Key) -> Entry | None:
        """A name in a directory whose listing is not complete. Raises: a StoreError."""
        return (await self.ask(messages.Find(self.spec.id, key))).entry

    async def history(self, key: Key) -> tuple[Version, ...]:
        """All versions of one path, oldest first. Raises: a StoreError."""
        return (await self.ask(messages.History(self.spec.id, key))).versions

    async def history_names(self, directory: Key) -> tuple[str, ...]:
        """Names in a directory that have, or had, versions. Raises: a StoreError."""
        return (await self.ask(messages.HistoryNames(self.spec.id, directory))).names

    async def ask(
        self,
        request: messages.Request[A],
        *,
        on_report: OnReport | None = None,
        bound_s: float = _BOUND_S,
    ) -> A:
        """The answer to a question that waits for this store. Raises: a StoreError."""
        self.health.check()
        if not self._checked:
            await self._see_that_it_works()
        return await self._ask(request, on_report, bound_s)

    async def _ask(
        self, request: messages.Request[A], on_report: OnReport | None, bound_s: float
    ) -> A:
        try:
            answer = await self._pool.ask(
                request, on_report=on_report, store=self.spec.id, bound_s=bound_s
            )
        except _AWAY as error:
            self.note_failure(error)
            raise
        except errors.StoreError:
            self.note_answer()
            raise
        if isinstance(answer, messages.Listed) and answer.stale:
            self.note_failure(errors.Unavailable(answer.why))
        else:
            self.note_answer()
        return answer

    def note_answer(self) -> None:
        """The store has answered."""
        if self.health.succeeded():
            log.info("%s: the store answers again", self.spec.alias)

    def note_failure(self, error: Exception) -> None:
        """The store has not answered."""
        if self.health.failed(error):
            log.warning("%s: the store does not answer: %s", self.spec.alias, error)
