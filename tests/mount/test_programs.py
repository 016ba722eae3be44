"""Programs that people use, unchanged, on a mount."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounts import Mount, host
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount

_PANDAS = """
import pandas as pd
frame = pd.DataFrame({"a": range(10_000), "b": [f"row {n}" for n in range(10_000)]})
frame.to_parquet("frame.parquet")
frame.to_csv("frame.csv", index=False)
assert pd.read_parquet("frame.parquet").equals(frame)
assert pd.read_csv("frame.csv").equals(frame)
"""


def shell(script: str, folder: Path) -> None:
    env = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "HOME": "/nonexistent"}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env=env,
        check=False,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A folder with what trees have: modes, times, links, empty and nested folders, odd names."""
    root = tmp_path / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    (root / "empty").mkdir()
    for number in range(40):
        (root / "deep" / f"file {number}").write_bytes(os.urandom(number * 997))
    (root / "deep" / "er" / "ünï\ncode").write_text("odd")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o750)
    os.utime(root / "run.sh", (1_600_000_000, 1_600_000_000))
    (root / "link").symlink_to("deep/er")
    return root


@pytest.fixture(params=["file", "native", "portable"])
def mount(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mount]:
    if request.param == "file":
        (tmp_path / "store").mkdir()
        url, env = (tmp_path / "store").as_uri(), None
    else:
        server: S3Server = request.getfixturevalue("radosgw_server")
        bucket = f"programs{os.urandom(6).hex()}"
        server.bucket(bucket, versioned=request.param == "native")
        url, env = f"s3://{bucket}/top", server.env
    with host(tmp_path / "host", env) as one:
        yield one.mount(url)


def same_tree(one: Path, other: Path) -> None:
    shell(f"diff -r --no-dereference '{one}' '{other}'", one)
    describe = "find . -mindepth 1 ! -type d -printf '%P %y %m %l %Ts\\n' | sort"
    listings = [
        subprocess.check_output(describe, shell=True, cwd=folder) for folder in (one, other)
    ]
    assert listings[0] == listings[1]


def test_cp_a(mount: Mount, tree: Path) -> None:
    shell(f"cp -a '{tree}' copy", mount.path)
    same_tree(tree, mount / "copy")


def test_tar(mount: Mount, tree: Path) -> None:
    shell(
        f"tar -C '{tree}' -cf tree.tar . && mkdir out && tar -C out -xf tree.tar && rm tree.tar",
        mount.path,
    )
    same_tree(tree, mount / "out")


def test_rsync(mount: Mount, tree: Path) -> None:
    shell(f"rsync -a '{tree}/' synced/", mount.path)
    same_tree(tree, mount / "synced")
    (tree / "run.sh").write_text("#!/bin/sh\nexit 1\n")
    shell(f"rsync -a --delete '{tree}/' synced/", mount.path)
    same_tree(tree, mount / "synced")
    assert [item["size"] for item in mount.history("synced/run.sh")] == [10, 17]


def test_git(mount: Mount, tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    who = "-c user.name=n -c user.email=e@example.org"
    shell(
        f"git init -q '{origin}' && cd '{origin}' && echo 1 > f && git add f && git {who} commit -qm one",
        tmp_path,
    )
    shell(
        f"git clone -q '{origin}' work && cd work && echo 2 >> f && mkdir d && echo 3 > d/g && git add . "
        f'&& git {who} commit -qm two && git fsck --strict && test -z "$(git status --porcelain)"',
        mount.path,
    )
    shell(
        f"cd '{mount.path}/work' && git log --format=%s | tr '\\n' ' ' | grep -q 'two one'",
        mount.path,
    )


def test_sqlite(mount: Mount) -> None:
    path = mount / "data.db"
    database = sqlite3.connect(path)
    database.execute("create table t (n integer)")
    for number in range(20):
        database.execute("insert into t values (?)", (number,))
        database.commit()
    database.close()
    shell(
        "sqlite3 data.db 'insert into t values (100); select sum(n) from t;' | grep -qx 290",
        mount.path,
    )
    database = sqlite3.connect(path)
    assert database.execute("pragma integrity_check").fetchone() == ("ok",)
    database.close()


def test_sed_in_place(mount: Mount) -> None:
    (mount / "f").write_text("one\n")
    shell("sed -i s/one/two/ f", mount.path)
    assert mount.contents("f") == [b"one\n", b"two\n"]
    assert os.listdir(mount.path) == ["f"]


def test_pandas(mount: Mount) -> None:
    subprocess.run([sys.executable, "-c", _PANDAS], cwd=mount.path, check=True)
    assert len(mount.history("frame.parquet")) == 1


def test_another_host_sees_attributes_and_links(mount: Mount, tree: Path, tmp_path: Path) -> None:
    shell(
        f"cp -a '{tree}' copy && chmod 0700 copy/deep && touch -d @1500000000 copy/deep/er/*",
        mount.path,
    )
    mount.host.run("flush")
    record = mount.status()["stores"][0]
    with host(tmp_path / "other", mount.host.reach) as other:
        second = other.mount(record["url"])
        same_tree(mount / "copy", second / "copy")
        assert (second / "copy/deep").stat().st_mode & 0o777 == 0o700
        assert int((second / "copy/deep/er/ünï\ncode").stat().st_mtime) == 1_500_000_000
        (second / "copy/link").unlink()
        (second / "copy/run.sh").chmod(0o600)
        if os.geteuid() == 0:
            os.chown(second / "copy/run.sh", 1234, 1235)
        other.run("flush")
    with host(tmp_path / "third", mount.host.reach) as third:
        again = third.mount(record["url"])
        shell("mv copy/deep moved && mv copy/run.sh moved/", again.path)
        third.run("flush")
        assert (again / "moved/run.sh").stat().st_mode & 0o777 == 0o600
        if os.geteuid() == 0:
            about = (again / "moved/run.sh").stat()
            assert (about.st_uid, about.st_gid) == (1234, 1235)
        assert (again / "moved").stat().st_mode & 0o777 == 0o700
        assert int((again / "moved/er/ünï\ncode").stat().st_mtime) == 1_500_000_000
        assert not os.path.lexists(again / "copy/link")
