"""Stores, disks and workers that hang: programs wait for a while, side by side, and what they are told is so."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount, host
from tests.support.processes import wait_until
from tests.support.s3server import moto
from vstorefs import files
from vstorefs.state.env import State

pytestmark = [pytest.mark.mount, pytest.mark.faults]

_HANGS_S = 12.0


@contextlib.contextmanager
def hanging_journal(one: Host) -> Iterator[None]:
    """The disk of the state hangs, or another mount was stopped while it had the journal."""
    state = State.open(one.folder / "home/.local/state/vstorefs")
    try:
        with state.writing():
            yield
    finally:
        state.close()


@contextlib.contextmanager
def killing_workers(mount: Mount, every_s: float) -> Iterator[list[int]]:
    """One worker after the other is killed, all the while; gives those that were."""
    killed: list[int] = []
    front, enough = mount.pid, threading.Event()

    def kill() -> None:
        for number in itertools.count():
            if enough.wait(every_s):
                return
            children = Path(f"/proc/{front}/task/{front}/children").read_text().split()
            if children:
                killed.append(int(children[number % len(children)]))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(killed[-1], signal.SIGKILL)

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        enough.set()
        thread.join()


def tree(mount: Mount) -> list[str]:
    return sorted(str(one.relative_to(mount.path)) for one in mount.path.rglob("*"))


def fails(call: Callable[[], object]) -> bool:
    try:
        call()
    except OSError:
        return True
    return False


def test_a_mount_ends_in_the_time_that_it_was_given(tmp_path: Path) -> None:
    """Its store stalls, and so does the one of the ledger; nothing of the mount is lost."""
    with moto(tmp_path) as server:
        server.bucket("stalls")
        with host(tmp_path / "host", server.env) as one:
            text = 'write = "back"\n[stores.data]\nurl = "s3://stalls"\n'
            mount = one.project(text)
            (mount / "data/first").write_text("first")
            one.run("flush", mount.path)
            assert (mount / "data/first").read_text() == "first"
            server.control("stall")
            for number in range(20):
                (mount / f"data/f{number}").write_text(f"content {number}")
            pid, run = mount.pid, mount.status()["ledger"]["run"]
            start, began = files.process_start(pid), time.monotonic()
            result = one.run("umount", "--wait", "5", mount.path)
            # It took 20 s once, and five is what was asked for: the rest is for a busy machine.
            assert time.monotonic() - began < _HANGS_S
            assert "the next mount uploads them" in result.stderr
            assert files.process_start(pid) != start
            server.control("stall", method="DELETE")
            again = one.project(text)
            one.run("flush", again.path)
            for number in range(20):
                assert again.contents(f"data/f{number}") == [f"content {number}".encode()]
            runs = json.loads(one.run("runs", "-c", one.folder / "mnt.toml", "--json").stdout)
            (ended,) = [found for found in runs if found["id"] == run]
            assert ended["status"] == "finished"


def test_a_mount_ends_in_time_while_its_journal_hangs(one_host: Host, tmp_path: Path) -> None:
    """The next mount closes its run."""
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    (mount / "f").write_text("content")
    one_host.run("flush", mount.path)
    assert (mount / "f").read_text() == "content"
    pid, run = mount.pid, mount.status()["ledger"]["run"]
    start = files.process_start(pid)
    with hanging_journal(one_host):
        began = time.monotonic()
        one_host.run("umount", "--wait", "3", mount.path)
        assert time.monotonic() - began < _HANGS_S
        assert files.process_start(pid) != start
    again = one_host.mount(store.as_uri())
    assert again.contents("f") == [b"content"]

    def statuses() -> list[str]:
        runs = json.loads(one_host.run("runs", "--mount", again.path, "--json").stdout)
        return [found["status"] for found in runs if found["id"] == run]

    wait_until(lambda: statuses() == ["interrupted"], "end of the run")


def test_what_failed_while_the_journal_hung_is_not_carried_out_later(
    one_host: Host, tmp_path: Path
) -> None:
    """Renames, removals, directories, attributes and closes, all at the same time."""
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    # Each in a directory of its own, for the kernel lets one at a time change the names of one.
    for name in ("renamed", "removed", "changed", "written", "made"):
        (mount / name).mkdir()
        (mount / name / "f").write_text(name)
    one_host.run("flush", mount.path)
    before = tree(mount)
    calls: list[Callable[[], object]] = [
        lambda: (mount / "renamed/f").rename(mount / "renamed/g"),
        (mount / "removed/f").unlink,
        lambda: (mount / "changed/f").chmod(0o611),
        lambda: (mount / "written/f").write_text("anew"),
        (mount / "made/directory").mkdir,
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        began = time.monotonic()
        with hanging_journal(one_host):
            assert list(pool.map(fails, calls)) == [True] * len(calls)
        # One after the other they would wait for a minute each.
        assert time.monotonic() - began < 120
    assert tree(mount) == before
    one_host.run("umount", mount.path)
    again = one_host.mount(store.as_uri())
    one_host.run("flush", again.path)
    assert tree(again) == before
    assert (again / "changed/f").stat().st_mode & 0o777 == 0o644
    for name in ("renamed", "removed", "changed", "made"):
        assert again.contents(f"{name}/f") == [name.encode()]


def test_programs_notice_a_delay_when_all_workers_are_stopped(
    one_host: Host, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    (mount / "old").write_text("old")
    stopped = mount.worker_pids
    for worker in stopped:
        os.kill(worker, signal.SIGSTOP)
    calls: list[Callable[[], object]] = [
        lambda: (mount / "old").rename(mount / "new"),
        lambda: (mount / "written").write_text("written"),
        (mount / "directory").mkdir,
    ]
    with ThreadPoolExecutor(len(calls)) as pool:
        assert list(pool.map(fails, calls)) == [False] * len(calls)
    assert not set(stopped) & set(mount.worker_pids)
    one_host.run("flush", mount.path)
    assert sorted(os.listdir(mount.path)) == ["directory", "new", "written"]
    assert mount.contents("new") == [b"old"]
    assert mount.contents("written") == [b"written"]


def test_no_program_sees_an_error_while_workers_are_killed(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    data = os.urandom(3 << 20)
    (store / "there").write_bytes(data)
    mount = one_host.mount(store.as_uri())
    names: list[str] = []
    with killing_workers(mount, 2.0) as killed:
        while len(killed) < 6:
            names.append(f"{len(names)}")
            number = names[-1]
            assert (mount / "there").read_bytes() == data
            (mount / f"f{number}").write_text(f"content {number}")
            (mount / f"f{number}").rename(mount / f"g{number}")
            assert (mount / f"g{number}").read_text() == f"content {number}"
            (mount / f"d{number}").mkdir()
            (mount / f"d{number}").rmdir()
    wait_until(lambda: mount.worker_pids != [], "workers")
    one_host.run("flush", mount.path)
    for number in names[:: max(1, len(names) // 10)]:
        assert mount.contents(f"g{number}") == [f"content {number}".encode()]
    assert sorted(os.listdir(mount.path)) == sorted(["there", *(f"g{one}" for one in names)])
    assert "was given up" not in mount.log()
