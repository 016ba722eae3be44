"""What dead mounts left in the journal: taken over when a mount begins, and again when somebody has it retried."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping

from vstorefs import units
from vstorefs.control.status import aside_text
from vstorefs.model import JournalEntry, StoreId
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.tree.inodes import DirectoryNode
from vstorefs.mount.tree.namespace import Namespace
from vstorefs.mount.writing.draft import remove_later
from vstorefs.mount.writing.uploads import Callbacks, Uploads
from vstorefs.state.staging import StagingArea
from vstorefs.workers import messages

log = logging.getLogger(__name__)

_SENT_S = 60.0


class Inherited:
    """Entries that no node of this mount stands for; touched by the front's loop only."""

    def __init__(
        self,
        pool: Pool,
        uploads: Uploads,
        area: StagingArea,
        namespace: Namespace,
        roots: Mapping[StoreId, DirectoryNode],
    ) -> None:
        self._pool = pool
        self._uploads = uploads
        self._area = area
        self._namespace = namespace
        self._roots = roots
        self._taken = 0

    async def take_over(self, stores: Collection[StoreId]) -> None:
        """Upload what dead mounts had promised to these stores, know what they set aside. Raises: a StoreError."""
        answer = await self._pool.ask(messages.Adopt(tuple(stores)))
        self._taken = len(answer.entries)
        if self._taken:
            log.info("uploading %s of an earlier mount", units.count(self._taken, "change"))
        if answer.aside:
            log.warning("%s", aside_text(len(answer.aside)))
        self._uploads.know_aside(answer.aside, self.callbacks_of)
        self._uploads.adopt(answer.entries, self.callbacks_of)

    async def sent(self) -> None:
        """Wait, for a while, until what was taken over is in its stores."""
        if self._taken:
            await self._uploads.drain(_SENT_S)

    def callbacks_of(self, entry: JournalEntry) -> Callbacks:
        """What follows when one of them is in its store."""

        def settled(published: messages.Published) -> None:
            # An fsync whose answer was lost may have put the same staging file into the journal twice.
            if entry.staged is not None and not self._uploads.names_too(entry):
                remove_later(self._area, entry.staged.name)
            # Nobody holds the names of what an earlier mount had promised: what was listed before does not show it.
            for path in {entry.path, entry.target or entry.path}:
                self._namespace.expire_way(self._roots[entry.store], path)
            late = " late, beside the current version" if published.late else ""
            log.info("%s: uploaded%s", entry.path, late)

        return Callbacks(settled)
