"""What `vstorefs purge` and `vstorefs verify` ask of a mount.

The command sends batches, so that no request is long, and shows progress between them; the workers do
the work, with the credentials that the mount was started with.
"""

from __future__ import annotations

import logging
import os
from typing import Any

import msgspec

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.control import maintenance as asked
from vstorefs.control.protocol import Request
from vstorefs.model import Key, Mark, Purger, Version, VersionId, VersionKind, name_of
from vstorefs.mount.control.paths import MountPaths
from vstorefs.mount.control.server import Handler
from vstorefs.mount.dotversions.nodes import FileHistory, VersionFile
from vstorefs.mount.tree.inodes import Inodes
from vstorefs.mount.tree.invalidation import Forgetting, Name
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.versions.history import selection, texts
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_WAIT_S = 30.0
_BATCH_S = 3600.0
_LONGEST_S = 7 * 24 * 3600.0


class MaintenanceCalls:
    """Answers for stores and their histories; touched by the front's loop only."""

    def __init__(
        self,
        paths: MountPaths,
        uploads: Uploads,
        inodes: Inodes,
        clock: Clock,
        forgetting: Forgetting,
        *,
        read_only: bool,
    ) -> None:
        self._paths = paths
        self._uploads = uploads
        self._inodes = inodes
        self._clock = clock
        self._forgetting = forgetting
        self._read_only = read_only
        self._verified_bytes = 0

    def handlers(self) -> dict[type[Request[Any]], Handler]:
        """What the control socket serves."""
        return {
            asked.FindPaths: self._find_paths,
            asked.ChooseVersions: self._chosen,
            asked.PurgeVersions: self._purge,
            asked.VerifyVersions: self._verify,
            asked.CountVerified: self._verified,
        }

    async def _find_paths(self, request: asked.FindPaths) -> asked.FoundPaths:
        wanted = self._paths.find_all(request.path)
        found: list[str] = []
        for remote, key in wanted:
            await self._paths.wait_for_uploads(remote, key, _WAIT_S)
            if request.to_purge:
                self._see_that_it_may_go(remote, key)
            question = messages.PathsBelow(remote.spec.id, key)
            answer = await remote.ask(question, bound_s=_BATCH_S)
            found += [self._paths.shown(remote, one) for one in answer.keys]
        return asked.FoundPaths(tuple(found), tuple(remote.spec.id for remote, _ in wanted))

    def _see_that_it_may_go(self, remote: Remote, key: Key) -> None:
        """What is on its way may be made of the very versions that would go. Raises: a StoreError."""
        if self._read_only or remote.read_only:
            why = remote.read_only or "the mount is read-only"
            raise errors.NotSupported(why, store=remote.spec.alias, operation="purge")
        prefix = f"{key}/" if key else ""
        for pending in self._uploads.pending:
            path = pending.entry.path
            ours = pending.entry.store == remote.spec.id
            if ours and (path == key or path.startswith(prefix)):
                raise errors.Unavailable(
                    "it has pending changes; see vstorefs status, and vstorefs flush",
                    key=path,
                )

    async def _chosen(self, request: asked.ChooseVersions) -> asked.ChosenVersions:
        wanted, now_ns = request.selection, self._clock.wall_ns()
        found: list[asked.ChosenVersion] = []
        for remote, keys in self._by_store(request.paths).items():
            question = messages.Histories(remote.spec.id, tuple(keys))
            answer = await remote.ask(question, bound_s=_BATCH_S)
            of_key: dict[Key, list[Version]] = {key: [] for key in keys}
            for one in answer.versions:
                of_key[one.key].append(one)
            for key, whole in of_key.items():
                chosen = (
                    [one for one in whole if one.kind is VersionKind.CONTENT]
                    if wanted is None
                    else selection.chosen(whole, wanted, now_ns)
                )
                found += self._rows(remote, key, whole, {one.id for one in chosen})
        return asked.ChosenVersions(tuple(found))

    def _rows(
        self, remote: Remote, key: Key, whole: list[Version], ids: set[VersionId]
    ) -> list[asked.ChosenVersion]:
        return [
            asked.ChosenVersion(
                **msgspec.structs.asdict(item),
                path=self._paths.shown(remote, key),
                store=remote.spec.id,
                key=key,
                purging=Mark.PURGING in version.marks,
            )
            for item, version in zip(texts.items(name_of(key), whole), whole, strict=True)
            if version.id in ids
        ]

    async def _purge(self, request: asked.PurgeVersions) -> asked.PurgeOutcomes:
        purger = Purger(request.by, request.at)
        wanted: dict[Remote, list[tuple[Key, VersionId]]] = {}
        for one in request.versions:
            remote, key = self._paths.find(one.path)
            wanted.setdefault(remote, []).append((key, VersionId(one.id)))
        found: list[asked.PurgeOutcome] = []
        for remote, versions in wanted.items():
            found += await self._purge_in(remote, versions, purger)
        return asked.PurgeOutcomes(tuple(found))

    async def _purge_in(
        self, remote: Remote, versions: list[tuple[Key, VersionId]], purger: Purger
    ) -> list[asked.PurgeOutcome]:
        for key in {key for key, _ in versions}:
            await self._uploads.settled_at(remote.spec.id, key, _WAIT_S)
            self._see_that_it_may_go(remote, key)
        question = messages.Purge(remote.spec.id, tuple(versions), purger)
        answer = await remote.ask(question, bound_s=_BATCH_S)
        done = {(one.key, one.id) for one in answer.outcomes if not one.error}
        for key, version in done:
            log.info("%s:%s: version %s purged by %s", remote.spec.alias, key, version, purger.by)
        await self._forgetting.forget(self._taken_away(remote, done))
        return [
            asked.PurgeOutcome(self._paths.shown(remote, one.key), one.id, one.error, one.kept)
            for one in answer.outcomes
        ]

    def _taken_away(self, remote: Remote, purged: set[tuple[Key, VersionId]]) -> list[Name]:
        """Take the names of purged versions from `.versions`; gives those that the kernel may keep."""
        names: list[Name] = []
        for node in self._inodes.all():
            if isinstance(node, FileHistory) and node.folder.directory.remote is remote:
                node.asked_at = float("-inf")
                for name, child in list(node.children.items()):
                    if isinstance(child, VersionFile) and (
                        (child.version.key, child.version.id) in purged
                    ):
                        del node.children[name]
                        names.append((node.number, os.fsencode(name)))
        return names

    async def _verify(self, request: asked.VerifyVersions) -> asked.VerifyResults:
        remote, key = self._paths.find(request.path)
        answer = await remote.ask(
            messages.Verify(remote.spec.id, key, tuple(map(VersionId, request.ids))),
            on_report=self._note_read,
            bound_s=_LONGEST_S,
        )
        return asked.VerifyResults(
            tuple(
                asked.VerifyResult(one.id, one.size, one.problem, one.recorded, one.corrected)
                for one in answer.outcomes
            )
        )

    def _note_read(self, report: messages.Report) -> None:
        if isinstance(report, messages.Read):
            self._verified_bytes += report.size

    async def _verified(self, request: asked.CountVerified) -> asked.VerifiedBytes:
        del request
        return asked.VerifiedBytes(self._verified_bytes)

    def _by_store(self, paths: tuple[str, ...]) -> dict[Remote, list[Key]]:
        found: dict[Remote, list[Key]] = {}
        for path in paths:
            remote, key = self._paths.find(path)
            found.setdefault(remote, []).append(key)
        return found
