"""One change that cannot be delivered, and a thousand reads and a hundred writes beside it, over a remount.

Nobody else meets an error or waits for long; at last its cause is gone, and it is delivered as well. With `--long` the
reads and writes are spread over ten minutes, otherwise there are a tenth of them at once. Each sort of change is a row
of a table in `docs/explanation/guarantees.md`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.behind import behind
from tests.support.faultproxy import Fault, Kind
from tests.support.mounts import Host, Mount, error_of, host
from tests.support.outcomes import Outcome, told
from tests.support.processes import wait_until
from tests.support.s3server import S3Server
from tests.support.timed import Together, Told, reading, writing
from tests.support.unencodable import Unencodable

pytestmark = [pytest.mark.mount, pytest.mark.faults, pytest.mark.timeout(1800)]

_TABLE = "undeliverable"
_READS, _WRITES = 10, 1
_HANGS_S = 10.0
"""More than anybody waits beside it; how long that was at most stands in the table."""
_BAD = "bad"
_MINE = b"what cannot be delivered"
_EACH_TIME = 1_000_000


@dataclass(frozen=True)
class Load:
    """So many rounds of reads and writes, one every so many seconds."""

    rounds: int
    every_s: float

    def begin_round(self, number: int, began: float) -> None:
        """Wait for its turn: the load is to go on for a time, and nothing is waited for."""
        time.sleep(max(0.0, began + number * self.every_s - time.monotonic()))


LOADS = [
    pytest.param(Load(10, 0), id="short"),
    pytest.param(Load(100, 6), id="ten minutes", marks=pytest.mark.long),
]


@dataclass(frozen=True)
class Undeliverable:
    """A mount, another program that `put`s files into its store, and a change of the path `bad`.

    `make`: the change; it cannot be delivered. `cure`: from then on it can. `has_arrived`: it was.
    """

    what: str
    mount: Mount
    put: Callable[[Mapping[str, bytes]], None]
    make: Callable[[], object]
    cure: Callable[[], object]
    has_arrived: Callable[[], bool]

    def is_known(self) -> bool:
        """Whether the change was tried, and waits or was set aside with its reason."""
        status = self.mount.status()
        changes = (*status["pending"], *status["set_aside"])
        return any(one["path"] == _BAD and one["error"] for one in changes)

    def remount(self) -> None:
        """Leave the change to another mount of the store, which is told to try it."""
        one, url = self.mount.host, self.mount.status()["stores"][0]["url"]
        one.run("umount", self.mount.path, "--wait", "1", check=False)
        one.mount(url)
        one.run("journal", "retry", check=False)


Sort = Callable[[Path, S3Server], contextlib.AbstractContextManager[Undeliverable]]


@contextlib.contextmanager
def clash(folder: Path, server: S3Server) -> Iterator[Undeliverable]:
    """Another program makes a directory where the file is to be."""
    del server
    store = folder / "store"
    store.mkdir()

    def put(contents: Mapping[str, bytes]) -> None:
        for name, data in contents.items():
            (store / name).parent.mkdir(exist_ok=True)
            (store / name).write_bytes(data)

    with host(folder / "host") as one:
        mount = one.mount(store.as_uri())

        def make() -> None:
            with (mount / _BAD).open("wb") as file:
                (store / _BAD).mkdir()
                file.write(_MINE)

        yield Undeliverable(
            "a file whose name a directory in the store has taken",
            *(mount, put, make, (store / _BAD).rmdir),
            lambda: (store / _BAD).is_file() and (store / _BAD).read_bytes() == _MINE,
        )


def answered(status: int) -> Sort:
    """The server answers so each time when it is sent."""

    @contextlib.contextmanager
    def sort(folder: Path, server: S3Server) -> Iterator[Undeliverable]:
        with behind(server, folder, versioned=False) as one:

            def make() -> None:
                one.proxy.add(
                    Fault(
                        *("PUT", rf"{one.bucket}/\.vstorefs/heads/{_BAD}", Kind.ANSWER),
                        times=_EACH_TIME,
                        status=status,
                    )
                )
                # Returns as soon as the journal has it.
                (one.mount / _BAD).symlink_to("elsewhere")

            def has_arrived() -> bool:
                prefix = f".vstorefs/heads/{_BAD}@"
                client = one.server.client()
                return (
                    len(client.list_objects_v2(Bucket=one.bucket, Prefix=prefix)["Contents"]) == 1
                )

            yield Undeliverable(
                f"a link that the server answers {status} to each time",
                *(one.mount, one.put, make, one.proxy.clear, has_arrived),
            )

    return sort


@contextlib.contextmanager
def unencodable(folder: Path, server: S3Server) -> Iterator[Undeliverable]:
    """The program fails at its record."""
    fault = Unencodable(folder)
    with behind(server, folder, versioned=False, env=fault.env) as one:
        one.put({_BAD: b"old"})

        def make() -> None:
            fault.begin(_BAD)
            (one.mount / _BAD).write_bytes(_MINE)

        yield Undeliverable(
            "a file whose record cannot be encoded",
            *(one.mount, one.put, make, fault.end),
            lambda: one.mount.contents(_BAD) == [b"old", _MINE],
        )


SORTS: dict[str, Sort] = {
    "clash": clash,
    "500": answered(500),
    "503": answered(503),
    "unencodable": unencodable,
}


def content(name: str) -> bytes:
    """What a file of this name holds."""
    return f"of {name}".encode() * 200


def under_load(one: Undeliverable, load: Load) -> list[Told]:
    """What programs were told that read and wrote beside it, with a remount at half-time."""
    results, began = [], time.monotonic()
    for number in range(load.rounds):
        load.begin_round(number, began)
        if number == load.rounds // 2:
            one.remount()
        reads = [f"d/{number}-{file}" for file in range(_READS)]
        calls = [reading(one.mount / name, content(name)) for name in reads]
        for name in written_in(number):
            calls.append(writing(one.mount / name, content(name)))
        results += Together(calls).wait()
        assert one.mount.status()["stores"][0]["state"] == "ok"
    return results


def written_in(number: int) -> list[str]:
    """The files that are written in a round."""
    return [f"d/written {number}-{file}" for file in range(_WRITES)]


def is_there_once(mount: Mount, name: str) -> bool:
    """Whether a file has its content, in one version; fails where it has another content."""
    if not (mount / name).exists():
        return False
    assert (mount / name).read_bytes() == content(name), name
    folder, _, file = name.rpartition("/")
    return len(json.loads((mount / folder / ".versions" / file / "history.json").read_text())) == 1


@pytest.mark.parametrize("load", LOADS)
@pytest.mark.parametrize("sort", SORTS.values(), ids=list(SORTS))
def test_nobody_waits_beside_what_cannot_be_delivered(
    moto_server: S3Server, tmp_path: Path, request: pytest.FixtureRequest, sort: Sort, load: Load
) -> None:
    with sort(tmp_path, moto_server) as one:
        files = [f"d/{number}-{file}" for number in range(load.rounds) for file in range(_READS)]
        one.put({name: content(name) for name in files})
        (maker,) = Together([one.make]).wait()
        wait_until(one.is_known, "change that cannot be delivered")
        results = under_load(one, load)
        assert one.is_known()
        one.cure()
        one.mount.host.run("journal", "retry", check=False)
        one.mount.host.run("flush", one.mount.path)
        wait_until(one.has_arrived, "change that was cured")
        written = [name for number in range(load.rounds) for name in written_in(number)]
        found = sum(is_there_once(one.mount, name) for name in written)
        promised = sum(result.was_promised for result in results)
        outcome = Outcome(
            *(_TABLE, one.what, promised, found + load.rounds * _READS, len(written) - found),
            longest_s=max(result.waited_s for result in results),
            told=sum(result.error is not None for result in results),
        )
        told(request, outcome)
        assert outcome.told == 0
        assert outcome.longest_s < _HANGS_S
        assert maker.waited_s < 2 * 60


def test_a_path_that_is_too_long_for_the_directory_behind_is_never_promised(
    one_host: Host, tmp_path: Path
) -> None:
    """So nothing of it is undeliverable: each level is refused at once, or works."""
    store = tmp_path / "store"
    store.mkdir()
    (store / "other").write_bytes(b"other")
    mount = one_host.mount(store.as_uri())
    path = mount.path
    levels = ["n" * 200] * 25
    told_of = []
    for name in levels:
        path /= name
        told_of.append(error_of(path.mkdir))
        if told_of[-1]:
            break
    assert told_of[-1] == errno.ENAMETOOLONG
    assert set(told_of[:-1]) == {0}
    one_host.run("flush", mount.path)
    status = mount.status()
    assert (status["pending"], status["set_aside"]) == ([], [])
    assert status["stores"][0]["state"] == "ok"
    assert (mount / "other").read_bytes() == b"other"
