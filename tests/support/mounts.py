"""Mounts for tests: real ones, in the kernel, each host with folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support import measuring
from tests.support.processes import vstorefs, wait_until
from vstorefs import files

RECORD = (
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d "
    r"(?P<level>DEBUG|INFO|WARNING|ERROR|CRITICAL) +(?P<message>\S.*)"
)
"""One record of a mount's log."""


class Host:
    """A machine, as far as vstorefs sees one: its own home, cache and state. Ends its mounts on the way out."""

    def __init__(self, folder: Path, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.reach = env or {}
        runtime = folder / "run"
        runtime.mkdir(parents=True)
        runtime.chmod(0o700)
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONDONTWRITEBYTECODE": "1",
            "LANG": "C.UTF-8",
            **measuring.environment(),
            **self.reach,
        }
        (folder / "home").mkdir()
        self.points: list[Path] = []
        self.urls: set[str] = set()

    def run(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        return vstorefs(*arguments, env=self.env, check=check)

    def mount(self, *what: str | Path, name: str = "mnt", cache_size: str = "256MiB") -> Mount:
        point = self.folder / name
        self.run(
            "mount",
            "--cache-size",
            cache_size,
            "--log-file",
            self.folder / f"{name}.log",
            *what,
            point,
        )
        self.points.append(point)
        mount = Mount(self, point, self.folder / f"{name}.log")
        self.urls |= {store["url"] for store in mount.status()["stores"]}
        return mount

    def project(self, text: str, *, name: str = "mnt", cache_size: str = "256MiB") -> Mount:
        file = self.folder / f"{name}.toml"
        file.write_text(text)
        return self.mount("-c", file, name=name, cache_size=cache_size)

    def close(self) -> None:
        for point in self.points:
            if os.path.ismount(point) or not os.path.exists(point):
                self.run("umount", point, "--wait", "5", check=False)
            subprocess.run(
                ["fusermount3", "-u", "-z", str(point)], check=False, capture_output=True
            )

    def verify(self) -> None:
        """Every store that was mounted here is whole, in every detail of its structure."""
        for url in self.urls:
            result = self.run("verify", "--structure", url, check=False)
            assert result.returncode == 0, f"{url}: {result.stdout}{result.stderr}"


class Mount:
    """One mount."""

    def __init__(self, host: Host, path: Path, log: Path) -> None:
        self.host = host
        self.path = path
        self.log_file = log

    def __truediv__(self, name: str) -> Path:
        return self.path / name

    def status(self) -> dict[str, Any]:
        return json.loads(self.host.run("status", self.path, "--json").stdout)[0]

    @property
    def pid(self) -> int:
        return int(self.status()["pid"])

    @property
    def worker_pids(self) -> list[int]:
        return children(self.pid)

    def log(self) -> str:
        return self.log_file.read_text()

    def wait_for_log(self, text: str, seconds: float = 60) -> None:
        wait_until(lambda: text in self.log(), f"log line {text!r}", seconds=seconds)

    def history(self, name: str) -> list[dict[str, Any]]:
        return json.loads(self.host.run("log", self.path / name, "--json").stdout)

    def contents(self, name: str) -> list[bytes | None]:
        """The content of each version of a file, oldest first; None for a tombstone."""
        folder, _, file = name.rpartition("/")
        versions = self.path / folder / ".versions" / file
        return [
            (versions / item["name"]).read_bytes() if item["name"] else None
            for item in self.history(name)
        ]

    def umount(self) -> None:
        self.host.run("umount", self.path)

    def kill(self, after: Callable[[], None] = lambda: None) -> None:
        """End the front as a crash would, right after something was done."""
        pid = self.pid
        start = files.process_start(pid)
        workers = [(one, files.process_start(one)) for one in self.worker_pids]
        after()
        os.kill(pid, signal.SIGKILL)
        for one, began in [(pid, start), *workers]:
            wait_until(lambda: files.process_start(one) != began, "end of the process")  # noqa: B023


def children(pid: int) -> list[int]:
    """The direct children of a process."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            found += [int(one) for one in (task / "children").read_text().split()]
    return found


@contextlib.contextmanager
def host(folder: Path, env: dict[str, str] | None = None) -> Iterator[Host]:
    """A host that cleans up after itself."""
    one = Host(folder, env)
    try:
        yield one
        one.verify()
    finally:
        one.close()


def error_of(action: Callable[[], object]) -> int:
    """The errno of what is done, 0 where it succeeds."""
    try:
        action()
    except OSError as error:
        return error.errno or 0
    return 0
