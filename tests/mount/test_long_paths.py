"""Paths that a store cannot hold: refused at the first moment when that can be known, and harmless after it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mount.kinds import WRITABLE
from tests.support.mounts import Host, Mount, error_of, host
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount


def directories_of(mount: Mount, size: int) -> str:
    """Directories with a path of so many bytes, made one below the other."""
    path = ""
    while size - len(path) > 1:
        name = "n" * min(200, size - len(path) - (1 if path else 0))
        path = f"{path}/{name}" if path else name
        (mount / path).mkdir(exist_ok=True)
    return path


def error_of_writing(path: Path) -> int:
    return error_of(lambda: path.write_bytes(b"content"))


@pytest.mark.parametrize("kind", ["swift-native", "s3-native"])
def test_the_longest_path_works_and_one_longer_is_refused_at_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """What the store appends to a name counts: Swift refuses versions of names that it would take itself."""
    place = WRITABLE[kind](request)
    container = place.url.partition("://")[2].partition("/")[0]
    appended = 44 + len(container) if kind == "swift-native" else 0
    longest = 1024 - len("data/") - len("/") - appended
    with host(tmp_path / "host", place.env) as one:
        mount = one.mount(place.url)
        deep = directories_of(mount, 800)
        name = "f" * (longest - 801)
        assert error_of_writing(mount / deep / f"{name}x") == errno.ENAMETOOLONG
        if kind == "swift-native":
            # How much of the longest there is room for depends on the disks of the server.
            deep, name = directories_of(mount, 400), "f" * 200
        assert error_of_writing(mount / deep / name) == 0
        (mount / deep / name).write_bytes(b"more")
        assert mount.contents(f"{deep}/{name}") == [b"content", b"more"]
        (mount / deep / name).unlink()
        one.run("flush", mount.path)
        assert mount.status()["stores"][0]["state"] == "ok"
        mount.umount()


def test_a_renamed_directory_whose_files_have_no_place_stays_where_it_is(
    radosgw_server: S3Server, tmp_path: Path
) -> None:
    """Nobody here knew what another program keeps in it."""
    bucket = f"deep-{os.urandom(5).hex()}"
    client = radosgw_server.bucket(bucket)
    deep = "/".join(["d", *["n" * 200] * 5])
    client.put_object(Bucket=bucket, Key=deep, Body=b"deep")
    client.put_object(Bucket=bucket, Key="d/f", Body=b"content")
    one = Host(tmp_path / "host", radosgw_server.env)
    try:
        mount = one.mount(f"s3://{bucket}")
        renamed = mount / ("e" * 30)
        assert error_of(lambda: (mount / "d").rename(renamed)) == errno.ENAMETOOLONG
        mount.wait_for_log("its path would be too long")
        found = client.list_objects_v2(Bucket=bucket)["Contents"]
        assert sorted(one["Key"] for one in found if not one["Key"].startswith(".")) == [
            "d/f",
            deep,
        ]
        assert mount.status()["stores"][0]["state"] == "ok"
        (mount / "g").write_bytes(b"goes on")
        one.run("umount", mount.path, "--wait", "1", check=False)
    finally:
        one.close()


_CHAIN = """
import os, sys
mount, name = sys.argv[1:]
os.chdir(mount)
while True:
    os.mkdir(name)
    os.chdir(name)
    with open("f", "w") as file:
        file.write("content")
    print(flush=True)
"""


@pytest.mark.parametrize("name", ["nn" * 50, "n" * 255], ids=["100", "255"])
def test_an_endless_chain_of_directories_ends_and_leaves_nothing_that_cannot_be_sent(
    one_host: Host, tmp_path: Path, name: str
) -> None:
    """Made from inside, so that no path in a call is long."""
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    result = subprocess.run(
        [sys.executable, "-c", _CHAIN, mount.path, name],
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert "File name too long" in result.stderr
    depth = result.stdout.count("\n")
    assert depth * (len(name) + 1) > 3500
    one_host.run("flush", mount.path)
    status = mount.status()
    assert (status["pending"], status["stores"][0]["state"]) == ([], "ok")
    (mount / name).rename(mount / "moved")
    shown = subprocess.run(
        ["find", mount / "moved", "-name", "f", "-size", "7c"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert shown.stdout.count("\n") == depth
    subprocess.run(["rm", "-r", mount / "moved"], check=True)
    one_host.run("flush", mount.path)
    assert list(store.glob("[!.]*")) == []
