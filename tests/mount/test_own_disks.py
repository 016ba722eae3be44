"""The disks that a mount keeps its cache, its state and its files on are full, or give other bytes than were written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount

pytestmark = pytest.mark.mount


def forget_pages(*paths: Path) -> None:
    """Let the kernel drop what it holds of these files, so that the next read comes from where they are."""
    for path in paths:
        number = os.open(path, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)


def cache_file(mount: Mount) -> Path:
    """The database of the mount's cache."""
    return Path(mount.status()["cache"]["dir"]) / "data.mdb"


# --- bytes that rot


def test_bytes_that_rot_in_the_cache_under_a_mount_are_read_again_from_the_store(
    one_host: Host, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    contents = {f"f{number}": os.urandom(300_000) for number in range(20)}
    for name, data in contents.items():
        (store / name).write_bytes(data)
        os.utime(store / name, (1_700_000_000, 1_700_000_000))
    mount = one_host.mount(store.as_uri())
    paths = [mount / name for name in contents]
    assert [path.read_bytes() for path in paths] == list(contents.values())

    database = cache_file(mount)
    held = database.read_bytes()
    number = os.open(database, os.O_RDWR)
    for data in contents.values():
        at = held.index(data[200_000:200_032])
        os.pwrite(number, bytes([held[at] ^ 1]), at)
    os.fsync(number)
    os.close(number)
    forget_pages(database, *paths)

    assert [path.read_bytes() for path in paths] == list(contents.values())
    assert mount.log().count("a cached chunk is damaged") == len(contents)
    forget_pages(*paths)
    assert [path.read_bytes() for path in paths] == list(contents.values())
    assert mount.log().count("a cached chunk is damaged") == len(contents)
