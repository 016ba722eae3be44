"""Where the paths of questions lead, when what this mount has changed there has arrived."""

from __future__ import annotations

from vstorefs.model import Key
from vstorefs.mount.remote import Remote
from vstorefs.mount.report import located
from vstorefs.mount.uploads import Uploads

_WAIT_S = 5.0


class Places:
    """Finds stores and keys; touched by the front's loop only."""

    def __init__(self, remotes: list[Remote], uploads: Uploads, *, single: bool) -> None:
        self._remotes = remotes
        self._uploads = uploads
        self._single = single

    async def settled(self, path: str) -> tuple[Remote, Key]:
        """The place, when what is on its way at or below it is in the store, or a few seconds later.

        Raises: NotFound.
        """
        remote, key = located(self._remotes, path, single=self._single)
        await self._uploads.settled_at(remote.spec.id, key, _WAIT_S)
        await self._uploads.settled_below(remote.spec.id, key, _WAIT_S)
        return remote, key
