"""The front process: checks, mounts, serves, and ends in order; what it is made of stands in `assembly.py`.

Nothing is mounted before the cache, the state and every store have been found to work. On the way
out, what is on its way to a store gets a moment; what it does not make stays in the journal, for
the next mount.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pyfuse3
import trio

from vstorefs import errors, files, units
from vstorefs.cache.env import Cache
from vstorefs.clock import SystemClock
from vstorefs.control.status import aside_text
from vstorefs.mount.assembly import Given, MountOptions, Parts, Writing, assemble
from vstorefs.mount.backend.mounttable import MountTable
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.operations import Operations
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.state import mounts
from vstorefs.state.env import State
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea
from vstorefs.stores.registry import is_local
from vstorefs.workers import messages

__all__ = ["Front", "MountOptions", "run"]

log = logging.getLogger(__name__)

_TASKS = 10_000
_LAST_DRAIN_S = 3.0
_NOTE_EVERY_S = 2.0
_CHECK_S = 10.0
_LAST_NEWS_S = 10.0
_REVIVE_EVERY_S = 1.0


def run(options: MountOptions, on_ready: Callable[[str], None]) -> None:
    """Mount, and serve until unmounted or told to stop.

    `on_ready` is called, with notes for people, once the mount answers.

    Raises: VstorefsError where the mount cannot be made; then nothing is left of it.
    """
    cache = Cache.open(options.cache_dir, options.cache_bytes)
    try:
        session = _open_session(options.state_dir)
        front = Front(options, cache, session)
        try:
            _unwrapped(lambda: trio.run(front.run, on_ready))
        finally:
            front.area.close()
            session.close(owns_entries=front.left_behind)
    finally:
        cache.close()


def _open_session(state_dir: Path) -> Session:
    # A worker that met a damaged state could only die of it.
    State.check(state_dir)
    try:
        return Session.open(state_dir)
    except OSError as error:
        raise errors.UsageError(
            f"cannot use {state_dir} for the state: {error.strerror}; choose another with --state-dir"
        ) from error


def _unwrapped(call: Callable[[], None]) -> None:
    """Take an error of ours out of the groups that nurseries put it in."""
    try:
        call()
    except BaseExceptionGroup as group:
        ours = group.subgroup(errors.VstorefsError)
        while isinstance(ours, BaseExceptionGroup):
            ours = ours.exceptions[0]  # type: ignore[assignment]
        if isinstance(ours, errors.VstorefsError):
            raise ours from None
        # Nobody reads what a process in the background says as it dies.
        log.exception("internal error; unmounting")
        raise


class Front:
    """One mount, from its first check to its end."""

    def __init__(self, options: MountOptions, cache: Cache, session: Session) -> None:
        self._options = options
        self._cache = cache
        self._session = session
        self._clock = SystemClock()
        self._mount_point = str(options.mount_point)
        self.area = StagingArea(options.state_dir, session.id)
        self.left_behind = True
        self._until = float("-inf")

    async def run(self, on_ready: Callable[[str], None]) -> None:
        """Check, mount, serve, end."""
        options = self._options
        start = messages.Start(
            options.project,
            str(options.cache_dir),
            str(options.state_dir),
            options.cache_bytes,
            self._session.id,
            log.getEffectiveLevel(),
            options.lock,
        )
        pool = Pool(start, options.workers)
        async with trio.open_nursery() as nursery:
            await nursery.start(pool.run)
            remotes = [Remote(spec, pool, self._clock) for spec in options.project.stores]
            if options.moment_ns is not None:
                remotes = [remote.as_of(options.moment_ns) for remote in remotes]
            await self._check(remotes)
            await self._serve(pool, remotes, on_ready)
            await pool.end(self._until)
            nursery.cancel_scope.cancel()

    async def _check(self, remotes: list[Remote]) -> None:
        """Find out what the stores can do.

        The only one must answer; of several, some may come back later.
        """

        async def check(remote: Remote) -> None:
            try:
                await remote.check(_CHECK_S)
            except errors.StoreError as error:
                remote.note_failure(error)

        if self._options.project.single:
            await remotes[0].check()
        else:
            async with trio.open_nursery() as nursery:
                for remote in remotes:
                    nursery.start_soon(check, remote)
        for remote in remotes:
            self._tell_about(remote)

    def _tell_about(self, remote: Remote) -> None:
        """What the log says of a store at the start; that one is away has been said."""
        if remote.health.down:
            return
        if remote.read_only:
            log.warning("%s: read-only: %s", remote.spec.alias, remote.read_only)
        elif remote.capabilities.note:
            log.warning("%s: %s", remote.spec.alias, remote.capabilities.note)

    async def _serve(
        self, pool: Pool, remotes: list[Remote], on_ready: Callable[[str], None]
    ) -> None:
        async with trio.open_nursery() as nursery:
            given = Given(
                self._options,
                self._session,
                self.area,
                self._cache,
                self._clock,
                pool,
                remotes,
                nursery,
            )
            parts = assemble(given)
            await parts.provenance.runs.begin_own()
            await self._take_over(parts)
            self._mount(parts.operations)
            try:
                await nursery.start(parts.control.run)
                self._start_tasks(given, parts)
                nursery.start_soon(self._become_ready, parts, remotes, on_ready)
                await pyfuse3.main(max_tasks=_TASKS)
            finally:
                pyfuse3.close(unmount=True)
                mounts.remove(self._mount_point)
            await self._stop(given, parts)
            nursery.cancel_scope.cancel()

    def _start_tasks(self, given: Given, parts: Parts) -> None:
        """What goes on as long as the mount."""
        nursery, provenance = given.nursery, parts.provenance
        nursery.start_soon(self._note_recency, given.pool, parts.reading.transfers)
        nursery.start_soon(self._stop_on_signal)
        for remote in given.remotes:
            nursery.start_soon(self._revive, remote)
        directories = [remote for remote in given.remotes if is_local(remote.spec)]
        if directories:
            nursery.start_soon(self._watch_mounts, directories)
        nursery.start_soon(parts.writing.commits.run)
        nursery.start_soon(provenance.uses.run)
        nursery.start_soon(
            provenance.runs.keep, provenance.uses.send_notes, parts.writing.inherited.sent
        )

    async def _stop(self, given: Given, parts: Parts) -> None:
        """Give what is on its way a moment; what it does not make by then is the next mount's."""
        until = self._until = given.ending.until()
        left_s = until - trio.current_time()
        # Whatever hangs: no answer is waited for after that.
        given.pool.close_at(until - left_s / 10)
        with trio.CancelScope(shield=True):
            await self._say_last_words(parts, until, left_s)
        self._tell_what_is_left(parts.writing)

    async def _say_last_words(self, parts: Parts, until: float, left_s: float) -> None:
        """First what may hang in a store, for a part of the time; then what only this host's disk needs; then news."""
        runs = parts.provenance.runs
        runs.hurry()
        drain_s = min(_LAST_DRAIN_S, left_s / 2)
        with trio.move_on_after(drain_s):
            self.left_behind = not await parts.writing.commits.drain(drain_s)
        with trio.move_on_at(until - left_s / 4):
            await parts.provenance.uses.send_notes()
        with trio.move_on_at(until - left_s / 5):
            await runs.end_all()
        with trio.move_on_at(min(trio.current_time() + _LAST_NEWS_S, until - left_s / 8)):
            await runs.exchange(whole=False)

    def _tell_what_is_left(self, writing: Writing) -> None:
        if self.left_behind:
            log.warning(
                "%s not uploaded yet; the next mount uploads them",
                units.count(len(writing.uploads), "change"),
            )

    async def _take_over(self, parts: Parts) -> None:
        """What dead mounts had promised. A mount of the past sends nothing."""
        is_past = self._options.moment_ns is not None
        stores = () if is_past else self._options.project.stores
        await parts.writing.inherited.take_over([spec.id for spec in stores])

    def _mount(self, operations: Operations) -> None:
        options = {"fsname=vstorefs", "subtype=vstorefs", "default_permissions"}
        if self._options.allow_other:
            options.add("allow_other")
        if self._options.read_only or self._options.lock is not None:
            options.add("ro")
        try:
            pyfuse3.init(operations, self._mount_point, options)
        except RuntimeError as error:
            raise errors.VstorefsError(
                f"cannot mount on {self._mount_point}: {error}; "
                "the lines above say why (with --allow-other, /etc/fuse.conf needs user_allow_other)"
            ) from error

    async def _become_ready(
        self, parts: Parts, remotes: list[Remote], on_ready: Callable[[str], None]
    ) -> None:
        await trio.to_thread.run_sync(parts.device.find)
        await trio.to_thread.run_sync(parts.device.tune)
        await trio.to_thread.run_sync(self._register)
        notes = [
            f"{remote.spec.alias} is read-only: {remote.read_only}"
            for remote in remotes
            if remote.read_only and not remote.health.down
        ]
        notes += [
            f"{remote.spec.alias}: {remote.capabilities.note}"
            for remote in remotes
            if remote.capabilities.note and not remote.read_only
        ]
        notes += [
            f"{remote.spec.alias} does not answer: {remote.health.why}"
            for remote in remotes
            if remote.health.down
        ]
        aside = len(parts.writing.uploads.set_aside)
        notes += [aside_text(aside)] if aside else []
        log.info("mounted on %s", self._mount_point)
        on_ready("\n".join(notes))

    def _register(self) -> None:
        pid = os.getpid()
        mounts.write(
            mounts.MountRecord(
                self._mount_point,
                pid,
                files.process_start(pid) or 0,
                str(mounts.socket_path(self._mount_point)),
                mounts.encoded(self._options.project),
                str(self._options.cache_dir),
                str(self._options.state_dir),
                self._options.log_file,
                self._options.read_only,
            )
        )

    async def _note_recency(self, pool: Pool, transfers: Transfers) -> None:
        while True:
            noted = await transfers.noted(_NOTE_EVERY_S)
            if noted:
                try:
                    await pool.ask(messages.NoteRecency(noted))
                except errors.VstorefsError as error:
                    log.debug("cache: cannot record what was used last: %s", error)

    async def _revive(self, remote: Remote) -> None:
        """See that a store that comes back is back, whether or not somebody asks for it."""
        while True:
            await trio.sleep(_REVIVE_EVERY_S)
            await remote.revive()

    async def _watch_mounts(self, remotes: list[Remote]) -> None:
        """Look at stores that are directories whenever something is mounted or unmounted: it may be their share."""
        table = MountTable()
        try:
            while True:
                await table.changed()
                for remote in remotes:
                    await remote.look()
        finally:
            table.close()

    async def _stop_on_signal(self) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                log.info("unmounting: received %s", signal.Signals(number).name)
                pyfuse3.terminate()
                return
