"""What goes wrong with one key of a bucket, or one directory's listing, is nobody else's trouble."""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.behind import Behind
from tests.support.faultproxy import Fault, Kind
from tests.support.mounts import error_of, host
from tests.support.processes import wait_until
from tests.support.radosgw import CountedServer
from tests.support.timed import Together, Told, reading, writing

pytestmark = [pytest.mark.mount, pytest.mark.faults, pytest.mark.timeout(400)]

_FILES = 20
_EACH_TIME = 1_000_000
_HANGS_S = 30.0
"""More than anybody waits whom the fault does not concern, however busy the machine is."""
_BOUND_S = 120.0
"""More than the user of the path is to wait: he is told within a minute."""


@dataclass(frozen=True)
class Case:
    """What a server answers to which requests, each time. `path`: a pattern, of the directory `{d}` with the file `bad`."""

    method: str
    path: str
    status: int
    retry_after_s: int | None = None

    def __str__(self) -> str:
        return f"{'LIST' if '?' in self.path else self.method} {self.status}"

    def fault(self, bucket: str, directory: str) -> Fault:
        """It, for one directory of a bucket."""
        return Fault(
            *(
                self.method,
                f"{bucket}/?{self.path.format(d=directory)}".replace(" ", "%20"),
                Kind.ANSWER,
            ),
            times=_EACH_TIME,
            status=self.status,
            retry_after_s=self.retry_after_s,
        )


ANSWERS: list[tuple[int, int | None]] = [(500, None), (503, None), (429, 30)]
CREATES = [Case("PUT", "{d}/new bad", *answer) for answer in ANSWERS]
READS = [Case("GET", "{d}/bad", *answer) for answer in ANSWERS]
LOOKS = [Case("HEAD", "{d}/bad", *answer) for answer in ANSWERS]
LISTS = [Case("GET", r"\?.*prefix=[^&]*{d}%2F", *answer) for answer in ANSWERS]


def user_of(case: Case, way: Behind, directory: str) -> Callable[[], object]:
    """The program that meets it."""
    there = way.mount / directory
    if case in LISTS:
        return lambda: os.listdir(there)
    if case in READS:
        return reading(there / "bad", old(f"{directory}/bad"))
    return writing(there / ("bad" if case in LOOKS else "new bad"), b"mine")


@pytest.fixture(params=["portable", "native"])
def way(request: pytest.FixtureRequest) -> Iterator[Behind]:
    """A mount of either layout."""
    one: Behind = request.getfixturevalue(f"behind_{request.param}")
    yield one
    one.proxy.clear()


def old(name: str) -> bytes:
    """What a file held before."""
    return f"of {name}".encode() * 1000


def filled(way: Behind) -> tuple[str, str]:
    """Two new directories of files that no cache knows, with one more, `bad`, in the first."""
    first, second = (f"d{uuid.uuid4().hex[:8]}" for _ in range(2))
    for directory in (first, second):
        (way.mount / directory).mkdir()
    way.mount.host.run("flush", way.mount.path)
    files = [f"{d}/{number}" for d in (first, second) for number in range(_FILES)]
    way.put({name: old(name) for name in (f"{first}/bad", *files)})
    return first, second


def others(way: Behind, *directories: str) -> list[Callable[[], object]]:
    """What other programs do in directories: read all there is but the one file, write, look for what is not there."""
    calls: list[Callable[[], object]] = []
    for directory in directories:
        there = way.mount / directory
        calls += [
            reading(there / str(number), old(f"{directory}/{number}")) for number in range(_FILES)
        ]
        calls += [writing(there / f"new {number}", b"goes on") for number in range(3)]
        calls.append(there.joinpath("missing").exists)
    return calls


def untroubled(results: list[Told]) -> None:
    """Nobody met an error, nobody waited for long."""
    assert [one.error for one in results] == [None] * len(results)
    assert max(one.waited_s for one in results) < _HANGS_S


def met(case: Case, way: Behind, directory: str) -> Together:
    """The program that meets it, once it has."""
    before = way.proxy.happened()
    way.proxy.add(case.fault(way.bucket, directory))
    user = Together([user_of(case, way, directory)])
    wait_until(lambda: way.proxy.happened() > before, "request that meets the fault")
    return user


@pytest.mark.parametrize("case", [*CREATES, *READS, *LISTS], ids=str)
def test_who_uses_something_else_does_not_notice(way: Behind, case: Case) -> None:
    """Not even in the same directory, and one that cannot be listed harms no other."""
    first, second = filled(way)
    user = met(case, way, first)
    untroubled(Together(others(way, *((second,) if case in LISTS else (first, second)))).wait())
    assert way.is_ok
    way.proxy.clear()
    way.mount.host.run("flush", way.mount.path)
    assert [one.error for one in user.wait()] == [None]
    assert way.is_ok


@pytest.mark.parametrize("case", LOOKS, ids=str)
def test_a_look_before_a_write_that_is_refused_harms_only_that_write(
    behind_native: Behind, case: Case
) -> None:
    first, second = filled(behind_native)
    user = met(case, behind_native, first)
    untroubled(Together(others(behind_native, first, second)).wait())
    assert behind_native.is_ok
    behind_native.proxy.clear()
    behind_native.mount.host.run("flush", behind_native.mount.path)
    assert [one.error for one in user.wait()] == [None]
    assert behind_native.mount.contents(f"{first}/bad") == [old(f"{first}/bad"), b"mine"]


@pytest.mark.long
@pytest.mark.parametrize("case", [*CREATES, *READS, *LISTS], ids=str)
def test_its_own_user_is_told_in_bounded_time(way: Behind, case: Case) -> None:
    first, second = filled(way)
    user = met(case, way, first)
    (result,) = user.wait()
    assert result.error is not None
    assert (result.error.errno, result.waited_s < _BOUND_S) == (errno.EIO, True)
    untroubled(Together(others(way, *((second,) if case in LISTS else (first, second)))).wait())
    assert way.is_ok
    way.proxy.clear()
    way.mount.host.run("flush", way.mount.path)
    assert way.mount.status()["set_aside"] == []
    wait_until(lambda: error_of(user_of(case, way, first)) == 0, "answer that is right again")


@pytest.mark.parametrize("name", ["bad", "new bad"])
def test_a_reply_that_is_lost_once_is_noticed_by_nobody(way: Behind, name: str) -> None:
    """Nor is what was done all the same done again: there is one version of it."""
    first, second = filled(way)
    before = way.proxy.happened()
    way.proxy.add(Fault("PUT", f"{way.bucket}/.*{first}/{name.replace(' ', '%20')}", Kind.LOST))
    user = Together([writing(way.mount / first / name, b"written once")])
    untroubled(Together(others(way, first, second)).wait())
    untroubled(user.wait())
    assert way.proxy.happened() == before + 1
    assert way.is_ok
    earlier = [old(f"{first}/bad")] if name == "bad" else []
    assert way.mount.contents(f"{first}/{name}") == [*earlier, b"written once"]


def test_a_name_that_the_server_answers_nonsense_for_harms_no_neighbour(
    radosgw_server: CountedServer, tmp_path: Path
) -> None:
    """What radosgw says of a name with a control character is no XML."""
    bucket = f"odd-{uuid.uuid4().hex[:10]}"
    client = radosgw_server.bucket(bucket)
    for name in ("fine", "a\x01b"):
        client.put_object(Bucket=bucket, Key=f"d/{name}", Body=b"content")
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        one.run("log", mount / "d/a\x01b", check=False)
        assert len(mount.history("d/fine")) == 1
        assert mount.contents("d/fine") == [b"content"]
        (mount / "d/fine").write_bytes(b"more")
        assert mount.contents("d/fine") == [b"content", b"more"]
        assert (mount / "d/a\x01b").read_bytes() == b"content"
        assert mount.status()["stores"][0]["state"] == "ok"


@pytest.mark.parametrize("status", [500, 503])
def test_a_symlink_whose_record_alone_cannot_be_read_harms_no_neighbour(
    way: Behind, status: int
) -> None:
    """Its name is shown; where it leads is an error until it can be read, and a rename of it loses nothing."""
    first, _ = filled(way)
    (way.mount / first / "link").symlink_to("bad")
    one, url = way.mount.host, f"s3://{way.bucket}"
    way.mount.umount()
    way.proxy.add(
        Fault("GET", f"{way.bucket}/.*{first}/link.*", Kind.ANSWER, times=_EACH_TIME, status=status)
    )
    # What this host has read of it is forgotten.
    mount = one.mount(
        url,
        "--cache-dir",
        one.folder / "another cache",
        "--state-dir",
        one.folder / "another state",
    )
    there = mount / first
    assert sorted(os.listdir(there)) == sorted(["bad", "link", *map(str, range(_FILES))])
    assert (there / "0").read_bytes() == old(f"{first}/0")
    for refused in (
        lambda: os.readlink(there / "link"),
        lambda: (there / "link").rename(there / "other"),
    ):
        with pytest.raises(OSError, match="Input/output error"):
            refused()
    assert mount.status()["stores"][0]["state"] == "ok"
    way.proxy.clear()
    assert os.readlink(there / "link") == "bad"
    (there / "link").rename(there / "other")
    assert (there / "other").read_bytes() == old(f"{first}/bad")
