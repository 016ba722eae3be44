"""The disks that a mount keeps its cache, its state and its files on are full, or give other bytes than were written."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount, host
from tests.support.processes import wait_until
from tests.support.radosgw import CountedServer

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


# --- what was written


@pytest.mark.parametrize("versioned", [True, False])
def test_what_was_copied_to_a_bucket_is_read_back_without_asking_for_it(
    radosgw_server: CountedServer, tmp_path: Path, versioned: bool
) -> None:
    bucket = f"b{os.urandom(6).hex()}"
    radosgw_server.bucket(bucket, versioned=versioned)
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(f"s3://{bucket}/some/prefix")
        for _ in range(2):
            data = os.urandom(50_000_000)
            (tmp_path / "local").write_bytes(data)
            subprocess.run(["cp", tmp_path / "local", mount / "f"], check=True)
            forget_pages(mount / "f")
            assert (mount / "f").read_bytes() == data
        wait_until(lambda: mount.log().count("sha256 sum") == 2, "hashes of what was read")
        assert mount.status()["transfers"]["downloaded_bytes"] == 0
        asked = radosgw_server.gets_below(f"{bucket}/some/prefix/")
        assert [one for one in asked if one == "f" or one.startswith(".vstorefs/content/")] == []


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
