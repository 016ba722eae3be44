"""The control socket's server: a Unix socket, one JSON object a line each way (`vstorefs/control/protocol.py`).

Each kind of request has a handler, which answers it, or a pager, which sends pages of rows before its answer. An error
of ours goes out whole, any other as a line that leads to the log.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Union

import msgspec
import trio

from vstorefs import errors, files
from vstorefs.control import protocol
from vstorefs.control.protocol import Call, Request
from vstorefs.state import mounts

log = logging.getLogger(__name__)

Handler = Callable[[Any], Awaitable[msgspec.Struct]]
"""Takes a request, and gives what that names as its answer."""
Send = Callable[[bytes], Awaitable[None]]
"""Sends one page: a list of rows in JSON."""
Pager = Callable[[Any, Send], Awaitable[msgspec.Struct]]
"""Answers in pages, and then says how it ended."""

_LINE_BYTES = 1 << 24
"""Room for all the arguments that the kernel lets a command have, as JSON writes them at the longest."""


class Control:
    """Serves the socket; `handlers` and `pagers` by the kind of request."""

    def __init__(
        self,
        path: Path,
        handlers: dict[type[Request[Any]], Handler],
        pagers: dict[type[Request[Any]], Pager],
    ) -> None:
        self._path = path
        self._handlers = handlers
        self._pagers = pagers
        kinds = (*handlers, *pagers)
        self._decoder = msgspec.json.Decoder(Union[kinds])  # noqa: UP007 — known at run time only

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen until cancelled."""
        files.change("socket.remove", self._path.unlink, missing_ok=True)
        listener = trio.socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with mounts.address(self._path) as address:
            await listener.bind(address)
        files.change("socket.mode", self._path.chmod, 0o600)
        listener.listen(16)
        try:
            async with trio.open_nursery() as nursery:
                task_status.started()
                await trio.serve_listeners(
                    self._serve, [trio.SocketListener(listener)], handler_nursery=nursery
                )
        finally:
            files.change("socket.remove", self._path.unlink, missing_ok=True)

    async def _serve(self, stream: trio.SocketStream) -> None:
        buffer = b""
        try:
            async for data in stream:
                buffer += data
                while b"\n" in buffer:
                    line, _, buffer = buffer.partition(b"\n")
                    await stream.send_all(await self._answer(line, stream))
                if len(buffer) > _LINE_BYTES:
                    return
        except trio.BrokenResourceError:
            return
        finally:
            await trio.aclose_forcefully(stream)

    async def _answer(self, line: bytes, stream: trio.SocketStream) -> bytes:
        """The line that answers a line, whatever that is."""
        try:
            call = msgspec.json.decode(line, type=Call)
            if not call.matches:
                return protocol.refusal_line(call)
            request = self._decoder.decode(call.request)
        except msgspec.MsgspecError as error:
            return protocol.failure_line(
                errors.UsageError(f"not a request that this mount knows: {error}")
            )
        try:
            return protocol.answer_line(await self._handle(request, stream))
        except errors.VstorefsError as error:
            return protocol.failure_line(error)
        except trio.BrokenResourceError:
            raise
        except Exception as error:
            log.exception("internal error, in the control socket")
            return protocol.failure_line(errors.VstorefsError(errors.internal_text(error)))

    async def _handle(self, request: Request[Any], stream: trio.SocketStream) -> msgspec.Struct:
        handler = self._handlers.get(type(request))
        if handler is not None:
            return await handler(request)
        with trio.CancelScope() as scope:

            async def send(rows: bytes) -> None:
                try:
                    await stream.send_all(protocol.page_line(rows))
                except trio.BrokenResourceError:
                    # Nobody listens any more; what is under way is given up.
                    scope.cancel()
                    await trio.lowlevel.checkpoint()

            return await self._pagers[type(request)](request, send)
        raise trio.BrokenResourceError("nobody listens any more")
