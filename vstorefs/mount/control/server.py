"""The mount's ear for the command line: a Unix socket, one JSON object a line each way.

    {"op": "status"}                          all that `vstorefs status` shows
    {"op": "flush"}                           answers when the stores have everything, or refuse
    {"op": "drain", "seconds": 30}            the same, for so long at most
    {"op": "history", "path": "a/b"}          all versions of a path, relative to the mount point
    {"op": "paths", "path": "a"}              files at or below a path that have, or had, versions
    {"op": "chosen", "paths": […], "rule": …} the versions that a purge or a verify is about
    {"op": "purge", "versions": […]}          remove versions for good
    {"op": "verify", "path": …, "ids": […]}   read versions of a path and compare hashes
    {"op": "verified"}                        how many bytes that has read so far

Every answer has `ok`, and `error` where that is false. A long one comes in pages before it, each a line
that holds a list: what is asked of all histories below a path (`surveys.py`).
"""

from __future__ import annotations

import json
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import trio

from vstorefs import errors
from vstorefs.state import mounts

log = logging.getLogger(__name__)

Answer = dict[str, Any]
Handler = Callable[[dict[str, Any]], Awaitable[Answer]]
Send = Callable[[bytes], Awaitable[None]]
"""Sends one page: a list in JSON, on one line."""
Pager = Callable[[dict[str, Any], Send], Awaitable[Answer]]
"""Answers in pages, and then says how it ended."""

_LINE_BYTES = 1 << 24
"""Room for all the arguments that the kernel lets a command have, as JSON writes them at the longest."""


class Control:
    """Serves the socket; `handlers` and `pagers` by the name of the operation."""

    def __init__(self, path: Path, handlers: dict[str, Handler], pagers: dict[str, Pager]) -> None:
        self._path = path
        self._handlers = handlers
        self._pagers = pagers

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        self._path.unlink(missing_ok=True)
        listener = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with mounts.address(self._path) as address:
            await listener.bind(address)
        os.chmod(self._path, 0o600)  # noqa: PTH101
        listener.listen(16)
        try:
            async with trio.open_nursery() as nursery:
                task_status.started()
                await trio.serve_listeners(
                    self._serve, [trio.SocketListener(listener)], handler_nursery=nursery
                )
        finally:
            self._path.unlink(missing_ok=True)

    async def _serve(self, stream: trio.SocketStream) -> None:
        buffer = b""
        try:
            async for data in stream:
                buffer += data
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    answer = await self._answer(line, stream)
                    await stream.send_all(json.dumps(answer).encode() + b"\n")
                if len(buffer) > _LINE_BYTES:
                    return
        except trio.BrokenResourceError:
            return
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, line: bytes, stream: trio.SocketStream) -> Answer:
        try:
            request = json.loads(line)
            handler = self._handlers.get(request["op"]) or _paged(
                self._pagers[request["op"]], stream
            )
        except (ValueError, KeyError, TypeError):
            return {"ok": False, "error": "not a request that this version knows"}
        try:
            return {"ok": True, **await handler(request)}
        except errors.VstorefsError as error:
            return {"ok": False, "error": str(error)}
        except Exception as error:
            log.exception("an error inside vstorefs, in the control socket")
            return {
                "ok": False,
                "error": f"an error inside vstorefs: {type(error).__name__}; the log has the details",
            }


def _paged(pager: Pager, stream: trio.SocketStream) -> Handler:
    async def handler(request: dict[str, Any]) -> Answer:
        with trio.CancelScope() as scope:

            async def send(page: bytes) -> None:
                try:
                    await stream.send_all(page + b"\n")
                except trio.BrokenResourceError:
                    # Nobody listens any more; what is under way is given up.
                    scope.cancel()
                    await trio.lowlevel.checkpoint()

            return await pager(request, send)
        return {}

    return handler
