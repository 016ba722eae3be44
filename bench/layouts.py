"""`python -m bench.layouts`: both layouts beside rclone mount, on one local radosgw, with and without latency.

What it measures: small files created and overwritten (time, and requests per close), `ls -lR` of many
files with and without history, and random reads of 4 KiB. Every request can be held up for 20 ms by a
small proxy, as a network would. BENCH_SCALE=0.1 makes everything smaller.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.main import RCLONE, ROOT
from tests.support.mounts import Host
from tests.support.processes import wait_until
from tests.support.radosgw import CountedServer, counted, radosgw
from vstorefs.model import Key
from vstorefs.stores.ids import new_id
from vstorefs.versions import records
from vstorefs.versions.order import Plain
from vstorefs.versions.records import Area, Body, Flag, Names, RecordKind, Summary

_SCALE = float(os.environ.get("BENCH_SCALE", "1"))
_SMALL = int(1000 * _SCALE)
_MANY = int(10_000 * _SCALE)
_READS = int(200 * _SCALE)
_LARGE = 64 << 20
_DELAY_MS = 20
_LAYOUTS = {"native": True, "portable": False}


@dataclass
class Results:
    """Rows of a table: what was measured, for whom, with which latency."""

    rows: list[dict[str, Any]] = field(default_factory=list)

    def add(self, what: str, who: str, delay_ms: int, seconds: float, **more: float) -> None:
        """Take in one measurement and print it."""
        row = {"what": what, "who": who, "delay_ms": delay_ms, "seconds": round(seconds, 3), **more}
        self.rows.append(row)
        extra = "".join(f"  {name} {value}" for name, value in more.items())
        print(f"{what:34}{who:20}{delay_ms:>4} ms {seconds:>9.2f} s{extra}", flush=True)


@contextmanager
def vstorefs_on(server: CountedServer, bucket: str, folder: Path) -> Iterator[tuple[Path, Host]]:
    """A mount of ours with nothing in its cache."""
    host = Host(folder / new_id(), server.env)
    try:
        yield host.mount(f"s3://{bucket}", cache_size="1GiB").path, host
    finally:
        host.close()


@contextmanager
def rclone_on(server: CountedServer, bucket: str, folder: Path) -> Iterator[Path]:
    """A mount of rclone's that writes through, as ours does."""
    point = folder / new_id()
    point.mkdir()
    remote = f":s3,provider=Ceph,env_auth=true,endpoint='{server.endpoint}':{bucket}"
    process = subprocess.Popen(
        [RCLONE, "mount", remote, str(point), "--vfs-cache-mode", "off"],
        env={**os.environ, **server.env, "RCLONE_CONFIG": "/dev/null"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: os.path.ismount(point), "mount of rclone", process=process)
        yield point
    finally:
        subprocess.run(["fusermount3", "-u", "-z", str(point)], check=False)
        process.wait(30)


def timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def write_all(folder: Path) -> None:
    """Small files, one after the other."""
    folder.mkdir(exist_ok=True)
    for number in range(_SMALL):
        (folder / f"{number:05d}").write_bytes(os.urandom(2000))


def list_all(folder: Path) -> None:
    """What a person types."""
    subprocess.run(["ls", "-lR", str(folder)], check=True, stdout=subprocess.DEVNULL)


def read_randomly(path: Path) -> None:
    """4 KiB here and there."""
    chance = random.Random(1)
    with path.open("rb", buffering=0) as file:
        for _ in range(_READS):
            file.seek(chance.randrange(_LARGE - 4096))
            file.read(4096)


def measure_writes(
    server: CountedServer, layout: str, folder: Path, delay: int, out: Results
) -> None:
    """Creates and overwrites, with the requests that each close took, tidying apart."""
    bucket = f"writes-{new_id()}"
    server.bucket(bucket, versioned=_LAYOUTS[layout])
    with vstorefs_on(server, bucket, folder) as (path, host):
        (path / "warm").write_bytes(b"1")
        for what in ("create", "overwrite"):
            before = server.requests()
            seconds = timed(lambda: write_all(path / "d"))
            host.run("flush")
            asked = (server.requests() - before) / _SMALL
            out.add(
                f"{what} {_SMALL:,} small files",
                layout,
                delay,
                seconds,
                requests_per_close=round(asked, 2),
            )
    if layout == "native":
        bucket = f"writes-{new_id()}"
        server.bucket(bucket, versioned=True)
        with rclone_on(server, bucket, folder) as path:
            for what in ("create", "overwrite"):
                seconds = timed(lambda: write_all(path / "d"))
                out.add(f"{what} {_SMALL:,} small files", "rclone off", delay, seconds)


def fill(client: Any, bucket: str, *, versioned: bool, history: bool) -> None:
    """Many files in ten folders, as they lie in the store once superseded records were moved."""
    keys = [f"d{number % 10}/f{number:05d}" for number in range(_MANY)]

    def plain(key: str) -> None:
        client.put_object(Bucket=bucket, Key=key, Body=b"content")

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(plain, keys))
        if history and versioned:
            list(pool.map(plain, keys))
        elif history:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
            items = [item for page in pages for item in page["Contents"]]
            list(pool.map(lambda item: _record(client, bucket, item), items))


def _record(client: Any, bucket: str, item: dict[str, Any]) -> None:
    key = Key(item["Key"])
    modified = int(item["LastModified"].timestamp()) * 10**9
    seen = Plain(key, item["ETag"].strip('"'), item["Size"], modified)
    summary = Summary(
        100, RecordKind.CONTENT, modified, 7, modified, 0o100644, seen.stamp, new_id(), Flag.INLINE
    )
    body = Body(store="bench", path=key, inline=b"content")
    name = Names().key(Area.HEADS, key, summary)
    client.put_object(Bucket=bucket, Key=name, Body=records.encode_body(body))


def measure_looks(
    servers: dict[int, CountedServer], layout: str, folder: Path, out: Results
) -> None:
    """Listings with and without history, and random reads."""
    for history in (False, True):
        bucket = f"looks-{new_id()}"
        client = servers[0].bucket(bucket, versioned=_LAYOUTS[layout])
        fill(client, bucket, versioned=_LAYOUTS[layout], history=history)
        client.put_object(Bucket=bucket, Key="large", Body=os.urandom(_LARGE))
        what = f"ls -lR of {_MANY:,} files{', with history' if history else ''}"
        for delay, server in servers.items():
            with vstorefs_on(server, bucket, folder) as (path, _):
                before = server.requests()
                seconds = timed(lambda: list_all(path))
                out.add(what, layout, delay, seconds, requests=server.requests() - before)
                if not history:
                    seconds = timed(lambda: read_randomly(path / "large"))
                    out.add(f"{_READS} random reads of 4 KiB", layout, delay, seconds)
            if layout == "native":
                with rclone_on(server, bucket, folder) as path:
                    out.add(what, "rclone off", delay, timed(lambda: list_all(path)))
                    if not history:
                        seconds = timed(lambda: read_randomly(path / "large"))
                        out.add(f"{_READS} random reads of 4 KiB", "rclone off", delay, seconds)


def main() -> None:
    """Measure and report."""
    out = Results()
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir="/var/tmp"))
        )
        server = stack.enter_context(radosgw(folder))
        port = int(server.endpoint.rpartition(":")[2])
        slow = stack.enter_context(counted(port, folder, server, delay_ms=_DELAY_MS))
        servers = {0: server, _DELAY_MS: slow}
        for layout in _LAYOUTS:
            for delay, one in servers.items():
                measure_writes(one, layout, folder, delay, out)
            measure_looks(servers, layout, folder, out)
    _ratios(out)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    (results / "layouts.json").write_text(json.dumps(out.rows, indent=2) + "\n")
    print(f"written to {results / 'layouts.json'}", file=sys.stderr)


def _ratios(out: Results) -> None:
    """The peer's time by ours: above 1 we are faster."""
    print()
    peers = {
        (row["what"], row["delay_ms"]): row["seconds"] for row in out.rows if "rclone" in row["who"]
    }
    ratios: dict[str, list[float]] = {}
    for row in out.rows:
        peer = peers.get((row["what"], row["delay_ms"]))
        if peer is not None and "rclone" not in row["who"]:
            ratio = peer / max(row["seconds"], 1e-3)
            ratios.setdefault(row["who"], []).append(ratio)
            print(
                f"{row['what']:34}{row['who']:12}{row['delay_ms']:>4} ms {ratio:>8.2f}x of rclone off"
            )
    for who, values in ratios.items():
        print(f"{who}: geometric mean {statistics.geometric_mean(values):.2f}x")


if __name__ == "__main__":
    main()
