"""Where the paths of questions lead, and when what this mount has changed there has arrived."""

from __future__ import annotations

from vstorefs.model import Key, join
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.project import Project

_WAIT_S = 5.0


class MountPaths:
    """Finds stores and keys; touched by the front's loop only."""

    def __init__(self, remotes: list[Remote], uploads: Uploads, project: Project) -> None:
        self._remotes = {remote.spec.id: remote for remote in remotes}
        self._uploads = uploads
        self._project = project

    def find(self, path: str) -> tuple[Remote, Key]:
        """The store that a path in the mount leads to, and its key there. Raises: UsageError."""
        spec, key = self._project.locate(path)
        return self._remotes[spec.id], key

    def find_all(self, path: str) -> list[tuple[Remote, Key]]:
        """The same; the top of a mount of several stores leads to all of them."""
        if path or self._project.single:
            return [self.find(path)]
        return [(remote, Key("")) for remote in self._remotes.values()]

    def shown(self, remote: Remote, key: Key) -> str:
        """The path in the mount of a key of a store."""
        alias = self._project.alias_of(remote.spec)
        return join(Key(alias), key) if alias else key

    async def wait_for_uploads(self, remote: Remote, key: Key, wait_s: float = _WAIT_S) -> None:
        """Return when what is on its way at or below a key is in the store, or some seconds later."""
        await self._uploads.settled_at(remote.spec.id, key, wait_s)
        await self._uploads.settled_below(remote.spec.id, key, wait_s)

    async def find_uploaded(self, path: str) -> tuple[Remote, Key]:
        """The place, when what is on its way at or below it has settled. Raises: UsageError."""
        remote, key = self.find(path)
        await self.wait_for_uploads(remote, key)
        return remote, key
