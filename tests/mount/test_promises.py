"""What a close or an fsync promised is found again, whatever the name and whatever is done to the file after it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount, host
from tests.support.processes import ROOT, wait_until
from tests.support.s3server import moto

pytestmark = pytest.mark.mount

NAMES = (".env.sample", ".bashrc.backup", "sediments", "model.tmp", "4913", "tmp_obj_1")


def write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


@pytest.mark.parametrize("end", ["flush", "umount"])
def test_names_that_look_like_scratch_reach_the_store(
    one_host: Host, tmp_path: Path, end: str
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    for name in NAMES:
        write(mount / name, name.encode())
    assert mount.status()["held_back"] == len(NAMES)
    one_host.run(end, mount.path)
    for name in NAMES:
        assert (store / name).read_bytes() == name.encode()


@pytest.mark.faults
def test_names_that_look_like_scratch_survive_a_kill(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    for name in NAMES:
        (mount / name).write_bytes(name.encode())
    mount.kill()
    again = one_host.mount(store.as_uri())
    one_host.run("flush", again.path)
    for name in NAMES:
        assert (again / name).read_bytes() == name.encode()


@pytest.mark.faults
@pytest.mark.parametrize("change", ["cut", "cut and written", "written over"])
def test_what_was_synced_survives_what_is_done_to_the_file_after_it(
    one_host: Host, tmp_path: Path, change: str
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    synced = os.urandom(300_000)
    number = os.open(mount / "f", os.O_RDWR | os.O_CREAT)
    os.write(number, synced)
    os.fsync(number)

    def go_on() -> None:
        if change != "written over":
            os.ftruncate(number, 10)
        if change != "cut":
            os.pwrite(number, b"short", 0)

    mount.kill(go_on)
    with pytest.raises(OSError, match="not connected"):
        os.close(number)
    again = one_host.mount(store.as_uri())
    one_host.run("flush", again.path)
    assert (again / "f").read_bytes() == synced
    assert len(again.history("f")) == 1


@pytest.fixture
def order(tmp_path: Path) -> Path:
    """Where it is said which change of a disk is refused next."""
    return tmp_path / "refused"


@pytest.fixture
def refused(tmp_path: Path, order: Path) -> Iterator[Mount]:
    """A mount whose journal refuses what it is told to."""
    store = tmp_path / "store"
    store.mkdir()
    refusing = {
        "PYTHONPATH": str(ROOT / "tests/support/refusing"),
        "VSTOREFS_TEST_REFUSED": str(order),
    }
    with host(tmp_path / "host", refusing) as one:
        yield one.mount(store.as_uri())


def rename_refused(order: Path, old: Path, new: Path) -> None:
    """Refuse commits until it is the one of this rename."""
    for _ in range(20):
        order.write_text("state.commit 5")
        try:
            old.rename(new)
        except OSError:
            return
        new.rename(old)
    raise AssertionError("no rename was refused")


@pytest.mark.faults
def test_names_stay_where_a_rename_is_refused_and_handles_publish_under_theirs(
    refused: Mount, order: Path
) -> None:
    names = ("f", "d/x", "target")
    (refused / "d").mkdir()
    handles = {}
    for name in names:
        (refused / name).write_text(f"old {name}")
        handles[name] = os.open(refused / name, os.O_RDWR | os.O_TRUNC)
        os.write(handles[name], f"begun {name}".encode())
    rename_refused(order, refused / "f", refused / "g")
    rename_refused(order, refused / "d", refused / "e")
    rename_refused(order, refused / "f", refused / "target")
    order.unlink(missing_ok=True)
    for name, handle in handles.items():
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"new {name}".encode(), 0)
        os.fsync(handle)
        os.close(handle)
    refused.host.run("flush", refused.path)
    assert sorted(os.listdir(refused.path)) == ["d", "f", "target"]
    for name in names:
        assert (refused / name).read_text() == f"new {name}"
        assert refused.contents(name)[-1] == f"new {name}".encode()
        assert b"new" not in b"".join(content or b"" for content in refused.contents(name)[:-1])


@pytest.mark.faults
def test_a_failed_close_and_a_good_one_make_one_version_and_leave_nothing(tmp_path: Path) -> None:
    """The store hangs for longer than a close waits."""
    with moto(tmp_path) as server, host(tmp_path / "host", server.env) as one:
        server.bucket("away")
        mount = one.mount("s3://away")
        (mount / "before").write_text("before")
        server.control("stall")
        with pytest.raises(OSError, match="Input/output"):
            write(mount / "f", b"the same bytes")
        server.control("stall", method="DELETE")
        write(mount / "f", b"the same bytes")
        one.run("umount", mount.path)
        again = one.mount("s3://away")
        assert again.contents("f") == [b"the same bytes"]
        (again / "f").write_text("later")
        assert again.contents("f") == [b"the same bytes", b"later"]
        wait_until(lambda: again.status()["pending"] == [], "upload")
        assert "is gone" not in again.log()
