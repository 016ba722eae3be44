"""`vstorefs verify PATH` finds what is not as recorded, and goes on where it was stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mount.kinds import WRITABLE
from tests.support.mounts import Host, Mount, host
from tests.support.processes import ROOT, wait_until
from tests.support.radosgw import CountedServer, counted

pytestmark = [pytest.mark.mount, pytest.mark.stores]


def verify(mount: Mount, *options: str) -> dict[str, Any]:
    result = mount.host.run("verify", mount.path, "--json", *options, check=False)
    found = json.loads(result.stdout)
    assert result.returncode == (1 if found["problems"] else 0), result.stderr
    return found


def flip(path: Path) -> None:
    """Another byte, the same size and time: what a bad disk does."""
    about, mode = path.stat(), path.stat().st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    path.chmod(mode)
    os.utime(path, ns=(about.st_mtime_ns, about.st_mtime_ns))


def test_a_flipped_byte_is_found(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = WRITABLE["file"](request)
    root = tmp_path / "folder"
    with host(tmp_path / "one") as one:
        mount = one.mount(place.url)
        for text in ("one", "two", "three"):
            (mount / "f").write_text(text)
        (mount / "d").mkdir()
        (mount / "d/g").write_text("beside")
        # A cached version is not what is in the store.
        assert mount.contents("f") == [b"one", b"two", b"three"]
        assert verify(mount)["versions"] == 4
        oldest = min(
            path for path in (root / ".vstorefs/versions/f@").iterdir() if path.name[0] != "."
        )
        flip(oldest)
        found = verify(mount)
        (problem,) = found["problems"]
        assert (problem["path"], problem["id"]) == ("f", mount.history("f")[0]["id"])
        assert "sha256 is" in problem["problem"]
        assert verify(mount, "--heads")["problems"] == []
        said = one.run("verify", mount.path, check=False)
        assert said.returncode == 1
        assert "f: version" in said.stdout
        assert "\n1 version damaged\n" in said.stdout
        assert one.run("verify", mount / "d").stdout.endswith("no errors were found\n")


def test_a_file_that_nobody_hashed_is_recorded(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE["file"](request)
    (tmp_path / "folder/f").write_text("by another program")
    os.utime(tmp_path / "folder/f", (1_700_000_000, 1_700_000_000))
    with host(tmp_path / "one") as one:
        mount = one.mount(place.url)
        assert verify(mount)["recorded"] == 1
        assert verify(mount)["recorded"] == 0
        flip(tmp_path / "folder/f")
        assert [one["path"] for one in verify(mount)["problems"]] == ["f"]


@pytest.mark.parametrize("versioned", [True, False])
def test_an_object_that_was_replaced_is_found(
    radosgw_server: CountedServer, tmp_path: Path, *, versioned: bool
) -> None:
    """In a bucket that keeps no versions, by other bytes of the same size, where the content lies."""
    bucket = f"verify{os.urandom(5).hex()}"
    client = radosgw_server.bucket(bucket, versioned=versioned)
    contents = [os.urandom(30_000) for _ in range(3)]
    with host(tmp_path / "one", radosgw_server.env) as one:
        mount = one.project(f'[stores.data]\nurl = "s3://{bucket}"\nlisting-seconds = 0\n')
        for content in contents:
            (mount / "data/f").write_bytes(content)
        assert verify(mount) == {
            "versions": 3,
            "verified_before": 0,
            "bytes": 90_000,
            "recorded": 0,
            "corrected": 0,
            "problems": [],
        }
        if versioned:
            # It has become a version of its own, and the others are there.
            client.put_object(Bucket=bucket, Key="f", Body=os.urandom(30_000))
            found = verify(mount)
            assert (found["versions"], found["recorded"], found["problems"]) == (4, 1, [])
            return
        pages = client.list_objects_v2(Bucket=bucket, Prefix=".vstorefs/content/")["Contents"]
        client.put_object(Bucket=bucket, Key=pages[0]["Key"], Body=os.urandom(30_000))
        client.put_object(Bucket=bucket, Key="f", Body=os.urandom(30_000))
        found = verify(mount)
        problems = sorted(one["problem"].split()[0] for one in found["problems"])
        assert problems == ["another", "its"]
        assert {one["path"] for one in found["problems"]} == {"data/f"}


@pytest.mark.faults
def test_stopped_it_goes_on_where_it_was(radosgw_server: CountedServer, tmp_path: Path) -> None:
    bucket = f"resume{os.urandom(5).hex()}"
    client = radosgw_server.bucket(bucket)
    names = [f"f{number:02d}" for number in range(40)]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=os.urandom(1000))
    port = int(radosgw_server.endpoint.rpartition(":")[2])
    with (
        counted(port, tmp_path, radosgw_server, delay_ms=150) as slow,
        host(tmp_path / "one", slow.env) as one,
    ):
        mount = one.mount(f"s3://{bucket}")
        command = [sys.executable, "-m", "vstorefs.cli.main", "verify", str(mount.path)]
        with subprocess.Popen(
            command, env={**one.env, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
        ) as process:
            wait_until(lambda: len(_noted(one)) >= 5, "notes", process=process)
            process.send_signal(signal.SIGKILL)
        done = _noted(one)
        assert 5 <= len(done) < 40
        before = {name: slow.gets_of(f"{bucket}/{name}") for name in names}
        found = verify(mount)
        assert found["versions"] + found["verified_before"] == 40
        assert found["verified_before"] >= len(done)
        for name in names:
            is_read_again = slow.gets_of(f"{bucket}/{name}") > before[name]
            assert is_read_again == (name not in done), name
        assert verify(mount)["verified_before"] == 0


def _noted(one: Host) -> set[str]:
    notes = (one.folder / "home/.local/state/vstorefs/verify").glob("*.jsonl")
    lines = [line for path in notes for line in path.read_text().splitlines()]
    return {json.loads(line)[0] for line in lines if line.endswith("]")}


def test_what_cannot_be_verified_is_refused(one_host: Host, tmp_path: Path) -> None:
    for where, said in (
        ("s3://bucket", "pass --structure"),
        (str(tmp_path), "not in a vstorefs mount"),
    ):
        result = one_host.run("verify", where, check=False)
        assert (result.returncode != 0, said in result.stderr) == (True, True), result.stderr
