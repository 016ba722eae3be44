"""A control socket without a mount behind it: served by the mount's own server, or by a script."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio

from vstorefs.control.protocol import Request
from vstorefs.mount.control.server import Control, Handler, Pager
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord


@contextmanager
def serving(
    record: MountRecord,
    handlers: dict[type[Request[Any]], Handler],
    pagers: dict[type[Request[Any]], Pager] | None = None,
) -> Iterator[None]:
    """The mount's own server, in a thread."""
    control = Control(Path(record.socket), handlers, pagers or {})
    started = threading.Event()
    stop: list[Callable[[], object]] = []

    async def serve() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(control.run)
            token = trio.lowlevel.current_trio_token()
            stop.append(lambda: token.run_sync_soon(nursery.cancel_scope.cancel))
            started.set()

    thread = threading.Thread(target=trio.run, args=(serve,))
    thread.start()
    assert started.wait(30)
    try:
        yield
    finally:
        stop[0]()
        thread.join()


@contextmanager
def scripted(record: MountRecord, answer: Callable[[bytes], bytes]) -> Iterator[None]:
    """A server that answers each connection's first line with what a function makes of it, and ends the connection."""
    path = Path(record.socket)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        with mounts.address(path) as address:
            listener.bind(address)
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection, connection.makefile("rb") as lines:
                    connection.sendall(answer(lines.readline()))

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def connected(record: MountRecord) -> Iterator[Callable[[bytes], bytes]]:
    """One connection, on which lines are sent as they are; gives what sends one and returns the answer's line."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        with mounts.address(Path(record.socket)) as address:
            sock.connect(address)
        with sock.makefile("rb") as lines:

            def say(line: bytes) -> bytes:
                sock.sendall(line + b"\n")
                return lines.readline()

            yield say
