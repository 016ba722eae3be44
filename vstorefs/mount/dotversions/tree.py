"""Finds and lists below `.versions`, and writes the files that tell of a history.

What is shown is what the store says now: changes of this mount that are still on their way are
waited for, a few seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from vstorefs import errors
from vstorefs.clock import Clock
from vstorefs.ledger import changes
from vstorefs.model import VERSIONS_FOLDER, Content, Key
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.dotversions.nodes import (
    ALL_WARNINGS,
    LATEST,
    FileHistory,
    LatestLink,
    SpecialFile,
    SpecialName,
    VersionFile,
    VersionsFolder,
    VersionsNode,
    WarningsFile,
)
from vstorefs.mount.dotversions.snapshot import SnapshotFolder, Snapshots
from vstorefs.mount.tree.inodes import DirectoryNode, Inodes, Node
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.versions.history import names, texts
from vstorefs.workers import messages

_LIFETIME_S = 1.0
_WAIT_S = 5.0
N = TypeVar("N", bound=Node)


class DotVersions:
    """Everything below `.versions`; touched by the front's loop only."""

    def __init__(
        self,
        inodes: Inodes,
        uploads: Uploads,
        clock: Clock,
        pool: Pool,
        settle: Callable[[], Awaitable[None]],
    ) -> None:
        self._inodes = inodes
        self._uploads = uploads
        self._clock = clock
        self._pool = pool
        self._settle = settle
        self._snapshots = Snapshots(inodes, uploads, pool, clock)

    def folder(self, directory: DirectoryNode, name: str) -> VersionsFolder:
        """The `.versions` of a directory."""
        if not isinstance(directory.versions, VersionsFolder):
            directory.versions = VersionsFolder(self._inodes.number(), name, directory=directory)
        return directory.versions

    async def find(self, node: VersionsNode, name: str) -> VersionsNode | SnapshotFolder | None:
        """A name in one of the folders. Raises: a StoreError."""
        if isinstance(node, VersionsFolder):
            if name == ALL_WARNINGS:
                return self._warnings_file(node)
            file = names.unquote(name)
            if file is None:
                return await self._snapshots.find(node, name)
            return await self._find_history(node, file)
        if isinstance(node, FileHistory):
            asked_at = node.asked_at
            found = (await self._contents(node)).get(name)
            if found is None and node.asked_at == asked_at:
                # A name that somebody has from elsewhere is newer than what was asked a moment ago.
                node.asked_at = float("-inf")
                found = (await self._contents(node)).get(name)
            return found
        return None

    async def rows(self, node: VersionsNode) -> list[tuple[str, VersionsNode]]:
        """All names in one of the folders. Raises: a StoreError."""
        if isinstance(node, VersionsFolder):
            remote, path = node.directory.remote, node.directory.path
            await self._uploads.settled_below(remote.spec.id, path, _WAIT_S)
            found = await remote.history_names(path)
            return [
                (ALL_WARNINGS, self._warnings_file(node)),
                *((names.quote(name), self._history_of(node, name)) for name in found),
            ]
        if isinstance(node, FileHistory):
            return list((await self._contents(node)).items())
        return []

    async def text(self, node: SpecialFile | WarningsFile) -> bytes:
        """What one of the special files contains. Raises: a StoreError."""
        if isinstance(node, WarningsFile):
            return await self.warnings(node.folder.directory)
        if node.special is SpecialName.WARNINGS:
            directory = node.history.folder.directory
            path = directory.path_of(node.history.file)
            return await self._warnings(directory, path, below=False)
        await self._load(node.history)
        write = texts.to_table if node.special is SpecialName.TABLE else texts.to_json
        return write(node.history.file, node.history.versions)

    async def warnings(self, directory: DirectoryNode) -> bytes:
        """What `@WARNINGS` of a directory contains. Raises: Unavailable."""
        return await self._warnings(directory, directory.path, below=True)

    async def past(self, directory: DirectoryNode, name: str) -> SnapshotFolder | None:
        """A directory as it was at the time that a name tells; None for what is no time. Raises: a StoreError."""
        if names.unquote(name) is not None:
            return None
        return await self._snapshots.find(self.folder(directory, VERSIONS_FOLDER), name)

    async def latest(self, node: LatestLink) -> str:
        """Where `latest` points. Raises: NotFound where no version has content."""
        await self._load(node.history)
        shown = [
            name
            for name in names.version_names(node.history.file, node.history.versions)
            if name is not None
        ]
        if not shown:
            raise errors.NotFound("no version with content", key=node.history.file)
        return shown[-1]

    @staticmethod
    def content(node: VersionFile) -> Content:
        """What a version's file contains."""
        return node.version.content(node.remote.spec.id)

    async def _warnings(self, directory: DirectoryNode, path: Key, *, below: bool) -> bytes:
        await self._settle()
        request = messages.FindWarnings(directory.remote.spec.id, path, below)
        answer = await self._pool.ask(request)
        return "".join(f"{changes.line(one)}\n" for one in answer.warnings).encode()

    def _warnings_file(self, node: VersionsFolder) -> WarningsFile:
        if node.warnings is None:
            node.warnings = WarningsFile(self._inodes.number(), ALL_WARNINGS, folder=node)
        return node.warnings

    async def _find_history(self, node: VersionsFolder, file: str) -> FileHistory | None:
        found = self._history_of(node, file)
        await self._load(found)
        return found if found.versions else None

    def _history_of(self, node: VersionsFolder, file: str) -> FileHistory:
        if file not in node.children:
            name = names.quote(file)
            node.children[file] = FileHistory(self._inodes.number(), name, folder=node, file=file)
        return node.children[file]

    async def _load(self, node: FileHistory) -> None:
        directory = node.folder.directory
        path = directory.path_of(node.file)
        await self._uploads.settled_at(directory.remote.spec.id, path, _WAIT_S)
        now, published = self._clock.monotonic_s(), self._uploads.published
        if node.published != published or now - node.asked_at > _LIFETIME_S:
            node.versions = await directory.remote.history(path)
            node.asked_at, node.published = now, published

    async def _contents(self, node: FileHistory) -> dict[str, VersionsNode]:
        await self._load(node)
        remote = node.folder.directory.remote
        found: dict[str, VersionsNode] = {}
        shown = names.version_names(node.file, node.versions)
        for name, version in zip(shown, node.versions, strict=True):
            if name is not None:
                file = self._child(node, name, VersionFile(0, name, remote=remote, version=version))
                file.version = version
                found[name] = file
        if found:
            found[LATEST] = self._child(node, LATEST, LatestLink(0, LATEST, history=node))
        for special in SpecialName:
            found[special.value] = self._child(
                node, special.value, SpecialFile(0, special.value, history=node, special=special)
            )
        return found

    def _child(self, node: FileHistory, name: str, fresh: N) -> N:
        present = node.children.get(name)
        if isinstance(present, type(fresh)):
            return present
        fresh.number = self._inodes.number()
        node.children[name] = fresh
        return fresh
