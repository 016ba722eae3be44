"""A mount on buckets that keep no versions: what is promised holds there too, with the least permissions."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.mounts import Mount, host
from tests.support.processes import wait_until
from tests.support.s3server import S3Server
from vstorefs.model import Key
from vstorefs.stores.ids import new_id
from vstorefs.versions import records
from vstorefs.versions.order import Plain
from vstorefs.versions.records import Area, Body, Flag, Names, RecordKind, Summary

pytestmark = pytest.mark.mount


class Place:
    """A mount, and the bucket below it as another tool sees it."""

    def __init__(self, mount: Mount, client: Any, bucket: str) -> None:
        self.mount = mount
        self.client = client
        self.bucket = bucket

    def names(self) -> set[str]:
        """All objects outside `heads/`, which alone may be written over and removed."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        names = {item["Key"] for page in pages for item in page.get("Contents", ())}
        return {name for name in names if not name.startswith(".vstorefs/heads/")}

    def read(self, name: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=name)["Body"].read())

    def plain(self) -> list[str]:
        return sorted(name for name in self.names() if not name.startswith(".vstorefs/"))


KINDS = {
    "atomic": ("moto_server", "portable"),
    "careless": ("careless_server", "portable"),
    "create-only": ("moto_server", "createonly-"),
    "radosgw": ("radosgw_server", "portable"),
}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    server_name, prefix = KINDS[request.param]
    server: S3Server = request.getfixturevalue(server_name)
    bucket = f"{prefix}{os.urandom(5).hex()}"
    client = server.bucket(bucket, versioned=False)
    with host(tmp_path / "host", server.env) as one:
        mount = one.project(f'[stores.data]\nurl = "s3://{bucket}"\nlisting-seconds = 0\n')
        yield Place(Mount(one, mount.path / "data", mount.log_file), client, bucket)


def test_a_rename_to_a_deleted_name_keeps_what_was_there(place: Place) -> None:
    for name in ("old", "new"):
        (place.mount / name).write_text(name)
    (place.mount / "old").unlink()
    place.mount.host.run("flush", place.mount.path)
    (place.mount / "new").rename(place.mount / "old")
    place.mount.host.run("flush", place.mount.path)
    assert place.mount.contents("old") == [b"old", None, b"new"]


def test_nothing_is_overwritten_and_everything_comes_back(place: Place) -> None:
    mount = place.mount
    for text in ("one", "two", "three" * 10_000):
        (mount / "f").write_text(text)
    assert mount.contents("f") == [b"one", b"two", b"three" * 10_000]
    (mount / "f").unlink()
    assert not (mount / "f").exists()
    mount.host.run("flush")
    versions = sorted(path for path in (mount / ".versions/f").iterdir() if path.name[0] == "2")
    (mount / "f").write_bytes(versions[0].read_bytes())
    assert mount.contents("f") == [b"one", b"two", b"three" * 10_000, None, b"one"]
    os.rename(mount / "f", mount / "g")
    (mount / "d").mkdir()
    os.rename(mount / "g", mount / "d/h")
    mount.host.run("flush")
    assert (mount / "d/h").read_text() == "one"
    assert sorted(os.listdir(mount.path)) == ["d"]
    os.rename(mount / "d", mount / "e")
    assert (mount / "e/h").read_text() == "one"
    (mount / "e/h").unlink()
    (mount / "e").rmdir()
    mount.host.run("flush")
    assert os.listdir(mount.path) == []


def test_another_host_sees_it_all(place: Place, tmp_path: Path) -> None:
    (place.mount / "f").write_text("first")
    (place.mount / "f").write_text("second")
    (place.mount / "gone").write_text("x")
    (place.mount / "gone").unlink()
    place.mount.host.run("flush")
    with host(tmp_path / "other", place.mount.host.reach) as other:
        mount = other.mount(f"s3://{place.bucket}")
        assert os.listdir(mount.path) == ["f"]
        assert mount.contents("f") == [b"first", b"second"]
        assert mount.contents("gone") == [b"x", None]
        assert mount.history("f") == place.mount.history("f")


@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("place", "operations"), [("atomic", 1000), ("careless", 200)], indirect=["place"]
)
def test_a_thousand_operations_take_nothing_away(place: Place, operations: int) -> None:
    """Compared byte for byte in the store itself, by another tool."""
    chance = random.Random(1)
    names = [f"{folder}n{number}" for folder in ("", "d/") for number in range(5)]
    (place.mount / "d").mkdir()
    seen: dict[str, bytes] = {}
    for number in range(operations):
        name = chance.choice(names)
        kind = chance.random()
        try:
            if kind < 0.6:
                (place.mount / name).write_bytes(os.urandom(chance.choice([5, 20_000])))
            elif kind < 0.75:
                os.rename(place.mount / name, place.mount / chance.choice(names))
            elif kind < 0.9:
                (place.mount / name).unlink()
            else:
                os.chmod(place.mount / name, chance.choice([0o600, 0o644]))
        except FileNotFoundError:
            continue
        if number % 100 == 99:
            place.mount.host.run("flush")
            seen |= {one: place.read(one) for one in place.names() - seen.keys()}
    # How far a run is takes the place of how far it was.
    kept = {one for one in seen if not one.startswith(".vstorefs/ledger/checkpoints/")}
    assert len(kept) > operations / 2
    assert kept - place.names() == set()
    assert [one for one in kept if place.read(one) != seen[one]] == []


def test_other_tools_beside_us(place: Place) -> None:
    """Overwriting, adding and deleting plain keys, before and after there are records."""
    if place.bucket.startswith("createonly-"):
        return  # there, nobody can
    mount, client, bucket = place.mount, place.client, place.bucket

    def theirs(name: str, data: bytes) -> None:
        client.put_object(Bucket=bucket, Key=name, Body=data)
        wait_until(lambda: _read(mount / name) == data, f"their {name}")

    theirs("f", b"theirs 1")
    assert mount.contents("f") == [b"theirs 1"]
    (mount / "f").write_bytes(b"ours 1")
    assert place.read("f") == b"theirs 1"
    assert mount.contents("f") == [b"theirs 1", b"ours 1"]
    theirs("f", b"theirs 2")
    history = mount.history("f")
    assert [item["marks"] for item in history] == [
        ["replaced outside"],
        [],
        ["made by another program"],
    ]
    assert mount.contents("f")[1:] == [b"ours 1", b"theirs 2"]
    (mount / "f").write_bytes(b"ours 2")
    assert _contents_left(mount, "f") == [b"ours 1", b"theirs 2", b"ours 2"]
    client.delete_object(Bucket=bucket, Key="f")
    wait_until(lambda: not (mount / "f").exists(), "their deletion")
    assert mount.history("f")[-1]["kind"] == "tombstone"
    (mount / "f").write_bytes(b"ours 3")
    mount.host.run("flush")
    assert (mount / "f").read_bytes() == b"ours 3"
    assert _contents_left(mount, "f")[-1] == b"ours 3"
    (mount / "f").unlink()
    mount.host.run("flush")
    theirs("f", b"theirs 3")
    assert mount.history("f")[-1]["is_head"]
    (mount / "new").write_bytes(b"ours")
    mount.host.run("flush")
    if "new" in place.plain():
        theirs("new", b"theirs over ours")
        assert [item["is_head"] for item in mount.history("new")] == [True]
        client.delete_object(Bucket=bucket, Key="new")
        wait_until(lambda: not (mount / "new").exists(), "their deletion of ours")


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _contents_left(mount: Mount, name: str) -> list[bytes]:
    folder = mount.path / ".versions" / name
    return [
        (folder / item["name"]).read_bytes()
        for item in mount.history(name)
        if item["name"] is not None
    ]


def test_two_hosts_are_told_that_they_met(moto_server: S3Server, tmp_path: Path) -> None:
    bucket = f"met{os.urandom(5).hex()}"
    moto_server.bucket(bucket, versioned=False)
    with (
        host(tmp_path / "a", moto_server.env) as first,
        host(tmp_path / "b", moto_server.env) as second,
    ):
        mounts = [one.mount(f"s3://{bucket}") for one in (first, second)]
        (mounts[0] / "f").write_text("one")
        first.run("flush")
        assert (mounts[1] / "f").read_text() == "one"
        (mounts[0] / "f").write_text("two")
        first.run("flush")
        # This host's listing is a minute old at most: it does not know of "two".
        (mounts[1] / "f").write_text("three")
        second.run("flush")
        assert mounts[1].contents("f") == [b"one", b"two", b"three"]
        words = "conflict: based on an older version"
        assert ["made from an older head" in item["marks"] for item in mounts[0].history("f")] == [
            False,
            False,
            True,
        ]
        assert words in (mounts[0] / ".versions/f/HISTORY").read_text()
        assert words in second.run("log", mounts[1] / "f").stdout
        assert words in second.run("status").stdout
        mounts[1].wait_for_log(words)


def test_a_listing_costs_the_same_with_and_without_history(
    radosgw_server: Any, tmp_path: Path
) -> None:
    """Once superseded records are out of the way, by what the product does and for a thousand files."""
    bucket = f"listing{os.urandom(4).hex()}"
    client = radosgw_server.bucket(bucket, versioned=False)
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        for folder, versions in (("one", 1), ("many", 12)):
            (mount / folder).mkdir()
            for _ in range(versions):
                for number in range(40):
                    (mount / f"{folder}/{number}").write_bytes(os.urandom(10))
        one.run("flush")
        pages = client.get_paginator("list_objects_v2")

        def in_the_way() -> int:
            found = pages.paginate(Bucket=bucket, Prefix=".vstorefs/heads/many/")
            return sum(page["KeyCount"] for page in found)

        wait_until(lambda: in_the_way() == 40, "end of the tidying")
        one.run("umount", mount.path)
        store = json.loads(client.get_object(Bucket=bucket, Key=".vstorefs/format")["Body"].read())[
            "id"
        ]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: plain_and_record(client, bucket, store, n), range(1000)))
        with host(tmp_path / "second", radosgw_server.env) as second:
            again = second.mount(f"s3://{bucket}")
            assert len(os.listdir(again.path)) == 4
            costs = {}
            for folder in ("one", "many", "thousand", "thousand-old"):
                before = radosgw_server.lists_of(bucket)
                assert len(os.listdir(again / folder)) == (
                    40 if folder in {"one", "many"} else 1000
                )
                costs[folder] = radosgw_server.lists_of(bucket) - before
    assert costs == dict.fromkeys(costs, 2)


def plain_and_record(client: Any, bucket: str, store: str, number: int) -> None:
    """A file with one version, and one with a hundred, as they lie in the store."""
    client.put_object(Bucket=bucket, Key=f"thousand/{number}", Body=b"1")
    path = Key(f"thousand-old/{number}")
    client.put_object(Bucket=bucket, Key=path, Body=b"1")
    found = client.head_object(Bucket=bucket, Key=path)
    modified = int(found["LastModified"].timestamp()) * 10**9
    stamp = Plain(path, found["ETag"].strip('"'), 1, modified).stamp
    summary = Summary(
        99, RecordKind.CONTENT, modified, 1, modified, 0o100644, stamp, new_id(), Flag.INLINE
    )
    body = records.encode_body(Body(store=store, path=path, inline=b"2"))
    client.put_object(Bucket=bucket, Key=Names().key(Area.HEADS, path, summary), Body=body)
