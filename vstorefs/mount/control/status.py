"""What the mount tells the command line: status, flush, histories."""

from __future__ import annotations

import os
from typing import Any

import trio

from vstorefs.cache.env import Cache
from vstorefs.clock import Clock
from vstorefs.control import status as asked
from vstorefs.control.history import ShowHistory, Versions
from vstorefs.control.protocol import Request
from vstorefs.ledger import changes
from vstorefs.model import name_of
from vstorefs.moments import to_text
from vstorefs.mount.control.paths import MountPaths
from vstorefs.mount.control.server import Handler
from vstorefs.mount.ending import Ending
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.uploads import Pending, Uploads
from vstorefs.versions.history import texts

_HISTORY_WAIT_S = 5.0


class StatusCalls:
    """Answers from what the front knows; touched by the front's loop only."""

    def __init__(
        self,
        mount_point: str,
        remotes: list[Remote],
        uploads: Uploads,
        commits: Commits,
        transfers: Transfers,
        namespace: Namespace,
        cache: Cache,
        clock: Clock,
        runs: Runs,
        paths: MountPaths,
        ending: Ending,
        *,
        read_only: bool,
        moment_ns: int | None,
    ) -> None:
        self._mount_point = mount_point
        self._remotes = remotes
        self._uploads = uploads
        self._commits = commits
        self._transfers = transfers
        self._namespace = namespace
        self._cache = cache
        self._clock = clock
        self._runs = runs
        self._paths = paths
        self._ending = ending
        self._read_only = read_only
        self._moment_ns = moment_ns

    def handlers(self) -> dict[type[Request[Any]], Handler]:
        """What the control socket serves."""
        return {
            asked.ShowStatus: self._status,
            asked.Drain: self._drain,
            ShowHistory: self._history,
        }

    async def _status(self, request: asked.ShowStatus) -> asked.MountStatus:
        del request
        info = self._cache.info()
        return asked.MountStatus(
            mount_point=self._mount_point,
            pid=os.getpid(),
            stores=tuple(_store(remote) for remote in self._remotes),
            cache=asked.CacheStatus(
                dir=str(self._cache.directory),
                limit_bytes=info.limit_bytes,
                used_bytes=info.used_bytes,
                file_bytes=info.file_bytes,
                chunks=info.chunks,
            ),
            transfers=asked.TransferStatus(
                downloads=self._transfers.active,
                uploads=self._uploads.active,
                downloaded_bytes=self._transfers.downloaded_bytes,
            ),
            pending=self._changes(self._uploads.pending),
            set_aside=self._changes(self._uploads.set_aside),
            held_back=self._commits.held_back,
            marked=tuple(asked.Marked(path, tuple(marks)) for path, marks in self._uploads.marked),
            unshown=tuple(
                asked.Unshown(name, why) for name, why in sorted(self._namespace.unshown.items())
            ),
            read_only=self._read_only,
            ledger=asked.LedgerStatus(
                run=self._runs.own.id,
                waiting=self._runs.state.waiting,
                why=self._runs.state.why,
                skewed=tuple(changes.skew(*one) for one in self._runs.state.skewed),
            ),
            at=to_text(self._moment_ns) if self._moment_ns is not None else None,
        )

    def _changes(self, pending: list[Pending]) -> tuple[asked.ChangeStatus, ...]:
        now = self._clock.monotonic_s()
        return tuple(_change(one, now) for one in pending)

    async def _drain(self, request: asked.Drain) -> asked.Drained:
        waiting = len(self._uploads) + self._commits.held_back
        seconds = self._ending.asked(request.seconds) if request.ends else request.seconds
        with trio.move_on_after(seconds):
            await self._commits.drain(seconds)
        pending, aside = self._uploads.pending, self._uploads.set_aside
        return asked.Drained(waiting, self._changes(pending), self._changes(aside))

    async def _history(self, request: ShowHistory) -> Versions:
        remote, key = self._paths.find(request.path)
        await self._uploads.settled_at(remote.spec.id, key, _HISTORY_WAIT_S)
        versions = await remote.history(key)
        return Versions(tuple(texts.items(name_of(key), versions)))


def _store(remote: Remote) -> asked.StoreStatus:
    state, why = "ok", ""
    if remote.health.down:
        state, why = "down", remote.health.why
    elif remote.read_only:
        state, why = "read-only", remote.read_only
    return asked.StoreStatus(
        alias=remote.spec.alias,
        url=remote.spec.url,
        id=remote.spec.id,
        state=state,
        why=why,
        layout=remote.capabilities.layout,
    )


def _change(pending: Pending, now: float) -> asked.ChangeStatus:
    entry = pending.entry
    return asked.ChangeStatus(
        number=entry.seq,
        path=entry.path,
        operation=entry.operation.value,
        attempts=pending.attempts,
        error=pending.error or None,
        size=entry.write.size,
        waiting_s=round(now - pending.since, 1),
    )
