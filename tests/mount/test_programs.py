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


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    (tmp_path / "store").mkdir()
    with host(tmp_path / "host") as one:
        yield one.mount((tmp_path / "store").as_uri())


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


def test_programs_on_s3(moto_server: S3Server, bucket: str, tmp_path: Path) -> None:
    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        (tmp_path / "source").write_text("one\n")
        os.utime(tmp_path / "source", (1_600_000_000, 1_600_000_000))
        shell(f"cp -p '{tmp_path}/source' f && sed -i s/one/two/ f && cp f g", mount.path)
        assert mount.contents("f") == [b"one\n", b"two\n"]
        assert (mount / "g").read_text() == "two\n"
        subprocess.run([sys.executable, "-c", _PANDAS], cwd=mount.path, check=True)
        with pytest.raises(OSError, match="not supported"):
            os.chmod(mount / "g", 0o600)
        with pytest.raises(OSError, match="not supported"):
            os.symlink("f", mount / "link")
