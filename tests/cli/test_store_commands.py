"""doctor, verify, export and migrate: commands that look into a store without a mount."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.mounts import Host, Mount, host
from tests.support.s3server import S3Server
from vstorefs import errors
from vstorefs.clock import SystemClock
from vstorefs.model import Capabilities
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.registry import open_bucket, resolve
from vstorefs.versions.layouts.migrate import Migration
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings
from vstorefs.versions.verify import BucketVerifier

pytestmark = pytest.mark.mount


def new_bucket(server: S3Server) -> tuple[str, Any]:
    name = f"commands{os.urandom(5).hex()}"
    return name, server.bucket(name, versioned=False)


@pytest.fixture
def moto_host(moto_server: S3Server, tmp_path: Path) -> Iterator[Host]:
    with host(tmp_path / "host", moto_server.env) as one:
        yield one


def names_in(client: Any, bucket: str) -> list[str]:
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [item["Key"] for page in pages for item in page.get("Contents", ())]


def fill(mount: Mount) -> None:
    """A tree with history, attributes, links, removed things, and a larger file."""
    (mount / "d/e").mkdir(parents=True)
    for text in ("one", "two", "three"):
        (mount / "d/f").write_text(text)
    (mount / "d/e/large").write_bytes(os.urandom(50_000))
    (mount / "d/e/large").write_bytes(os.urandom(60_000))
    os.chmod(mount / "d/e/large", 0o640)
    os.utime(mount / "d/f", (1_600_000_000, 1_600_000_000))
    os.symlink("d/f", mount / "link")
    (mount / "gone").write_text("gone")
    (mount / "gone").unlink()
    (mount / "back").write_text("was")
    (mount / "back").unlink()
    (mount / "back").write_text("is")
    (mount / "moved").write_text("moved")
    os.rename(mount / "moved", mount / "d/moved")
    (mount / "empty").mkdir()
    mount.host.run("flush")


def test_doctor_says_what_holds_and_leaves_nothing(moto_server: S3Server, moto_host: Host) -> None:
    bucket, client = new_bucket(moto_server)
    told = moto_host.run("doctor", f"s3://{bucket}").stdout
    assert "  conditional writes: supported\n" in told
    assert "  conditional copies: not supported: " in told
    assert names_in(client, bucket) == []
    answer = json.loads(moto_host.run("doctor", "--json", f"s3://{bucket}").stdout)
    assert (answer["layout"], answer["versioning"]) == ("portable", "off")
    assert {trial["field"]: trial["holds"] for trial in answer["trials"]} == {
        "put": True,
        "parts": True,
        "copy": False,
        "pinned": True,
    }


def test_doctor_tells_programs_of_a_directory(one_host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "store"
    folder.mkdir()
    answer = json.loads(one_host.run("doctor", "--json", folder.as_uri()).stdout)
    assert answer == {
        "url": folder.as_uri(),
        "versioning": None,
        "layout": "native",
        "read_only": "",
        "trials": [],
        "warnings": [],
    }


@pytest.mark.parametrize("option", ["--enable-versioning", "--abort-uploads"])
def test_doctor_refuses_what_only_buckets_have(option: str, one_host: Host, tmp_path: Path) -> None:
    for url, why in (
        (tmp_path.as_uri(), "is a directory"),
        ("http://127.0.0.1:9/", "is read-only"),
    ):
        refused = one_host.run("doctor", option, url, check=False)
        assert refused.returncode == 2
        assert f"{url} {why}" in refused.stderr
        assert f"{option} works on buckets only" in refused.stderr
        assert not refused.stdout


def test_doctor_finds_a_server_that_ignores_conditions(
    careless_server: S3Server, tmp_path: Path
) -> None:
    bucket, _ = new_bucket(careless_server)
    with host(tmp_path / "host", careless_server.env) as one:
        told = one.run("doctor", f"s3://{bucket}").stdout
        assert "  conditional writes: not supported: the condition was ignored\n" in told
        assert "first versions are stored in .vstorefs/content/" in told
        mount = one.mount(f"s3://{bucket}")
        (mount / "f").write_text("x")
        one.run("flush")
        assert "f" not in names_in(careless_server.client(), bucket)


def test_doctor_turns_versioning_on_after_asking(moto_server: S3Server, moto_host: Host) -> None:
    bucket, client = new_bucket(moto_server)
    refused = moto_host.run("doctor", "--enable-versioning", f"s3://{bucket}", check=False)
    assert refused.returncode == 2
    assert "--yes" in refused.stderr
    assert "Status" not in client.get_bucket_versioning(Bucket=bucket)
    moto_host.run("doctor", "--enable-versioning", "--yes", f"s3://{bucket}")
    assert client.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"


@pytest.mark.parametrize("kind", ["file", "portable"])
def test_an_export_is_what_the_mount_shows(
    kind: str, moto_server: S3Server, moto_host: Host, tmp_path: Path
) -> None:
    if kind == "file":
        (tmp_path / "store").mkdir()
        url = (tmp_path / "store").as_uri()
    else:
        url = f"s3://{new_bucket(moto_server)[0]}"
    mount = moto_host.mount(url)
    fill(mount)
    moto_host.run("export", url, tmp_path / "copy")
    subprocess.run(["diff", "-r", "--no-dereference", mount.path, tmp_path / "copy"], check=True)
    # A time that no program set is the store's own for everybody but who wrote the file.
    describe = "find . -mindepth 1 ! -type d -printf '%P %y %m %l\\n' | sort"
    seen = [
        subprocess.check_output(describe, shell=True, cwd=folder)
        for folder in (mount.path, tmp_path / "copy")
    ]
    assert seen[0] == seen[1]
    assert (tmp_path / "copy/d/f").stat().st_mtime == 1_600_000_000
    # Given again, it goes on where it was; into what differs, it does not go.
    moto_host.run("export", url, tmp_path / "copy")
    (tmp_path / "copy/d/f").write_text("changed by somebody")
    refused = moto_host.run("export", url, tmp_path / "copy", check=False)
    assert refused.returncode == 1
    assert "is there already and differs" in refused.stderr
    assert (tmp_path / "copy/d/f").read_text() == "changed by somebody"


def test_an_export_of_a_moment_and_of_a_version(careless_server: S3Server, tmp_path: Path) -> None:
    """On a server where every version has a record, and so a time that is finer than a second."""
    with host(tmp_path / "host", careless_server.env) as one:
        check_exports(careless_server, one, tmp_path)


def check_exports(server: S3Server, one: Host, tmp_path: Path) -> None:
    bucket, _ = new_bucket(server)
    mount = one.mount(f"s3://{bucket}")
    (mount / "gone").write_text("x")
    (mount / "f").write_text("old")
    (mount / "f").write_text("older")
    one.run("flush")
    moment = datetime.now(UTC).isoformat()
    (mount / "f").write_text("new")
    (mount / "gone").unlink()
    (mount / "later").write_text("x")
    one.run("flush")
    one.run("export", "--at", moment, f"s3://{bucket}", tmp_path / "then")
    assert sorted(os.listdir(tmp_path / "then")) == ["f", "gone"]
    assert (tmp_path / "then/f").read_text() == "older"
    first = mount.history("f")[0]["id"]
    one.run("export", "--path", "f", "--version", first[:8], f"s3://{bucket}", tmp_path / "one")
    assert (tmp_path / "one/f").read_text() == "old"
    target, client = new_bucket(server)
    one.run("export", f"s3://{bucket}", f"s3://{target}/gift")
    assert names_in(client, target) == ["gift/f", "gift/later"]
    assert client.get_object(Bucket=target, Key="gift/f")["Body"].read() == b"new"
    wrong = one.run("export", "--at", "soon", f"s3://{bucket}", tmp_path / "x", check=False)
    assert (wrong.returncode, "is not a valid time" in wrong.stderr) == (2, True)


def told(mount: Mount, name: str) -> list[tuple[object, ...]]:
    """What a migration keeps of a file's versions; a deletion has its own time in each layout."""
    return [
        (item["kind"], item["size"], item["sha256"])
        + ((item["time"],) if item["kind"] == "content" else ())
        for item in mount.history(name)
    ]


def test_a_migration_keeps_every_version(radosgw_server: S3Server, tmp_path: Path) -> None:
    bucket, client = new_bucket(radosgw_server)
    url = f"s3://{bucket}"
    files = ["d/f", "d/e/large", "gone", "back", "d/moved"]
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(url)
        fill(mount)
        before = {name: told(mount, name) for name in files}
        contents = {name: mount.contents(name) for name in files}
        one.run("export", url, tmp_path / "before")
        one.run("umount", mount.path)
        refused = one.run("migrate", "--yes", url, check=False)
        assert "doctor --enable-versioning" in refused.stderr
        one.run("doctor", "--enable-versioning", "--yes", url)
        there = names_in(client, bucket)
        one.run("migrate", "--dry-run", url)
        assert names_in(client, bucket) == there
        stop_in_the_middle(radosgw_server, url)
        read_only = one.mount(url)
        with pytest.raises(OSError, match="Read-only"):
            (read_only / "d/f").write_text("x")
        assert "being migrated" in read_only.log()
        one.run("umount", read_only.path)
        one.run("migrate", "--yes", "--wait", "0", url)
        again = one.mount(url)
        assert {name: told(again, name) for name in files} == before
        assert {name: again.contents(name) for name in files} == contents
        one.run("export", url, tmp_path / "after")
        subprocess.run(
            ["diff", "-r", "--no-dereference", tmp_path / "before", tmp_path / "after"], check=True
        )
        assert (tmp_path / "after/d/e/large").stat().st_mode & 0o777 == 0o640
        assert client.get_object(Bucket=bucket, Key="d/f")["Body"].read() == b"three"
        (again / "d/f").write_text("four")
        os.rmdir(again / "empty")
        one.run("flush")
        assert client.get_object(Bucket=bucket, Key="d/f")["Body"].read() == b"four"
        assert again.contents("d/f") == [b"one", b"two", b"three", b"four"]


class Stopping:
    """A bucket that takes no record of one file."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def __getattr__(self, name: str) -> Any:
        return getattr(self._bucket, name)

    def put(self, name: str, *arguments: Any, **named: Any) -> None:
        if name.startswith(".vstorefs/heads/d/e/large@"):
            raise errors.Unavailable("stopped here")
        self._bucket.put(name, *arguments, **named)


def stop_in_the_middle(server: S3Server, url: str) -> None:
    """A migration that stopped within a file, and one that got as far as two files."""
    os.environ.update(server.env)
    bucket = open_bucket(resolve("store", url, environ=server.env))
    store = PortableStore(bucket, Capabilities(writable=True), Findings)
    with pytest.raises(errors.Unavailable, match="stopped here"):
        list(Migration(cast("Bucket", Stopping(bucket)), store).run(wait_s=0))
    moving = Migration(bucket, store).run(wait_s=0)
    for _ in range(2):
        next(moving)
    bucket.close()


class InTwoDays(SystemClock):
    """A clock that is two days on."""

    def wall_ns(self) -> int:
        return super().wall_ns() + 2 * 24 * 3600 * 1_000_000_000


def test_verify_finds_what_is_wrong(moto_server: S3Server, tmp_path: Path) -> None:
    bucket, client = new_bucket(moto_server)
    url = f"s3://{bucket}"
    one = Host(tmp_path / "host", moto_server.env)
    try:
        mount = one.mount(url)
        for name in ("inline", "cut", "apart", "short"):
            size = 10 if name in {"inline", "cut"} else 50_000
            (mount / name).write_bytes(b"1" * size)
            (mount / name).write_bytes(b"2" * size)
        one.run("flush")
        assert one.run("verify", "--structure", url).stdout == f"{url}: no errors were found\n"

        def record_of(name: str) -> str:
            found = client.list_objects_v2(Bucket=bucket, Prefix=f".vstorefs/heads/{name}@")
            return str(found["Contents"][0]["Key"])

        def content_of(name: str) -> str:
            return f".vstorefs/content/{record_of(name)[-26:]}"

        body = client.get_object(Bucket=bucket, Key=record_of("inline"))["Body"].read()
        client.put_object(Bucket=bucket, Key=record_of("cut"), Body=body[:50])
        client.put_object(
            Bucket=bucket,
            Key=record_of("inline"),
            Body=body.replace(b'"store":"', b'"store":"another'),
        )
        client.delete_object(Bucket=bucket, Key=content_of("apart"))
        client.put_object(Bucket=bucket, Key=content_of("short"), Body=b"2" * 49_999)
        client.put_object(Bucket=bucket, Key=".vstorefs/heads/f@of-a-later-format", Body=b"{}")
        client.put_object(Bucket=bucket, Key=f".vstorefs/content/{'x' * 26}", Body=b"stray")
        result = one.run("verify", "--structure", url, check=False)
        assert result.returncode == 1
        lines = result.stdout.splitlines()
        assert len(lines) == 5
        for what in (
            "its body is damaged",
            "belongs to another store",
            "is gone",
            "has 49999 bytes instead of 50000",
            "is no record of a format",
        ):
            assert sum(what in line for line in lines) == 1, (what, lines)
        os.environ.update(moto_server.env)
        bucket_of = open_bucket(resolve("store", url, environ=moto_server.env))
        later = list(BucketVerifier(bucket_of, InTwoDays()).problems())
        assert sum("no record names this content" in one.what for one in later) == 1
        check_a_mount_of_it(one, url)
    finally:
        one.close()


def check_a_mount_of_it(one: Host, url: str) -> None:
    """What cannot be read says so; everything else can be."""
    one.run("umount", one.points[0])
    one.run("cache", "clear")
    mount = one.mount(url, name="again")
    assert sorted(os.listdir(mount.path)) == ["apart", "cut", "inline", "short"]
    for name in ("apart", "cut", "inline", "short"):
        with pytest.raises(OSError, match="Input/output error"):
            (mount / name).read_bytes()
        history = mount.history(name)
        assert (mount.path / ".versions" / name / history[0]["name"]).read_bytes()[:1] == b"1"
    assert "its record is damaged" in mount.history("cut")[1]["marks"]
    assert "its record is of another store" in mount.history("inline")[1]["marks"]
    for what in ("is damaged", "belongs to another store", "is gone from the store"):
        mount.wait_for_log(what)
    (mount / "cut").write_text("written again")
    one.run("flush")
    assert (mount / "cut").read_text() == "written again"
