"""What the mount tells the command line: status, flush, histories."""

from __future__ import annotations

import os
from typing import Any

from vstorefs import units
from vstorefs.cache.env import Cache
from vstorefs.clock import Clock
from vstorefs.ledger import changes
from vstorefs.model import name_of
from vstorefs.moments import to_text
from vstorefs.mount.control.paths import Places
from vstorefs.mount.control.server import Handler
from vstorefs.mount.provenance.runs import Runs
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.commits import Commits
from vstorefs.mount.writing.uploads import Pending, Uploads
from vstorefs.versions.history import texts

_FLUSH_S = 600.0
_HISTORY_WAIT_S = 5.0


class Report:
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
        places: Places,
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
        self._places = places
        self._read_only = read_only
        self._moment_ns = moment_ns

    def handlers(self) -> dict[str, Handler]:
        """What the control socket serves."""
        return {
            "status": self._status,
            "flush": self._flush,
            "drain": self._drain,
            "history": self._history,
        }

    async def _status(self, request: dict[str, Any]) -> dict[str, Any]:
        del request
        info = self._cache.info()
        return {
            "mount_point": self._mount_point,
            "pid": os.getpid(),
            "stores": [_store(remote) for remote in self._remotes],
            "cache": {
                "dir": str(self._cache.directory),
                "limit_bytes": info.limit_bytes,
                "used_bytes": info.used_bytes,
                "file_bytes": info.file_bytes,
                "chunks": info.chunks,
            },
            "transfers": {
                "downloads": self._transfers.active,
                "uploads": self._uploads.active,
                "downloaded_bytes": self._transfers.downloaded_bytes,
            },
            "pending": self._pending(),
            "held_back": self._commits.held_back,
            "marked": [
                {"path": path, "marks": list(marks)} for path, marks in self._uploads.marked
            ],
            "unshown": [
                {"name": name, "why": why} for name, why in sorted(self._namespace.unshown.items())
            ],
            "read_only": self._read_only,
            "ledger": {
                "run": self._runs.own.id,
                "waiting": self._runs.state.waiting,
                "why": self._runs.state.why,
                "skewed": [changes.skew(*one) for one in self._runs.state.skewed],
            },
            "at": to_text(self._moment_ns) if self._moment_ns is not None else None,
        }

    def _pending(self) -> list[dict[str, Any]]:
        now = self._clock.monotonic_s()
        return [_change(pending, now) for pending in self._uploads.pending]

    async def _flush(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self._drained(len(self._uploads), _FLUSH_S)

    async def _drain(self, request: dict[str, Any]) -> dict[str, Any]:
        return await self._drained(len(self._uploads), float(request.get("seconds", _FLUSH_S)))

    async def _drained(self, waiting: int, bound_s: float) -> dict[str, Any]:
        if await self._commits.drain(bound_s):
            return {"flushed": waiting}
        left = self._pending()
        return {
            "ok": False,
            "error": f"{units.count(len(left), 'change')} not uploaded yet",
            "pending": left,
        }

    async def _history(self, request: dict[str, Any]) -> dict[str, Any]:
        remote, key = self._places.find(str(request.get("path", "")))
        await self._uploads.settled_at(remote.spec.id, key, _HISTORY_WAIT_S)
        versions = await remote.history(key)
        return {
            "path": request.get("path"),
            "versions": texts.items(name_of(key), versions),
        }


def _store(remote: Remote) -> dict[str, Any]:
    state, why = "ok", ""
    if remote.health.down:
        state, why = "down", remote.health.why
    elif remote.read_only:
        state, why = "read-only", remote.read_only
    return {
        "alias": remote.spec.alias,
        "url": remote.spec.url,
        "id": remote.spec.id,
        "state": state,
        "why": why,
        "layout": remote.capabilities.layout,
    }


def _change(pending: Pending, now: float) -> dict[str, Any]:
    entry = pending.entry
    return {
        "path": entry.path,
        "operation": entry.operation.value,
        "attempts": pending.attempts,
        "error": pending.error or None,
        "size": entry.write.size,
        "waiting_s": round(now - pending.since, 1),
    }
