"""Sixty-four programs read whole files through a small cache for a long time, while workers die and the server fails.

`python -m bench.soak [--minutes N] [--cache SIZE] [--readers N] [--file-size BYTES] [--seed N] [--results FILE]`

The files are read set after set, each by one program, every byte is compared, and every hash that the log says of
them. All requests pass the proxy of faults of the tests; every ten seconds or so a worker is killed, or the server
stalls, refuses, cuts bodies short, or answers with 500, 503 or 429. Each minute prints a row: what was read so far,
errors that programs got, the longest time that any file took, and the memory of the front and of its workers (what is
not the mapped cache). The figures are written to a file at the end of each minute, so that a run that is stopped
leaves them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.main import serve_folder
from bench.readers import Files
from tests.support.faultproxy import Fault, FaultProxy, Kind, faulty
from tests.support.mounts import Host, Mount, children

_BUCKET = "soak"
_SET_S = 3
_SETTLED_PART = 5
_BETWEEN_KILLS_S = 40  # a job that two workers died of in a row is refused, whoever killed them
_HASHED = re.compile(r"/(set-\d+/\S+): sha256 sum: ([0-9a-f]{64})")


@dataclass
class Tally:
    """What happened so far; touched by all threads, under `lock`."""

    sets: int = 0
    read_bytes: int = 0
    hashes: int = 0
    wrong: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    longest_read_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Minute:
    """One row."""

    minute: int
    sets: int
    read_gb: float
    hashes: int
    wrong: int
    errors: int
    faults: int
    longest_read_s: float
    front_mib: float
    workers_mib: float
    cache_mib: float


def memory_mib(pid: int) -> float:
    """Memory of a process that is not the mapped cache; none once it is gone."""
    with contextlib.suppress(OSError, IndexError):
        about = Path(f"/proc/{pid}/status").read_text()
        return int(about.split("RssAnon:")[1].split()[0]) / 1024
    return 0.0


def read_timed(files: Files, folder: Path, number: int, tally: Tally) -> None:
    """Read one file to its end, however often it fails; compare all of it."""
    while True:
        began = time.monotonic()
        try:
            size = files.read(folder, number)
        except AssertionError as error:
            with tally.lock:
                tally.wrong.append(f"{folder.name}: {error}")
            return
        except OSError as error:
            with tally.lock:
                tally.errors[f"{error.strerror} after {time.monotonic() - began:.0f} s"] += 1
            continue
        with tally.lock:
            tally.read_bytes += size
            tally.longest_read_s = max(tally.longest_read_s, time.monotonic() - began)
        return


class HashLog:
    """The hashes that a mount's log says, read as they come."""

    def __init__(self, mount: Mount) -> None:
        self._file = mount.log_file.open()
        self.said: dict[str, str] = {}

    def wait(self, paths: dict[str, str], seconds: float = 120) -> list[str]:
        """What is wrong with the hashes of these paths, or missing when the time is up."""
        until = time.monotonic() + seconds
        while not paths.keys() <= self.said.keys() and time.monotonic() < until:
            self.said |= {
                found[1]: found[2] for line in self._file if (found := _HASHED.search(line))
            }
            time.sleep(0.05)
        wrong = [
            f"{path}: hashed as {self.said.get(path, 'nothing')}"
            for path, digest in paths.items()
            if self.said.get(path) != digest
        ]
        for path in paths:
            self.said.pop(path, None)
        return wrong


def read_sets(
    files: Files, mount: Mount, served: Path, stop: threading.Event, tally: Tally
) -> None:
    """Read set after set until it is time."""
    hashes, log = [files.sha256(number) for number in range(files.count)], HashLog(mount)
    with ThreadPoolExecutor(files.count) as programs:
        for folder in sorted(served.iterdir()):
            if stop.is_set():
                return
            shown = mount / folder.name
            list(
                programs.map(
                    lambda number, shown=shown: read_timed(files, shown, number, tally),
                    range(files.count),
                )
            )
            paths = {
                f"{folder.name}/{files.name(number)}": hashes[number]
                for number in range(files.count)
            }
            wrong = log.wait(paths)
            with tally.lock:
                tally.sets += 1
                tally.hashes += files.count - len(wrong)
                tally.wrong += wrong
            # What nobody needs any more goes, as on any server: the mount is to forget it too.
            shutil.rmtree(folder)


class Trouble(threading.Thread):
    """Makes one fault after the other, until it is time."""

    def __init__(self, proxy: FaultProxy, front: int, stop: threading.Event, seed: int) -> None:
        super().__init__()
        self.made: Counter[str] = Counter()
        self._proxy = proxy
        self._front = front
        self._stop_asked = stop
        self._chance = random.Random(seed)
        self._killed_at = float("-inf")

    def run(self) -> None:
        """Every ten seconds or so."""
        faults = [one for one in Kind if one is not Kind.FLIP]
        # Of a part of a content no server of S3's tells a checksum: what is flipped there nobody can know.
        while not self._stop_asked.wait(self._chance.uniform(6, 14)):
            what: Kind | str = self._chance.choice([*faults, "kill", "kill all"])
            if isinstance(what, Kind):
                self._spoil(what)
                self.made[what.name] += 1
            elif time.monotonic() > self._killed_at + _BETWEEN_KILLS_S:
                self._kill(all_of_them=what == "kill all")
                self.made[what] += 1

    def _kill(self, *, all_of_them: bool) -> None:
        self._killed_at = time.monotonic()
        workers = children(self._front)
        for pid in workers if all_of_them else workers[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _spoil(self, kind: Kind) -> None:
        chance, gets = self._chance, f"{_BUCKET}/set-"
        if kind in {Kind.STALL, Kind.LATE}:
            seconds = chance.uniform(1, 8)
            self._proxy.add(Fault("*", "", kind, times=10**9, seconds=seconds))
            self._stop_asked.wait(seconds)
            self._proxy.clear()
            return
        at = chance.randrange(1, 1 << 20)
        if kind is Kind.LENGTH:
            at *= chance.choice([-1, 1])
        status = chance.choice([500, 503, 429])
        times = chance.randrange(5, 60)
        self._proxy.add(Fault("GET", gets, kind, 0, times, at, status, retry_after_s=1))


def link_all(files: Path, folder: Path) -> None:
    """The same files under other names, which cost no room."""
    folder.mkdir()
    for file in files.iterdir():
        (folder / file.name).hardlink_to(file)


def minute_of(number: int, tally: Tally, trouble: Trouble, front: int, mount: Mount) -> Minute:
    """The row of this minute."""
    cache = mount.status()["cache"]["used_bytes"] / (1 << 20)
    with tally.lock:
        return Minute(
            number,
            tally.sets,
            round(tally.read_bytes / 1e9, 1),
            tally.hashes,
            len(tally.wrong),
            sum(tally.errors.values()),
            sum(trouble.made.values()),
            round(tally.longest_read_s, 1),
            round(memory_mib(front), 1),
            round(sum(memory_mib(pid) for pid in children(front)), 1),
            round(cache, 1),
        )


_HEADINGS = (
    *("min", "sets", "GB", "hashes", "wrong", "errors", "faults", "longest s"),
    *("front MiB", "workers MiB", "cache MiB"),
)


def print_row(row: Minute) -> None:
    print("".join(f"{value:>12}" for value in asdict(row).values()), flush=True)


def write_results(file: Path | None, rows: list[Minute], tally: Tally, trouble: Trouble) -> None:
    """All figures so far."""
    if file is None:
        return
    with tally.lock:
        results = {
            "minutes": [asdict(row) for row in rows],
            "wrong": tally.wrong[:100],
            "errors": tally.errors,
            "faults": trouble.made,
            "memory": growth(rows),
        }
    file.write_text(json.dumps(results, indent=2) + "\n")


def growth(rows: list[Minute]) -> dict[str, float]:
    """Medians of memory in the second and in the last fifth of a run, in MiB."""
    part = max(1, len(rows) // _SETTLED_PART)
    early, late = rows[part : 2 * part] or rows, rows[-part:]
    found = {}
    for name in ("front_mib", "workers_mib"):
        for when, some in (("early", early), ("late", late)):
            values = sorted(getattr(row, name) for row in some)
            found[f"{name}_{when}"] = values[len(values) // 2] if values else 0.0
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=60)
    parser.add_argument("--cache", default="16MiB")
    parser.add_argument("--readers", type=int, default=64)
    parser.add_argument("--file-size", type=int, default=24_000_000, help="bytes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--results", type=Path, help="write the figures here, as JSON")
    chosen = parser.parse_args()
    # Whoever ends it early gets what there is, and no mount is left behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    files, tally, stop = Files.make(chosen.file_size, chosen.readers), Tally(), threading.Event()
    rows: list[Minute] = []
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-", dir="/var/tmp"))
        )
        (folder / "files").mkdir()
        files.write(folder / "files")
        served = folder / "data" / _BUCKET
        served.mkdir(parents=True)
        for number in range(chosen.minutes * 60 // _SET_S + 1):
            link_all(folder / "files", served / f"set-{number:05d}")
        env = serve_folder(stack, folder)
        target = int(env["AWS_ENDPOINT_URL"].rpartition(":")[2])
        proxy = stack.enter_context(faulty(target, folder))
        env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
        host = Host(folder / "host", env)
        stack.callback(host.close)
        mount = host.mount("--read-only", f"s3://{_BUCKET}", cache_size=chosen.cache)
        front = mount.pid
        trouble = Trouble(proxy, front, stop, chosen.seed)
        reading = threading.Thread(target=read_sets, args=(files, mount, served, stop, tally))
        for thread in (reading, trouble):
            thread.start()
        print("".join(f"{heading:>12}" for heading in _HEADINGS))
        try:
            for number in range(1, chosen.minutes + 1):
                time.sleep(60)
                rows.append(minute_of(number, tally, trouble, front, mount))
                print_row(rows[-1])
                write_results(chosen.results, rows, tally, trouble)
        finally:
            stop.set()
            proxy.clear()
            for thread in (reading, trouble):
                thread.join()
            write_results(chosen.results, rows, tally, trouble)
    report(rows, tally, trouble)


def report(rows: list[Minute], tally: Tally, trouble: Trouble) -> None:
    """Print what it comes to; fails where a byte or a hash was wrong."""
    print("faults:", dict(trouble.made))
    print("errors:", dict(tally.errors))
    print("wrong:", tally.wrong[:10] or "nothing")
    print("memory, median of the second and of the last fifth:", growth(rows))
    if tally.wrong:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
