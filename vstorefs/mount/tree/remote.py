"""A store as the front sees it.

Its description, its health, and questions asked through the pool. What fails is a fault of what it was asked about,
until a look at the store's root fails as well (`doubt`): then nobody waits for the store any more.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from typing import Any, TypeVar

import msgspec
import trio

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.model import Capabilities, Entry, Key, StoreSpec, Version
from vstorefs.moments import SETTLED_NS, to_text
from vstorefs.mount.backend.health import Health, confirms
from vstorefs.mount.backend.job import Job, OnReport
from vstorefs.mount.backend.pool import Pool
from vstorefs.stores.registry import is_local
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
        self._refused: errors.Unavailable | None = None
        self._looking = trio.Lock()

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
        request = messages.Check(self.spec.id)
        answer = await self._pool.ask(request, store=self.spec.id, bound_s=bound_s)
        self.note_answer()
        self.capabilities = answer.capabilities
        self._checked = True

    async def _see_that_it_works(self) -> None:
        """Before anything else is asked of a store that was not to be had when it was mounted.

        Raises: Unavailable, whatever stands in the way.
        """
        refused = self._refused
        async with self._checking:
            if self._checked:
                return
            if self._refused is not None and self._refused is not refused:
                # That was found out while this waited: all who wait are told together.
                raise self._refused
            try:
                await self.check()
            except errors.StoreError as error:
                if error.origin.blames_store:
                    self.note_failure(error)
                self._refused = errors.Unavailable(
                    error.message, store=self.spec.alias, origin=error.origin
                )
                raise self._refused from error

    async def revive(self) -> None:
        """Where it is time, find out whether a store that is down answers again, and one that is silent at all."""
        if not self._checked:
            if self.health.is_due():
                with contextlib.suppress(errors.StoreError):
                    await self._see_that_it_works()
        elif self.health.is_due() or self.health.is_silent():
            async with self._looking:
                await self._look(about_root=False)

    async def look(self) -> None:
        """Find out whether the store answers, and is the one that was mounted."""
        if self._checked:
            async with self._looking:
                await self._look(about_root=False)

    def require_place(self) -> None:
        """Where nothing may be promised: in a directory whose share is not mounted. Raises: Displaced."""
        if self.health.down and is_local(self.spec):
            raise errors.Displaced(self.health.why, store=self.spec.alias)

    async def doubt(self, error: errors.StoreError, *, about_root: bool = False) -> None:
        """A request got no answer: see whether the store does not answer, or this was about a key only.

        What fails while a look is under way waits for that one's result. `about_root`: it was the root's listing.
        """
        if not error.origin.blames_store or not self._checked:
            return
        failed_at = self._clock.monotonic_s()
        async with self._looking:
            if not self.health.down and self.health.looked_at < failed_at:
                await self._look(about_root=about_root)

    async def serves(self) -> bool:
        """Whether it answers a look: then what it refuses lies in what it was asked."""
        try:
            await self._pool.ask(messages.Look(self.spec.id), bound_s=_BOUND_S)
        except errors.StoreError:
            return False
        return True

    async def _look(self, *, about_root: bool) -> None:
        self.health.looked()
        found: errors.StoreError | None = None
        # Behind those who wait for the store it would wait with them.
        request = messages.Look(self.spec.id)
        try:
            await self._pool.ask(request, bound_s=_BOUND_S)
        except _AWAY as error:
            found = error
        except errors.StoreError as error:
            found = None if error.origin.blames_store else error
        if found is None:
            self.note_answer()
        elif confirms(found, about_root=about_root):
            self.note_failure(found)

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
        bound_s: float | None = None,
        near: Job[Any] | None = None,
    ) -> A:
        """The answer to a question that waits for this store; `bound_s` and `near` as in `Pool.ask`.

        Raises: a StoreError.
        """
        self.health.check()
        if not self._checked:
            await self._see_that_it_works()
        return await self._ask(request, on_report, bound_s, near)

    async def _ask(
        self,
        request: messages.Request[A],
        on_report: OnReport | None,
        bound_s: float | None,
        near: Job[Any] | None,
    ) -> A:
        def heard(report: messages.Report) -> None:
            self.health.heard()
            if on_report is not None:
                on_report(report)

        about_root = isinstance(request, messages.ListDirectory) and not request.directory
        try:
            with self.health.request():
                answer = await self._pool.ask(
                    request, on_report=heard, store=self.spec.id, bound_s=bound_s, near=near
                )
        except _AWAY as error:
            await self.doubt(error, about_root=about_root)
            raise
        except errors.StoreError as error:
            if error.origin.blames_store:
                self.note_answer()
            raise
        stale = _why_stale(answer) if isinstance(answer, messages.Listed) else None
        if stale is not None:
            await self.doubt(stale, about_root=about_root)
        else:
            self.note_answer()
        return answer

    def note_answer(self) -> None:
        """The store has answered."""
        if self.health.succeeded():
            log.info("%s: the store answers again", self.spec.alias)

    def note_failure(self, error: Exception) -> None:
        """The store itself has not answered."""
        if self.health.failed(error):
            log.warning("%s: the store does not answer: %s", self.spec.alias, error)


def _why_stale(listed: messages.Listed) -> errors.StoreError | None:
    """Why a listing comes from the cache alone; None where the store gave it."""
    return errors.Unavailable(listed.why, origin=listed.origin) if listed.stale else None
