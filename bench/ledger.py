"""A ledger of 100, 1,000 and 10,000 runs with 100 uses each: an open, a listing, a new host's first look.

`python -m bench.ledger [RUNS ...]`. The archive is in memory and its requests are counted, the state in memory too,
where there is room: what is compared is the same work at each size, not a disk.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

from tests.ledger.hosts import PROJECT, START, LedgerHost, World, hashes, in_memory, place
from vstorefs.ledger import bundles, manifest, naming
from vstorefs.ledger.archive import BUNDLES, RUNS
from vstorefs.ledger.exchange import BUNDLED
from vstorefs.ledger.manifest import Input, Manifest, Run, RunKind, RunStatus, Seen
from vstorefs.model import RunId, Token
from vstorefs.stores.ids import derived_id

_SIZES = (100, 1_000, 10_000)
_USES = 100
_PATHS = 5_000
_TURNS = 300
_LISTED = (20, 200)


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or list(_SIZES)
    rows = [measured(runs) for runs in sizes]
    print(f"\n{'':48}" + "".join(f"{runs:>12,} runs" for runs in sizes))
    for name in rows[0]:
        values = [row[name] for row in rows]
        print(f"{name:48}" + "".join(f"{value:17,.3f}" for value in values))
        ratios = [f"x {b / a:.2f}" if a else "-" for a, b in itertools.pairwise(values)]
        print(f"{'':48}{'':>17}" + "".join(f"{ratio:>17}" for ratio in ratios))


def measured(runs: int) -> dict[str, float]:
    """All numbers of one size."""
    with in_memory() as folder:
        world = World(folder)
        _fill(world, runs)
        host = world.host("new")
        began = time.perf_counter()
        assert host.ledger.receive(whole=True).runs == runs
        took = time.perf_counter() - began
        asked = world.archive.requests
        found = {
            "a new host's first look, s": took,
            "  the same, s for 1,000 uses": took / (runs * _USES / 1000),
            "  its requests: lists": asked["list"],
            "  its requests: objects": asked["get"],
            "  its requests for 100 runs": asked.total() / runs * 100,
        }
        began = time.perf_counter()
        host.ledger.receive()
        found["the next look, ms"] = (time.perf_counter() - began) * 1000
        found |= _opens(host)
        for count in _LISTED:
            found[f"the newest {count} runs, ms"] = _median_ms(lambda: _list(host, count))  # noqa: B023
        found["the newest use of a path, ms"] = _median_ms(
            lambda: host.ledger.of_path(place("f/7"))
        )
        world.close()
    print(f"{runs:,} runs, {runs * _USES:,} uses: done", flush=True)
    return found


def _opens(host: LedgerHost) -> dict[str, float]:
    """Opens of inputs: known ones, changed ones that are warned of, and paths that nobody used."""
    run = host.begin("bench")
    newest: dict[str, Callable[[int], object]] = {
        "the same": lambda n: host.use(run, f"f/{n}", _content(n, 0)),
        "changed": lambda n: host.use(run, f"f/{n}", _content(n, 1)),
        "new": lambda n: host.use(run, f"other/{n}", _content(n, 0)),
    }
    found = {}
    for what, use in newest.items():
        times = []
        for number in range(_TURNS):
            began = time.perf_counter()
            use(number)
            times.append((time.perf_counter() - began) * 1000)
        found[f"an open of an input, {what}, ms"] = statistics.median(times)
    host.end(run)
    return found


def _list(host: LedgerHost, count: int) -> None:
    for _ in itertools.islice(host.ledger.runs(), count):
        pass


def _median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(21):
        began = time.perf_counter()
        call()
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def _fill(world: World, runs: int) -> None:
    """An archive as hosts leave it: all but the newest runs in bundles."""
    whole = _manifests(world, runs)
    bundled = max(0, runs // BUNDLED - 1)
    for _ in range(bundled):
        some = list(itertools.islice(whole, BUNDLED))
        name = bundles.name_of([one.run.id for one in some])
        world.archive.add(f"{BUNDLES}{name}.json.gz", bundles.encode(bundles.bundle(some)))
        for one in some:
            # Nobody reads it: it is in a bundle.
            world.archive.add(_name(one), b"")
    for one in whole:
        world.archive.add(_name(one), manifest.encode(one))
    world.archive.requests.clear()


def _manifests(world: World, runs: int) -> Iterator[Manifest]:
    for number in range(runs):
        world.time.tick(timedelta(minutes=10))
        inputs = tuple(_input(world, (number * 37 + use) % _PATHS, number) for use in range(_USES))
        run = Run(
            id=RunId(derived_id(str(number))),
            project=PROJECT,
            kind=RunKind.COMMAND,
            sequence=number + 1,
            started=world.time.now,
            ended=world.time.now + timedelta(minutes=5),
            status=RunStatus.FINISHED,
            exit_status=0,
            user="ann",
            host=f"host{number % 10}",
            name=f"run {number}",
            command=("python", "train.py"),
            inputs=_USES,
        )
        yield Manifest(run=run, inputs=inputs, stores={"inputs": "s3://inputs"})


def _input(world: World, file: int, number: int) -> Input:
    now = world.time.now
    return Input(
        place=place(f"f/{file}"),
        content=_content(file, 0),
        first_used=now,
        last_used=now,
        read_bytes=5,
        sequence=number + 1,
    )


def _content(file: int, generation: int) -> Seen:
    text = f"content {generation} of {file}"
    return Seen(token=Token(f"{file}-{generation}"), size=len(text), hashes=hashes(text))


def _name(whole: Manifest) -> str:
    return naming.dated(RUNS, whole.run.ended or START, whole.run.id)


if __name__ == "__main__":
    main()
