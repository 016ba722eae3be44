"""Processes that tests start, and waiting for what they should bring about."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    """A TCP port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until(
    condition: Callable[[], bool],
    what: str,
    *,
    process: subprocess.Popen[Any] | None = None,
    seconds: float = 60,
) -> None:
    """Wait for a condition while watching the process that should bring it about."""
    until = time.monotonic() + seconds
    while not condition():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"the process ended with {process.returncode} before {what}")
        if time.monotonic() > until:
            raise AssertionError(f"no {what} within {seconds} s")
        time.sleep(0.01)


def answers(port: int) -> bool:
    """Whether something listens on a local port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextlib.contextmanager
def running(
    command: list[str], log: Path, *, env: dict[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process with its output in a file, ended by its id on the way out."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def vstorefs(
    *arguments: str | Path, env: dict[str, str], check: bool = True, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user would."""
    result = subprocess.run(
        [sys.executable, "-m", "vstorefs.cli.main", *map(str, arguments)],
        env={
            **env,
            "PYTHONPATH": os.pathsep.join(
                [str(ROOT), *env.get("PYTHONPATH", "").split(os.pathsep)]
            ),
        },
        capture_output=True,
        text=True,
        timeout=timeout,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if check:
        assert result.returncode == 0, (result.args, result.stdout, result.stderr)
    return result
