"""The front process: puts the parts together, mounts, and ends in order.

Nothing is mounted before the cache, the state and every store have been found to work. On the way
out, what is on its way to a store gets a moment; what it does not make stays in the journal, for
the next mount.
"""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pyfuse3
import trio

from vstorefs import errors, files
from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.env import Cache
from vstorefs.clock import SystemClock
from vstorefs.model import HIDDEN_FOLDER, VERSIONS_FOLDER, JournalEntry, StoreId
from vstorefs.mount import kernel
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.control.ledger import LedgerCalls
from vstorefs.mount.control.maintenance import Upkeep
from vstorefs.mount.control.paths import Places
from vstorefs.mount.control.restores import Restores
from vstorefs.mount.control.server import Control
from vstorefs.mount.control.status import Report
from vstorefs.mount.control.surveys import Surveys
from vstorefs.mount.dotversions.tree import DotVersions
from vstorefs.mount.operations import Operations
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.provenance.uses import Uses
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.locked import Locked
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.inodes import ROOT, DirectoryNode, Inodes, TopNode
from vstorefs.mount.tree.invalidation import Forgetting
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.changes import Changes
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.draft import remove_later
from vstorefs.mount.writing.scratch import ScratchNames
from vstorefs.mount.writing.uploads import Settled, Uploads
from vstorefs.project import Project
from vstorefs.state import mounts
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea
from vstorefs.versions.locked import Lock
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_TASKS = 10_000
_LAST_DRAIN_S = 3.0
_NOTE_EVERY_S = 2.0
_CHECK_S = 10.0
_ADOPTED_S = 60.0
_LAST_NOTES_S = 15.0
_REVIVE_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class MountOptions:
    """Everything that a mount is made from. `workers` is how many worker processes.

    `lock`: show exactly what a lock file says. `moment_ns`: show the stores as they were then.
    """

    mount_point: Path
    project: Project
    cache_dir: Path
    state_dir: Path
    cache_bytes: int
    read_only: bool
    allow_other: bool
    log_file: str | None
    workers: int
    lock: Lock | None = None
    moment_ns: int | None = None


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
    files.require_local(state_dir, "--state-dir")
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
        log.exception("an error inside vstorefs; the mount ends")
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
        options = self._options
        async with trio.open_nursery() as nursery:
            inodes = Inodes()
            namespace = Namespace(inodes, self._clock)
            roots = self._make_roots(inodes, namespace, remotes)
            transfers = Transfers(ChunkReader(self._cache), self._cache.limit_bytes, pool, nursery)
            uploads = Uploads(
                pool, {remote.spec.id: remote for remote in remotes}, self._clock, nursery
            )
            runs = Runs(pool, options.project, self._clock, self._mount_point)
            uses = Uses(pool, options.project, runs, self._clock, pinned=options.lock is not None)
            commits = Commits(
                self._session.id,
                self.area,
                uploads,
                namespace,
                inodes,
                self._clock,
                ScratchNames(options.project.scratch),
                uses.published,
                through=options.project.write == "through",
            )
            hashing = Hashing(
                pool,
                transfers,
                nursery,
                runs.warn,
                whole_below=options.project.hash_whole_below,
                whole_part=options.project.hash_whole_above_part,
            )
            changes = Changes(
                namespace,
                inodes,
                commits,
                uploads,
                self._clock,
                hidden=(VERSIONS_FOLDER, HIDDEN_FOLDER),
            )
            operations = Operations(
                inodes,
                namespace,
                transfers,
                hashing,
                commits,
                changes,
                DotVersions(inodes, uploads, self._clock, pool, uses.settle),
                uses,
                runs,
                pool,
                self._clock,
                self._mount_point,
            )
            if options.lock is not None:
                operations.locked = Locked(options.lock, hashing)
            await runs.begin_own()
            adopted = await self._adopt(pool, uploads)
            places = Places(remotes, uploads, options.project)
            report = Report(
                self._mount_point,
                remotes,
                uploads,
                transfers,
                namespace,
                self._cache,
                self._clock,
                runs,
                places,
                read_only=options.read_only,
                moment_ns=options.moment_ns,
            )
            forgetting = Forgetting()
            restores = Restores(
                places,
                roots,
                namespace,
                changes,
                uploads,
                runs,
                forgetting,
                read_only=options.read_only,
            )
            calls = LedgerCalls(pool, options.project, runs, uses, operations, uploads, forgetting)
            upkeep = Upkeep(
                places, uploads, inodes, self._clock, forgetting, read_only=options.read_only
            )
            handlers = report.handlers() | calls.handlers() | upkeep.handlers()
            pagers = Surveys(places).pagers() | restores.pagers()
            control = Control(mounts.socket_path(self._mount_point), handlers, pagers)
            self._mount(operations)
            try:
                await nursery.start(control.run)
                nursery.start_soon(self._note_recency, pool, transfers)
                nursery.start_soon(self._stop_on_signal)
                for remote in remotes:
                    nursery.start_soon(self._revive, remote)
                nursery.start_soon(uses.run)
                nursery.start_soon(runs.keep, uses.settle, adopted)
                nursery.start_soon(self._become_ready, operations, remotes, on_ready)
                await pyfuse3.main(max_tasks=_TASKS)
            finally:
                pyfuse3.close(unmount=True)
                mounts.remove(self._mount_point)
            with trio.CancelScope(shield=True):
                self.left_behind = not await uploads.drain(_LAST_DRAIN_S)
                with trio.move_on_after(_LAST_NOTES_S):
                    await uses.settle()
                await runs.end_all()
            if self.left_behind:
                log.warning(
                    "%d changes are not in their stores yet; the next mount sends them",
                    len(uploads),
                )
            nursery.cancel_scope.cancel()

    def _make_roots(
        self, inodes: Inodes, namespace: Namespace, remotes: list[Remote]
    ) -> dict[StoreId, DirectoryNode]:
        if self._options.project.single:
            root = namespace.new_root(remotes[0])
            assert root.number == ROOT
            return {remotes[0].spec.id: root}
        top = TopNode(inodes.number(), "")
        inodes.add(top)
        for remote in remotes:
            top.stores[remote.spec.alias] = namespace.new_root(remote, remote.spec.alias)
        return {root.remote.spec.id: root for root in top.stores.values()}

    async def _adopt(self, pool: Pool, uploads: Uploads) -> Callable[[], Awaitable[None]]:
        """Take over what dead mounts had promised; gives a way to wait until most of that has been sent."""
        # A mount of the past sends nothing.
        is_past = self._options.moment_ns is not None
        stores = () if is_past else self._options.project.stores
        answer = await pool.ask(messages.Adopt(tuple(spec.id for spec in stores)))
        assert isinstance(answer, messages.Adopted)
        if answer.entries:
            log.info("%d changes of a mount that ended early are being sent", len(answer.entries))
        uploads.adopt(answer.entries, self._settled_adopted)

        async def sent() -> None:
            if answer.entries:
                await uploads.drain(_ADOPTED_S)

        return sent

    def _settled_adopted(self, entry: JournalEntry) -> Settled:
        def settled(published: messages.Published) -> None:
            if entry.staged is not None:
                remove_later(self.area, entry.staged.name)
            late = ", beside what has become the head since" if published.late else ""
            log.info("%s: sent%s", entry.path, late)

        return settled

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
        self, operations: Operations, remotes: list[Remote], on_ready: Callable[[str], None]
    ) -> None:
        device = await trio.to_thread.run_sync(kernel.device_of, self._mount_point)
        operations.device = device
        await trio.to_thread.run_sync(kernel.tune, device)
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
                    log.debug("what was read lately is not noted: %s", error)

    async def _revive(self, remote: Remote) -> None:
        """See that a store that comes back is back, whether or not somebody asks for it."""
        while True:
            await trio.sleep(_REVIVE_EVERY_S)
            await remote.revive()

    async def _stop_on_signal(self) -> None:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            async for number in signals:
                log.info("ending the mount: %s", signal.Signals(number).name)
                pyfuse3.terminate()
                return
