"""Serves the page on the loopback address until it is told to stop."""

from __future__ import annotations

import html
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn

from vstorefs import errors, files
from vstorefs.ledger import opening
from vstorefs.ledger.opening import Chosen
from vstorefs.state import mounts
from vstorefs.web.app import application
from vstorefs.web.security import HOST, Door
from vstorefs.web.site import Site
from vstorefs.web.sync import LedgerSync

_SHUTDOWN_S = 3


def serve(chosen: Chosen, port: int, *, browser: bool, tell: Callable[[str], None]) -> None:
    """Serve a project's page until Ctrl-C. `tell` is given the address for each browser.

    Raises: UsageError for a port that cannot be had.
    """
    with _listening(port) as sock, opening.opened(chosen) as ledger:
        door = Door(sock.getsockname()[1], tell)
        sync = LedgerSync(chosen)
        server = uvicorn.Server(
            uvicorn.Config(
                application(Site(chosen, ledger, sync), door),
                lifespan="off",
                ws="none",
                access_log=False,  # it would show the token
                log_config=None,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=_SHUTDOWN_S,
            )
        )
        sync.start()
        # The server ends by itself at either signal, and gives it on when it has: that is how this ends.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            tell(door.address)
            with _page_for_browser(door.address, wanted=browser):
                server.run(sockets=[sock])
        except KeyboardInterrupt:
            pass
        finally:
            sync.stop()


@contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((HOST, port))
            sock.listen(128)
        except (OSError, OverflowError) as error:
            why = error.strerror if isinstance(error, OSError) else "ports are below 65536"
            raise errors.UsageError(
                f"cannot listen on port {port}: {why}; choose another with --port, or omit it for a free one"
            ) from error
        yield sock


@contextmanager
def _page_for_browser(address: str, *, wanted: bool) -> Iterator[None]:
    """Open a browser, by way of a private file: what stands in a command line, every user of the machine can read."""
    if not wanted or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        yield
        return
    file = mounts.runtime_dir() / f"ui-{os.getpid()}.html"
    _write_private(
        file, f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(address)}">'
    )
    try:
        # Some browsers return only when they are closed.
        threading.Thread(target=webbrowser.open, args=(file.as_uri(),), daemon=True).start()
        yield
    finally:
        files.change("page.remove", file.unlink, missing_ok=True)


def _write_private(file: Path, text: str) -> None:
    files.change("page.remove", file.unlink, missing_ok=True)
    number = files.change("page.create", os.open, file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        files.write_all("page.write", number, text.encode(), 0)
    finally:
        os.close(number)
