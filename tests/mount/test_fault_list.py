"""One fault after the other, with real servers, disks and kernels: what was promised is found, and nobody hangs.

Each test is a row of the table of faults in `docs/explanation/guarantees.md`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.behind import Behind
from tests.support.faultproxy import Fault, Kind
from tests.support.mounts import Host, host
from tests.support.outcomes import Outcome, told
from tests.support.processes import ROOT, wait_until
from tests.support.radosgw import CountedServer
from tests.support.s3server import S3Server
from tests.support.timed import Together, Told, reading, writing

pytestmark = [pytest.mark.mount, pytest.mark.faults, pytest.mark.timeout(400)]

_TABLE = "fault"
_FILES = 6
_SIZE = 300_000
_HANGS_S = 63.0


def content(name: str) -> bytes:
    """What a file of this name holds."""
    return (name.encode() * _SIZE)[:_SIZE]


def write(path: Path) -> Callable[[], None]:
    """A program that writes a file of that name."""
    return writing(path, content(path.name))


def read(path: Path) -> Callable[[], None]:
    """A program that reads one."""
    return reading(path, content(path.name))


def names(count: int = _FILES) -> list[str]:
    """New ones."""
    return [f"{uuid.uuid4().hex[:12]}" for _ in range(count)]


def outcome_of_writes(
    what: str, folder: Path, files: Sequence[str], results: list[Told]
) -> Outcome:
    """Compare what is there with what was promised."""
    promised = found = lost = doubled = 0
    for name, one in zip(files, results, strict=True):
        there = _is_there(folder / name, was_promised=one.was_promised)
        if there:
            versions = (folder / ".versions" / name / "history.json").read_text()
            doubled += versions.count('"token"') > 1
        promised += one.was_promised
        found += there
        lost += one.was_promised and not there
    return Outcome(
        *(_TABLE, what, promised, found, lost),
        longest_s=max(one.waited_s for one in results),
        doubled=doubled,
        told=sum(one.error is not None for one in results),
    )


def _is_there(file: Path, *, was_promised: bool) -> bool:
    """Whether a file has all that was written to it.

    One that was made, and then refused what was to be in it, is there and empty as on any disk. Nothing else will do.
    """
    if not file.exists():
        return False
    found = file.read_bytes()
    if not found and not was_promised:
        return False
    assert found == content(file.name), file.name
    return True


def outcome_of_reads(what: str, results: list[Told]) -> Outcome:
    """Reads that gave the right bytes, and those that were told to be impossible."""
    right = sum(one.was_promised for one in results)
    errors = sum(one.error is not None for one in results)
    return Outcome(
        *(_TABLE, what, len(results), right, len(results) - right - errors),
        longest_s=max(one.waited_s for one in results),
        told=errors,
    )


# --- the network and the server


ANSWERS = [
    Fault("", "", Kind.ANSWER, status=500, times=4),
    Fault("", "", Kind.ANSWER, status=503, times=4),
    Fault("", "", Kind.ANSWER, status=429, times=4, retry_after_s=1),
]
BOTH_WAYS = [
    *ANSWERS,
    Fault("", "", Kind.REFUSE, times=4),
    Fault("", "", Kind.STALL, times=4, seconds=2),
    Fault("", "", Kind.LATE, times=4, seconds=2),
    Fault("", "", Kind.LOST, times=4),
]
READING = [
    *BOTH_WAYS,
    Fault("", "", Kind.CUT_ANSWER, times=4, at=100_000),
    Fault("", "", Kind.LENGTH, times=4, at=7),
    Fault("", "", Kind.LENGTH, times=4, at=-7),
]
WRITING = [*BOTH_WAYS, Fault("", "", Kind.CUT_REQUEST, times=4, at=100_000)]
ALWAYS = {Kind.LOST, Kind.CUT_ANSWER, Kind.CUT_REQUEST}
"""What `make test` tries; the others take long."""


def _name(fault: Fault) -> str:
    if fault.kind is Kind.ANSWER:
        return str(fault.status)
    return f"{fault.kind.name.lower()}{f' {fault.at:+d}' if fault.kind is Kind.LENGTH else ''}"


def _cases(faults: Sequence[Fault]) -> list[object]:
    return [
        pytest.param(
            fault, id=_name(fault), marks=[] if fault.kind in ALWAYS else [pytest.mark.long]
        )
        for fault in faults
    ]


def _in_words(fault: Fault) -> str:
    if fault.kind is Kind.ANSWER:
        return f"the server answers {fault.status}"
    if fault.kind is Kind.LENGTH:
        return f"the answer announces {abs(fault.at)} bytes too {'many' if fault.at > 0 else 'few'}"
    return fault.kind.value.replace("`at` bytes", "100 kB")


@pytest.mark.parametrize("fault", _cases(READING))
def test_a_fault_of_the_network_while_reading(
    behind_portable: Behind, request: pytest.FixtureRequest, fault: Fault
) -> None:
    behind, files = behind_portable, names()
    (behind.mount / (folder := names(1)[0])).mkdir()
    behind.put({f"{folder}/{name}": content(name) for name in files})
    assert sorted(os.listdir(behind.mount / folder)) == sorted(files)
    before = behind.proxy.happened()
    behind.proxy.add(replace(fault, method="GET", path=f"{behind.bucket}/{folder}/"))
    results = Together([read(behind.mount / folder / name) for name in files]).wait()
    behind.proxy.clear()
    outcome = outcome_of_reads(f"reading: {_in_words(fault)}", results)
    told(request, outcome)
    assert (outcome.told, behind.proxy.happened() - before) == (0, fault.times)


@pytest.mark.parametrize("fault", _cases(WRITING))
def test_a_fault_of_the_network_while_writing(
    behind_portable: Behind, request: pytest.FixtureRequest, fault: Fault
) -> None:
    behind, files = behind_portable, names()
    (behind.mount / (folder := names(1)[0])).mkdir()
    before = behind.proxy.happened()
    behind.proxy.add(replace(fault, method="PUT", path=f"{behind.bucket}/"))
    results = Together([write(behind.mount / folder / name) for name in files]).wait()
    behind.proxy.clear()
    behind.mount.host.run("flush", behind.mount.path)
    outcome = outcome_of_writes(
        f"writing: {_in_words(fault)}", behind.mount / folder, files, results
    )
    told(request, outcome)
    assert (outcome.told, behind.proxy.happened() - before) == (0, fault.times)


@pytest.mark.long
def test_credentials_are_revoked_and_given_back(
    radosgw_server: CountedServer, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    user, files = f"u{uuid.uuid4().hex[:12]}", names()
    keys = [f"--uid={user}", f"--access-key={user}", "--secret-key=given-out-and-taken"]
    radosgw_server.admin("user", "create", "--display-name=x", *keys)
    own = replace(radosgw_server, access_key=user, secret_key="given-out-and-taken")
    own.bucket(f"b{user}")
    with host(tmp_path / "host", own.env) as one:
        mount = one.mount(f"s3://b{user}")
        before = Together([write(mount / name) for name in files[:2]]).wait()
        radosgw_server.admin("key", "rm", f"--uid={user}", f"--access-key={user}")
        meanwhile = Together([write(mount / name) for name in files[2:4]]).wait()
        radosgw_server.admin("key", "create", "--key-type=s3", *keys)
        wait_until(lambda: mount.status()["pending"] == [], "upload", seconds=120)
        after = Together([write(mount / name) for name in files[4:]]).wait()
        results = [*before, *meanwhile, *after]
        outcome = outcome_of_writes(
            "credentials are revoked, and given back", mount.path, files, results
        )
        told(request, outcome)
        assert [one.error is None for one in results] == [True, True, False, False, True, True]


# --- processes


def _stopped_for(pids: Sequence[int], seconds: float) -> threading.Timer:
    """Stop processes; a timer lets them go on."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)

    def go_on() -> None:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    timer = threading.Timer(seconds, go_on)
    timer.start()
    return timer


@pytest.mark.parametrize("who", ["front", "workers"])
@pytest.mark.parametrize(
    "seconds", [2.0, pytest.param(_HANGS_S, marks=pytest.mark.long)], ids=["2 s", "63 s"]
)
def test_processes_are_stopped_and_go_on(
    one_host: Host, tmp_path: Path, request: pytest.FixtureRequest, who: str, seconds: float
) -> None:
    (tmp_path / "store").mkdir()
    mount, files, old = one_host.mount((tmp_path / "store").as_uri()), names(), names()
    for name in old:
        (tmp_path / "store" / name).write_bytes(content(name))
    pids = [mount.pid] if who == "front" else mount.worker_pids
    timer = _stopped_for(pids, seconds)
    writers = Together([write(mount / name) for name in files])
    readers = Together([read(mount / name) for name in old])
    results, reads = writers.wait(), readers.wait()
    timer.join()
    wait_until(lambda: mount.status()["stores"][0]["state"] == "ok", "answer of the store")
    one_host.run("flush", mount.path)
    what = f"the {who} stopped (SIGSTOP) for {seconds:.0f} s"
    written = outcome_of_writes(what, mount.path, files, results)
    told(request, written.and_also(outcome_of_reads(what, reads)))


def test_the_front_has_no_file_descriptors_left(
    one_host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (tmp_path / "store").mkdir()
    mount, files = one_host.mount((tmp_path / "store").as_uri()), names(40)
    front = mount.pid
    before = resource.prlimit(front, resource.RLIMIT_NOFILE)
    in_use = len(os.listdir(f"/proc/{front}/fd"))
    resource.prlimit(front, resource.RLIMIT_NOFILE, (in_use + 8, before[1]))
    held = threading.Barrier(len(files))

    def write_slowly(path: Path) -> Callable[[], None]:
        def program() -> None:
            try:
                with path.open("wb") as file:
                    file.write(content(path.name))
                    file.flush()
                    held.wait(60)
            except OSError:
                # Its place among those who hold a file open is another's.
                with contextlib.suppress(threading.BrokenBarrierError):
                    held.wait(60)
                raise

        return program

    results = Together([write_slowly(mount / name) for name in files]).wait()
    resource.prlimit(front, resource.RLIMIT_NOFILE, before)
    one_host.run("flush", mount.path)
    more = names(3)
    results += Together([write(mount / name) for name in more]).wait()
    outcome = outcome_of_writes(
        "the front has no file descriptors left", mount.path, [*files, *more], results
    )
    told(request, outcome)
    assert outcome.told > 0, "more were open than there may be"
    assert all(one.was_promised for one in results[-3:])


def test_a_lazy_umount_while_files_are_open(
    one_host: Host, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    store, files = tmp_path / "store", names()
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    opened = [(mount / name).open("wb") for name in files]
    front = mount.pid
    subprocess.run(["umount", "-l", mount.path], check=True)

    def finish(number: int) -> Callable[[], None]:
        def program() -> None:
            with opened[number] as file:
                file.write(content(files[number]))

        return program

    results = Together([finish(number) for number in range(len(files))]).wait()
    wait_until(lambda: not Path(f"/proc/{front}").exists(), "end of the front")
    again = one_host.mount(store.as_uri())
    one_host.run("flush", again.path)
    told(request, outcome_of_writes("umount -l while files are open", again.path, files, results))


# --- disks and clocks of this machine


@contextlib.contextmanager
def small_disk(point: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, full when so much is in it."""
    point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "-l", point], check=True)


def fill(file: Path) -> None:
    """Leave no room on a disk."""
    number = os.open(file, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(number, bytes(4096))
    os.close(number)


@pytest.mark.long
@pytest.mark.parametrize("which", ["store", "state", "cache"])
def test_a_disk_is_full(tmp_path: Path, request: pytest.FixtureRequest, which: str) -> None:
    with small_disk(tmp_path / which, 24) as disk, host(tmp_path / "host") as one:
        store = tmp_path / "store"
        store.mkdir(exist_ok=True)
        options: list[str | Path] = [f"--{which}-dir", disk / "own"] if which != "store" else []
        mount = one.mount(*options, store.as_uri(), cache_size="8MiB")
        files, old = names(), names()
        Together([write(mount / name) for name in old]).wait()
        fill(disk / "filler")
        results = Together([write(mount / name) for name in files]).wait()
        reads = Together([read(mount / name) for name in old]).wait()
        (disk / "filler").unlink()
        wait_until(lambda: mount.status()["pending"] == [], "upload", seconds=180)
        what = f"the disk of the {which} is full"
        written = outcome_of_writes(what, mount.path, files, results)
        told(request, written.and_also(outcome_of_reads(what, reads)))
        assert [one.error for one in reads] == [None] * len(reads)


def test_clocks_jump_while_files_are_written(
    moto_server: S3Server, bucket: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A day ahead, two days back, and right again; the order of versions is that of the writes."""
    skew, begin = tmp_path / "skew", tmp_path / "begin"
    begin.mkdir()
    skew.write_text("0")
    (begin / "sitecustomize.py").write_text(
        "import time\n"
        "right_ns, right_s = time.time_ns, time.time\n"
        f"def skew():\n    return int(open({str(skew)!r}).read() or 0)\n"
        "time.time_ns = lambda: right_ns() + skew() * 10**9\n"
        "time.time = lambda: right_s() + skew()\n"
    )
    env = moto_server.env | {"PYTHONPATH": os.pathsep.join([str(begin), str(ROOT)])}
    with host(tmp_path / "host", env) as one:
        mount, wanted, results = one.mount(f"s3://{bucket}"), [], []
        for number, hours in enumerate((0, 24, -24, 0)):
            skew.write_text(str(hours * 3600))
            wanted.append(f"version {number}".encode())
            results += Together([lambda: (mount / "f").write_bytes(wanted[-1])]).wait()
        found = mount.contents("f")
        lost = [one for one in wanted if one not in found]
        told(
            request,
            Outcome(
                *(_TABLE, "the clock jumps a day ahead, two days back, and right again"),
                promised=sum(one.was_promised for one in results),
                found=len(found),
                lost=len(lost),
                longest_s=max(one.waited_s for one in results),
                doubled=len(found) - len(set(found)),
            ),
        )
        assert found == wanted
