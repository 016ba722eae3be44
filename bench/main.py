"""`make bench`: vstorefs beside rclone mount, reading from one local S3 server.

Rounds are interleaved, so that whatever else the machine does falls on all alike. First comes what
plain parallel GETs reach, so that it shows when the server is the limit. Prints a table, writes
JSON to bench/results/.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import boto3
from botocore.config import Config

from tests.support.mounts import Host
from tests.support.processes import answers, free_port, running, wait_until

ROOT = Path(__file__).parents[1]
RCLONE = str(Path(sys.executable).parent / "rclone")
_MIB = 1 << 20
_LARGE = 1024 * _MIB
_SMALL = 1000
_SMALL_BYTES = 16 << 10
_ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
_KEY, _SECRET = "bench-access-key", "bench-secret-key-that-is-long"
_BUCKET = "bench-bucket"

Seconds = dict[str, dict[str, list[float]]]


class Vstorefs:
    """A mount of ours; `renew` begins with an empty cache."""

    name = "vstorefs"

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self._folder = folder / "vstorefs"
        self._folder.mkdir()
        self._env = env
        self._host: Host | None = None
        self._turn = 0
        self.path = folder

    def renew(self) -> None:
        """Mount with an empty cache."""
        self.close()
        self._turn += 1
        self._host = Host(self._folder / str(self._turn), self._env)
        self.path = self._host.mount("--read-only", f"s3://{_BUCKET}", cache_size="3GiB").path

    def again(self) -> None:
        """Mount anew on the same cache."""
        assert self._host is not None
        self._host.run("umount", self.path)
        self._host.mount("--read-only", f"s3://{_BUCKET}", cache_size="3GiB")

    def close(self) -> None:
        """End the mount and drop its cache."""
        if self._host is not None:
            self._host.close()
            subprocess.run(["rm", "-rf", str(self._host.folder)], check=True)
            self._host = None


class Rclone:
    """A mount of rclone's, with one of its cache modes."""

    def __init__(self, folder: Path, env: dict[str, str], mode: str, endpoint: str) -> None:
        self.name = f"rclone {mode}"
        self._folder = folder / f"rclone-{mode}"
        self._mode = mode
        self._env = {**os.environ, **env, "RCLONE_CONFIG": "/dev/null"}
        self._remote = f":s3,provider=Other,env_auth=true,endpoint='{endpoint}':{_BUCKET}"
        self._process: subprocess.Popen[bytes] | None = None
        self.path = self._folder / "mnt"
        self.path.mkdir(parents=True)

    def renew(self) -> None:
        """Mount with an empty cache."""
        self.close()
        subprocess.run(["rm", "-rf", str(self._folder / "cache")], check=True)
        self._start()

    def again(self) -> None:
        """Mount anew on the same cache."""
        self.close()
        self._start()

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [
                RCLONE,
                "mount",
                self._remote,
                str(self.path),
                "--read-only",
                "--vfs-cache-mode",
                self._mode,
                "--cache-dir",
                str(self._folder / "cache"),
                "--dir-cache-time",
                "60s",
            ],
            env=self._env,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: os.path.ismount(self.path), "mount of rclone", process=self._process)

    def close(self) -> None:
        """End the mount."""
        if self._process is not None:
            subprocess.run(["fusermount3", "-u", str(self.path)], check=False)
            self._process.wait(30)
            self._process = None


Peer = Vstorefs | Rclone


def main() -> None:
    """Measure and report."""
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp"))
        )
        env = serve(stack, folder)
        endpoint = env["AWS_ENDPOINT_URL"]
        plain = plain_gets(endpoint)
        print(f"plain parallel GETs: {plain:.0f} MB/s")
        peers: list[Peer] = [
            Vstorefs(folder, env),
            Rclone(folder, env, "full", endpoint),
            Rclone(folder, env, "off", endpoint),
        ]
        seconds: Seconds = {}
        try:
            for number in range(_ROUNDS):
                print(f"round {number + 1} of {_ROUNDS}", file=sys.stderr)
                for peer in peers:
                    measure(peer, seconds)
        finally:
            for peer in peers:
                peer.close()
    report(seconds, plain, [peer.name for peer in peers])


def serve(stack: ExitStack, folder: Path) -> dict[str, str]:
    """Start the server on content made here; gives what a program needs to reach it."""
    data = folder / "data" / _BUCKET
    (data / "small-files").mkdir(parents=True)
    with (data / "large-file.bin").open("wb") as file:
        for _ in range(_LARGE // (16 * _MIB)):
            file.write(os.urandom(16 * _MIB))
    for number in range(_SMALL):
        (data / "small-files" / f"file-{number:04d}.bin").write_bytes(os.urandom(_SMALL_BYTES))
    return serve_folder(stack, folder)


def serve_folder(stack: ExitStack, folder: Path) -> dict[str, str]:
    """Start a server of the buckets in `folder`/data; gives what a program needs to reach it."""
    port = free_port()
    command = [
        RCLONE,
        "serve",
        "s3",
        "--addr",
        f"127.0.0.1:{port}",
        "--auth-key",
        f"{_KEY},{_SECRET}",
        "--config",
        "/dev/null",
        "--vfs-cache-mode",
        "off",
        str(folder / "data"),
    ]
    process = stack.enter_context(running(command, folder / "server.log"))
    wait_until(lambda: answers(port), "answer of the server", process=process)
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
    }


def plain_gets(endpoint: str) -> float:
    """MB/s of ranged GETs of 8 MiB, eight at a time, with nothing else done."""
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=_KEY,
        aws_secret_access_key=_SECRET,
        region_name="us-east-1",
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=16),
    )
    part = 8 * _MIB

    def get(start: int) -> None:
        body = client.get_object(
            Bucket=_BUCKET, Key="large-file.bin", Range=f"bytes={start}-{start + part - 1}"
        )["Body"]
        while body.read(_MIB):
            continue

    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(get, range(0, _LARGE, part)))
    return _LARGE / (time.perf_counter() - began) / 1e6


def measure(peer: Peer, seconds: Seconds) -> None:
    """One round: each reading cold, then warm, that is after a new mount on the same cache."""
    readings: dict[str, Callable[[], None]] = {
        "1 GiB sequential": lambda: read(peer.path / "large-file.bin"),
        "1,000 small files": lambda: read_all(peer.path / "small-files"),
    }
    for what, reading in readings.items():
        peer.renew()
        record(seconds, f"{what}, cold", peer.name, reading)
        peer.again()
        record(seconds, f"{what}, warm", peer.name, reading)


def record(seconds: Seconds, what: str, who: str, reading: Callable[[], None]) -> None:
    """Time one reading."""
    began = time.perf_counter()
    reading()
    seconds.setdefault(what, {}).setdefault(who, []).append(time.perf_counter() - began)


def read(path: Path) -> None:
    """Read a file from start to end."""
    subprocess.run(["cat", str(path)], check=True, stdout=subprocess.DEVNULL)


def read_all(folder: Path) -> None:
    """Read every file of a folder, one after the other."""
    for path in sorted(folder.iterdir()):
        path.read_bytes()


def report(seconds: Seconds, plain: float, names: list[str]) -> None:
    """Print the table; ratios are the peer's median time by ours, so above 1 we are faster."""
    results: dict[str, object] = {
        "plain_get_mb_per_s": round(plain, 1),
        "rounds": _ROUNDS,
        "seconds": seconds,
    }
    print(
        f"\n{'':26}"
        + "".join(f"{name:>16}" for name in names)
        + "".join(f"{'vs ' + name:>16}" for name in names[1:])
    )
    for what, by_name in seconds.items():
        medians = {name: statistics.median(by_name[name]) for name in names}
        ratios = [medians[name] / medians["vstorefs"] for name in names[1:]]
        print(
            f"{what:26}"
            + "".join(f"{medians[name]:>14.2f} s" for name in names)
            + "".join(f"{one:>15.2f}x" for one in ratios)
        )
    folder = ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(results, indent=2) + "\n")
    print(f"\nwritten to {folder / 'latest.json'}")


if __name__ == "__main__":
    main()
