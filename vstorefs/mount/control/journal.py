"""What `vstorefs journal` asks of a mount: to try again, or to give up for good, what was set aside."""

from __future__ import annotations

from typing import Any

from vstorefs.control import journal as asked
from vstorefs.control.protocol import Request
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.control.server import Handler
from vstorefs.mount.writing.inherited import Inherited
from vstorefs.mount.writing.uploads import Uploads
from vstorefs.workers import messages


class JournalCalls:
    """Answers for the journal; touched by the front's loop only."""

    def __init__(self, pool: Pool, uploads: Uploads, inherited: Inherited) -> None:
        self._pool = pool
        self._uploads = uploads
        self._inherited = inherited

    def handlers(self) -> dict[type[Request[Any]], Handler]:
        """What the control socket serves."""
        return {asked.RetryChanges: self._retry, asked.DropChanges: self._drop}

    async def _retry(self, request: asked.RetryChanges) -> asked.Decided:
        taken = await self._pool.ask(messages.TakeUp(request.numbers))
        self._uploads.adopt(taken.entries, self._inherited.callbacks_of)
        return asked.Decided(tuple(entry.seq for entry in taken.entries))

    async def _drop(self, request: asked.DropChanges) -> asked.Decided:
        dropped = await self._pool.ask(messages.DropAside(request.numbers))
        self._uploads.forget(dropped.seqs)
        return asked.Decided(dropped.seqs)
