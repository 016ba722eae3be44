"""Questions of the command line about all histories below a path, answered in pages.

A worker goes through the histories and writes the rows; here they only pass by.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import trio

from vstorefs import errors
from vstorefs.control import history as asked
from vstorefs.control.protocol import Request
from vstorefs.mount.control.paths import MountPaths
from vstorefs.mount.control.server import Pager, Send
from vstorefs.mount.tree.remote import Remote
from vstorefs.versions.history import selection
from vstorefs.workers import messages

_BOUND_S = 24 * 3600.0


class SurveyCalls:
    """Answers about many histories; touched by the front's loop only."""

    def __init__(self, paths: MountPaths) -> None:
        self._paths = paths

    def pagers(self) -> dict[type[Request[Any]], Pager]:
        """What the control socket serves."""
        return {asked.ShowLog: self._log, asked.ShowDiff: self._diff, asked.ShowCost: self._cost}

    async def _log(self, request: asked.ShowLog, send: Send) -> asked.Searched:
        remote, key = await self._paths.find_uploaded(request.path)
        return await _relay(remote, messages.Log(remote.spec.id, key, request.limit), send)

    async def _diff(self, request: asked.ShowDiff, send: Send) -> asked.Searched:
        remote, key = await self._paths.find_uploaded(request.path)
        question = messages.Compare(remote.spec.id, key, request.one, request.other)
        return await _relay(remote, question, send)

    async def _cost(self, request: asked.ShowCost, send: Send) -> asked.Searched:
        remote, key = await self._paths.find_uploaded(request.path)
        purges = tuple(selection.parse([word]) for word in request.purges)
        return await _relay(remote, messages.Cost(remote.spec.id, key, request.depth, purges), send)


@dataclass(slots=True)
class Ended:
    """How a survey ended: how many files were looked at, or why it could not go on."""

    looked_at: int = 0
    error: errors.VstorefsError | None = None

    def files(self) -> int:
        """How many files were looked at. Raises: what stood in the way."""
        if self.error is not None:
            raise self.error
        return self.looked_at


async def follow(
    remote: Remote,
    question: messages.Survey,
    take: Callable[[messages.Report], Awaitable[None]],
) -> Ended:
    """Ask a worker, and take what it reports, in order, while it goes on."""
    outbox, inbox = trio.open_memory_channel[messages.Report](math.inf)
    ended = Ended()

    async def ask() -> None:
        with outbox:
            try:
                answer = await remote.ask(question, on_report=outbox.send_nowait, bound_s=_BOUND_S)
            except errors.VstorefsError as error:
                ended.error = error
            else:
                ended.looked_at = answer.files

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        async for report in inbox:
            await take(report)
    return ended


async def _relay(remote: Remote, question: messages.Survey, send: Send) -> asked.Searched:
    """Pass on what a worker says, while it says it. Raises: a StoreError."""

    async def take(report: messages.Report) -> None:
        if isinstance(report, messages.Rows):
            await send(report.rows)

    return asked.Searched((await follow(remote, question, take)).files())
