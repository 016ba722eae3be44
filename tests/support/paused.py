"""Servers that are away for a while: hanging without a word, or not there at all."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.support.processes import ROOT, answers, free_port, running, wait_until

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


class Gate:
    """A way to a server that can be shut: then connections to its port are refused."""

    def __init__(self, folder: Path, target: int) -> None:
        self.port = free_port()
        self._log = folder / f"gate-{self.port}.log"
        self._command = [sys.executable, "-m", "tests.support.counting_proxy", str(self.port)]
        self._command.append(str(target))
        self._stack = contextlib.ExitStack()

    def open(self) -> None:
        """Let everybody through."""
        process: subprocess.Popen[bytes] = self._stack.enter_context(
            running(self._command, self._log, cwd=ROOT)
        )
        wait_until(lambda: answers(self.port), "answer of the gate", process=process)

    def shut(self) -> None:
        """Let nobody through."""
        self._stack.close()
