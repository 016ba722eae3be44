"""Programs that each read a whole file at the same time, through caches that are too small for them.

`python -m bench.readers [--readers N] [--file-size BYTES] [--rounds N] [--ample CACHE] [CACHE ...]`, by default 64
files of 24 MB through caches of 256, 64, 16 and 8 MiB. Rounds are interleaved; every byte is compared, and every hash
that the log says. Prints a table: seconds until all was read, and until all was hashed, beside an ample cache, and how
much the server sent, in files.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench.main import serve_folder
from tests.support.mounts import Host, Mount
from tests.support.paused import listeners

_MIB = 1 << 20
_BUCKET = "readers"
_STEP = 371_293


@dataclass(frozen=True)
class Files:
    """Files that differ and are cheap to compare: each is a stretch of the same random bytes, begun elsewhere."""

    size: int
    count: int
    material: bytes

    @classmethod
    def make(cls, size: int, count: int, seed: int = 1) -> Files:
        """So many files of so many bytes each."""
        chance = random.Random(seed)
        pieces = -(-(size + _STEP * count) // _MIB)
        return cls(size, count, b"".join(chance.randbytes(_MIB) for _ in range(pieces)))

    def part(self, number: int, start: int, end: int) -> bytes:
        """Bytes [start, end) of a file, cut at its end."""
        begin = number * _STEP
        return self.material[begin + start : begin + min(end, self.size)]

    def sha256(self, number: int) -> str:
        """What the log should say of a file."""
        return hashlib.sha256(self.part(number, 0, self.size)).hexdigest()

    def write(self, folder: Path) -> None:
        """Make all of them."""
        for number in range(self.count):
            (folder / self.name(number)).write_bytes(self.part(number, 0, self.size))

    @staticmethod
    def name(number: int) -> str:
        """Of one file."""
        return f"file-{number:03d}.bin"

    def read(self, folder: Path, number: int) -> int:
        """Read one whole file, comparing each block; gives its bytes. Raises: AssertionError; OSError."""
        at = 0
        with (folder / self.name(number)).open("rb", buffering=0) as file:
            while block := file.read(_MIB):
                assert block == self.part(number, at, at + len(block)), f"file {number} at {at}"
                at += len(block)
        assert at == self.size, f"file {number} ends at {at}"
        return at


@dataclass(frozen=True)
class Took:
    """One round with one cache."""

    read_s: float
    hashed_s: float
    sent_bytes: int


def written_by(pid: int) -> int:
    """Bytes that a process has written, into sockets above all."""
    about = Path(f"/proc/{pid}/io").read_text()
    return int(about.split("wchar:")[1].split()[0])


def measure(files: Files, mount: Mount, wanted: list[str], server: int) -> Took:
    """Read all files at once, then wait for their hashes."""
    before, began = written_by(server), time.perf_counter()
    with ThreadPoolExecutor(files.count) as programs:
        list(programs.map(lambda number: files.read(mount.path, number), range(files.count)))
    read_s = time.perf_counter() - began
    for digest in wanted:
        mount.wait_for_log(f"sha256 sum: {digest}", seconds=300)
    hashed_s = time.perf_counter() - began
    return Took(read_s, hashed_s, written_by(server) - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--readers", type=int, default=64)
    parser.add_argument("--file-size", type=int, default=24_000_000, help="bytes")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--ample", default="4GiB", help="the cache to compare with")
    parser.add_argument(
        "caches", nargs="*", default=["256MiB", "64MiB", "16MiB", "8MiB"], metavar="CACHE"
    )
    chosen = parser.parse_args()
    files = Files.make(chosen.file_size, chosen.readers)
    wanted = [files.sha256(number) for number in range(files.count)]
    found: dict[str, list[Took]] = {}
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="readers-", dir="/var/tmp"))
        )
        (folder / "data" / _BUCKET).mkdir(parents=True)
        files.write(folder / "data" / _BUCKET)
        env = serve_folder(stack, folder)
        [server] = listeners(int(env["AWS_ENDPOINT_URL"].rpartition(":")[2]))
        for turn in range(chosen.rounds):
            for cache in [chosen.ample, *chosen.caches]:
                host = Host(folder / f"{turn}-{cache}", env)
                try:
                    mount = host.mount("--read-only", f"s3://{_BUCKET}", cache_size=cache)
                    found.setdefault(cache, []).append(measure(files, mount, wanted, server))
                    print(turn, cache, found[cache][-1], flush=True)
                finally:
                    host.close()
    report(files, found, chosen.ample)


def report(files: Files, found: dict[str, list[Took]], ample: str) -> None:
    """Print the table; a ratio is the ample cache's median time by this one's."""
    total = files.size * files.count
    medians = {
        cache: Took(
            statistics.median(one.read_s for one in took),
            statistics.median(one.hashed_s for one in took),
            max(one.sent_bytes for one in took),
        )
        for cache, took in found.items()
    }
    print(f"{files.count} readers, {total / 1e6:.0f} MB")
    print(
        f"{'cache':>10}{'read':>10}{'MB/s':>8}{'vs ample':>10}{'hashed':>10}{'vs ample':>10}{'sent':>8}"
    )
    for cache, one in medians.items():
        print(
            f"{cache:>10}{one.read_s:>8.1f} s{total / one.read_s / 1e6:>8.0f}"
            f"{medians[ample].read_s / one.read_s:>9.2f}x{one.hashed_s:>8.1f} s"
            f"{medians[ample].hashed_s / one.hashed_s:>9.2f}x{one.sent_bytes / total:>7.2f}x"
        )


if __name__ == "__main__":
    main()
