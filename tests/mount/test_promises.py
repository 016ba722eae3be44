"""What a close or an fsync promised is found again, whatever the name and whatever is done to the file after it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.mounts import Host

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
