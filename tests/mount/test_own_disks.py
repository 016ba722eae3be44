"""The disks that a mount keeps its cache, its state and its files on are full, or give other bytes than were written."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from collections.abc import Callable, Iterator
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


@contextlib.contextmanager
def small_disk(path: Path, size: str) -> Iterator[Path]:
    """A disk of its own at a path; gives the file that fills it."""
    path.mkdir(mode=0o700)
    options = f"size={size},mode=0700"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
    try:
        yield path / "filler"
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def fill(filler: Path, *, left: int = 0) -> None:
    """Fill a disk but for so many bytes."""
    about = os.statvfs(filler.parent)
    with filler.open("wb", buffering=0) as file:
        for _ in range((about.f_bavail * about.f_bsize - left) >> 12):
            file.write(bytes(4096))


def refusal(call: Callable[[], object]) -> int:
    """The errno that a program gets."""
    with pytest.raises(OSError) as caught:
        call()
    assert caught.value.errno is not None
    return caught.value.errno


def with_files(store: Path, count: int) -> dict[str, bytes]:
    """A directory with files that are not new."""
    store.mkdir()
    contents = {f"f{number}": os.urandom(300_000) for number in range(count)}
    for name, data in contents.items():
        (store / name).write_bytes(data)
        os.utime(store / name, (1_700_000_000, 1_700_000_000))
    return contents


# --- disks that are full


def test_a_full_disk_of_the_state_refuses_writes_and_nothing_else(
    one_host: Host, tmp_path: Path
) -> None:
    others = with_files(tmp_path / "store", 20)
    old = others["f0"]
    with small_disk(tmp_path / "state", "6m") as filler:
        mount = one_host.mount((tmp_path / "store").as_uri(), "--state-dir", str(filler.parent))
        (mount / "f0").write_bytes(old + b"!")
        (mount / "d").mkdir()
        fill(filler, left=1 << 20)
        assert refusal(lambda: (mount / "f0").write_bytes(os.urandom(3 << 20))) == errno.ENOSPC
        assert refusal(lambda: (mount / "new").write_bytes(os.urandom(3 << 20))) == errno.ENOSPC
        fill(filler.with_name("filler2"))
        for change in (
            lambda: (mount / "f1").write_bytes(b"anything"),
            (mount / "e").mkdir,
            (mount / "d").rmdir,
            lambda: (mount / "f2").rename(mount / "g"),
            (mount / "f3").unlink,
            lambda: (mount / "f4").chmod(0o600),
        ):
            assert refusal(change) == errno.ENOSPC

        assert mount.status()["stores"][0]["state"] == "ok"
        for name in list(others)[2:]:
            assert (mount / name).read_bytes() == others[name]
        assert set(os.listdir(mount.path)) == {*others, "d", "new"}
        assert mount.contents("f1") == [others["f1"]]
        assert mount.contents("f0") == [old, old + b"!"]

        filler.unlink()
        filler.with_name("filler2").unlink()
        (mount / "f0").write_bytes(b"there is room")
        (mount / "d").rmdir()
        (mount / "new").write_bytes(b"new")
        assert (mount / "f0").read_bytes() == b"there is room"
        mount.umount()
        again = one_host.mount((tmp_path / "store").as_uri(), "--state-dir", str(filler.parent))
        assert again.contents("f0") == [old, old + b"!", b"there is room"]
        assert again.contents("new") == [b"new"]
        again.umount()
        assert [one for one in (filler.parent / "staging").rglob("*") if one.is_file()] == []


def test_a_full_disk_of_the_cache_costs_speed_only(one_host: Host, tmp_path: Path) -> None:
    contents = with_files(tmp_path / "store", 40)
    with small_disk(tmp_path / "cache", "90m") as filler:
        mount = one_host.mount(
            (tmp_path / "store").as_uri(),
            "--cache-dir",
            str(filler.parent),
            cache_size="64MiB",
        )
        names = list(contents)
        fill(filler)
        for name in names[:20]:
            assert (mount / name).read_bytes() == contents[name]
        (mount / "written").write_bytes(b"written")
        assert (mount / "written").read_bytes() == b"written"
        assert mount.contents("written") == [b"written"]
        # Once for each process that puts something into it.
        assert 1 <= mount.log().count("the cache cannot take more") <= len(mount.worker_pids)
        assert mount.status()["stores"][0]["state"] == "ok"

        filler.unlink()
        for name in names[20:]:
            assert (mount / name).read_bytes() == contents[name]
        chunks = mount.status()["cache"]["chunks"]
        assert chunks >= 20
        mount.umount()


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
    contents = with_files(store, 20)
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
