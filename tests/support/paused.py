"""Servers that stop answering for a while, without a word to anybody, and then go on."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

_LISTENS = "0A"


def listeners(port: int) -> list[int]:
    """Processes that listen on a local port."""
    wanted = f"{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {
        f"socket:[{row[9]}]"
        for row in rows
        if row[1].rpartition(":")[2] == wanted and row[3] == _LISTENS
    }
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            if any(os.readlink(one) in sockets for one in (process / "fd").iterdir()):
                found.append(int(process.name))
    return found


@contextlib.contextmanager
def paused(port: int) -> Iterator[None]:
    """Nobody answers on a port, and connections to it hang."""
    processes = listeners(port)
    assert processes, f"nobody listens on {port}"
    for one in processes:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in processes:
            os.kill(one, signal.SIGCONT)
