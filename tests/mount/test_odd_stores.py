"""Stores that are not as they should be, and credentials that may not do everything: one clear line each."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.mounts import Host, host
from tests.support.processes import ROOT
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount


def new_bucket(
    server: S3Server, prefix: str = "odd", *, versioned: bool = False
) -> tuple[str, Any]:
    name = f"{prefix}-{os.urandom(5).hex()}"
    return name, server.bucket(name, versioned=versioned)


@pytest.fixture
def plain_host(moto_server: S3Server, tmp_path: Path) -> Any:
    one = Host(tmp_path / "host", moto_server.env)
    yield one
    one.close()


@pytest.mark.parametrize(
    ("format_file", "line"),
    [
        (b'{"format":2,"layout":"portable","id":"x"}', "install a newer vstorefs"),
        (b'{"format":1,"layout":"spiral","id":"x"}', "install a newer vstorefs"),
        (b'{"format":1,"lay', "is damaged"),
    ],
    ids=["newer", "another layout", "cut"],
)
def test_a_format_that_cannot_be_read_is_refused(
    plain_host: Host, moto_server: S3Server, tmp_path: Path, format_file: bytes, line: str
) -> None:
    bucket, client = new_bucket(moto_server)
    client.put_object(Bucket=bucket, Key=".vstorefs/format", Body=format_file)
    client.put_object(Bucket=bucket, Key="f", Body=b"content")
    result = plain_host.run("mount", f"s3://{bucket}", tmp_path / "mnt", check=False)
    assert result.returncode == 1
    assert line in result.stderr
    assert len(result.stderr.splitlines()) == 1
    names = [item["Key"] for item in client.list_objects_v2(Bucket=bucket)["Contents"]]
    assert names == [".vstorefs/format", "f"]


def test_who_may_not_ask_about_versions_reads_only(plain_host: Host, moto_server: S3Server) -> None:
    bucket, client = new_bucket(moto_server, "noask")
    client.put_object(Bucket=bucket, Key="f", Body=b"content")
    mount = plain_host.mount(f"s3://{bucket}")
    mount.wait_for_log("s3:GetBucketVersioning")
    assert (mount / "f").read_bytes() == b"content"
    with pytest.raises(OSError, match="Read-only"):
        (mount / "f").write_text("x")


def test_a_store_says_its_layout_to_who_may_not_ask(
    plain_host: Host, moto_server: S3Server
) -> None:
    bucket, client = new_bucket(moto_server, "noask")
    about = {"format": 1, "layout": "portable", "id": "k3v9x0q2m7abcdefghijklmnop"}
    client.put_object(Bucket=bucket, Key=".vstorefs/format", Body=json.dumps(about).encode())
    mount = plain_host.mount(f"s3://{bucket}")
    (mount / "f").write_text("one")
    (mount / "f").write_text("two")
    assert mount.contents("f") == [b"one", b"two"]


def test_who_may_not_list_is_told(plain_host: Host, moto_server: S3Server) -> None:
    bucket, client = new_bucket(moto_server, "nolist")
    client.put_object(Bucket=bucket, Key="f", Body=b"content")
    mount = plain_host.mount(f"s3://{bucket}")
    with pytest.raises(PermissionError):
        os.listdir(mount.path)
    mount.wait_for_log("check the credentials")
    with pytest.raises(OSError, match=r"Permission denied|Input/output"):
        (mount / "new").write_text("x")


@pytest.mark.parametrize("versioned", [False, True], ids=["portable", "native"])
def test_clocks_ten_years_off_do_not_decide(
    moto_server: S3Server, tmp_path: Path, versioned: bool
) -> None:
    bucket, _ = new_bucket(moto_server, versioned=versioned)
    ten_years = 10 * 365 * 24 * 3600
    wrong = {"PYTHONPATH": str(ROOT / "tests/support/skewed")}
    with (
        host(
            tmp_path / "ahead", moto_server.env | wrong | {"VSTOREFS_TEST_SKEW_S": str(ten_years)}
        ) as ahead,
        host(
            tmp_path / "behind", moto_server.env | wrong | {"VSTOREFS_TEST_SKEW_S": str(-ten_years)}
        ) as behind,
    ):
        mounts = [
            one.project(f'[stores.s]\nurl = "s3://{bucket}"\nlisting-seconds = 0\n')
            for one in (ahead, behind)
        ]
        for number in range(6):
            (mounts[number % 2] / "s/f").write_text(str(number))
        wanted = [str(number).encode() for number in range(6)]
        assert mounts[0].contents("s/f") == wanted
        assert mounts[1].contents("s/f") == wanted
        for mount in mounts:
            assert (mount / "s/f").read_text() == "5"
            marks = [item["marks"] for item in mount.history("s/f")]
            assert marks == [[]] * 6


def test_keys_that_no_file_name_can_say(moto_server: S3Server, tmp_path: Path) -> None:
    """Counted, and named in the log and in status; everything beside them is there."""
    bucket, client = new_bucket(moto_server, versioned=True)
    odd = ["a//b", "/leading", "d/../up", "d/./here", f"d/{'n' * 300}", "both", "both/below"]
    for key in (*odd, "good", "d/good"):
        client.put_object(Bucket=bucket, Key=key, Body=key.encode())
    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        found = {
            os.path.relpath(os.path.join(folder, name), mount.path)
            for folder, _, names in os.walk(mount.path)
            for name in names
        }
        assert found == {"good", "d/good", "both/below"}
        for name in found:
            assert (mount / name).read_text() == name
        told = {item["name"]: item["why"] for item in mount.status()["unshown"]}
        for key in ("a//", "d/../", "d/./", f"d/{'n' * 300}", "both"):
            assert any(name.startswith(f"store:{key}") for name in told), (key, told)
        assert any(name.startswith("store:/") for name in told), told
        text = one.run("status", mount.path).stdout
        assert "invalid names, not shown in the mount: " in text
        for name in told:
            mount.wait_for_log(f"{name} cannot be shown")
