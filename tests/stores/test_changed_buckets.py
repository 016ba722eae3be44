"""Buckets that are not any more what they were when they were opened: suspended, deleted, made anew."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores.kinds import SERVERS, opened
from vstorefs import errors
from vstorefs.model import Key, Version, VersionId, VersionKind, Write, WriteId
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket, Versioning
from vstorefs.stores.ids import new_id
from vstorefs.stores.registry import open_bucket, resolve
from vstorefs.versions import records

pytestmark = pytest.mark.stores

NATIVE = [name for name, server in SERVERS.items() if "native" in server.layouts]


def suspend_s3(server: Any, name: str) -> None:
    server.client().put_bucket_versioning(
        Bucket=name, VersioningConfiguration={"Status": "Suspended"}
    )


def suspend_gcs(server: Any, name: str) -> None:
    bucket = server.client().bucket(name)
    bucket.reload()
    bucket.versioning_enabled = False
    bucket.patch()


def suspend_swift(server: Any, name: str) -> None:
    server.client().post_container(name, {"X-Versions-Enabled": "false"})


def suspend_memory(server: Any, name: str) -> None:
    server.shelves[name].versioning = Versioning.SUSPENDED


SUSPEND: dict[str, Callable[[Any, str], None]] = {
    "memory": suspend_memory,
    "s3": suspend_s3,
    "radosgw": suspend_s3,
    "gcs": suspend_gcs,
    "swift": suspend_swift,
}


class Box:
    """A store in a bucket of its own, and the bucket as others see it."""

    def __init__(self, url: str, env: dict[str, str], request: pytest.FixtureRequest) -> None:
        self.name = url.partition("://")[2]
        self.store: Store = opened(url, env, request)
        self.bucket: Bucket = open_bucket(resolve("test", url, environ=os.environ))
        self._source: Path = request.getfixturevalue("tmp_path") / "source"

    def put(self, key: str, data: bytes, base: Version | None = None) -> Version:
        self._source.write_bytes(data)
        return self.store.put(Key(key), self._source, self.write(base, len(data)))

    def write(self, base: Version | None, size: int = 0) -> Write:
        token = base.token if base is not None else None
        return Write(WriteId(new_id()), VersionId(new_id()), 1, token, size=size)

    def contents(self, key: str) -> list[bytes]:
        return [
            b"".join(self.store.read(Key(key), one.token, 0, one.size, version=one.id))
            for one in self.store.history(Key(key))
            if one.kind is VersionKind.CONTENT
        ]


@pytest.fixture
def make(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Box]]:
    made: list[Box] = []

    def make(kind: str, *, versioned: bool = True) -> Box:
        url, env = SERVERS[kind].bucket(request, versioned=versioned)
        for key, value in env.items():
            monkeypatch.setenv(key, value)
        made.append(Box(url, env, request))
        return made[-1]

    yield make
    for box in made:
        box.store.close()
        box.bucket.close()


# moto drops real versions at the first write after a suspension; S3 and Ceph replace the null version alone.
@pytest.mark.parametrize("kind", [one for one in NATIVE if one != "s3"])
def test_no_version_is_lost_where_versioning_is_suspended(
    kind: str,
    make: Callable[..., Box],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The setting is looked at now and then; nothing is lost in between."""
    monkeypatch.setattr("vstorefs.versions.layouts.format._AGREED_S", float("inf"))
    box = make(kind)
    kept = [box.put("f", b"one")]
    kept.append(box.put("f", b"two", kept[-1]))
    removed = box.put("gone", b"to be removed")
    SUSPEND[kind](request.getfixturevalue(SERVERS[kind].fixture), box.name)
    refused: list[errors.NotSupported] = []
    for number in range(3):
        data = f"after {number}".encode()
        try:
            kept.append(box.put("f", data, kept[-1]))
        except errors.NotSupported as error:
            refused.append(error)
    assert len(refused) >= 2, "the first may be made, as what was there stays"
    assert {errors.to_errno(error) for error in refused} == {errno.EROFS}
    assert all("versioning is" in error.message for error in refused)
    assert box.contents("f")[:2] == [b"one", b"two"]
    assert len(box.contents("f")) == len(kept)
    again = box.put("new", b"there was nothing")
    with pytest.raises(errors.NotSupported):
        box.put("new", b"something else", again)
    assert box.contents("new") == [b"there was nothing"]
    try:
        box.store.remove(Key("gone"), box.write(removed))
    except errors.NotSupported:
        assert box.store.stat(Key("gone")).id == removed.id
    assert box.contents("gone") == [b"to be removed"]


@pytest.mark.parametrize("kind", NATIVE)
def test_it_goes_on_where_versioning_is_turned_on_again(
    kind: str, make: Callable[..., Box], request: pytest.FixtureRequest
) -> None:
    box = make(kind)
    SUSPEND[kind](request.getfixturevalue(SERVERS[kind].fixture), box.name)
    with pytest.raises(errors.NotSupported):
        box.put("f", b"one")
    box.bucket.enable_versioning()
    first = box.put("f", b"one")
    box.put("f", b"two", first)
    assert box.contents("f") == [b"one", b"two"]


@pytest.mark.parametrize(
    "kind", [name for name, server in SERVERS.items() if "portable" in server.layouts]
)
@pytest.mark.parametrize("as_now", ["another", "none"])
def test_a_bucket_that_was_made_anew_is_another_store(
    kind: str, as_now: str, make: Callable[..., Box], monkeypatch: pytest.MonkeyPatch
) -> None:
    box = make(kind, versioned=False)
    first = box.put("f", b"one")
    monkeypatch.setattr("vstorefs.versions.layouts.format._AGREED_S", -1.0)
    if as_now == "none":
        box.bucket.delete(records.FORMAT_KEY)
    else:
        data = records.encode_format("portable", new_id())
        box.bucket.put(records.FORMAT_KEY, data, metadata={}, content_type="application/json")
    with pytest.raises(errors.Displaced, match="made anew"):
        box.put("f", b"two", first)
    with pytest.raises(errors.Displaced, match="made anew"):
        box.store.remove(Key("f"), box.write(first))
    assert box.contents("f") == [b"one"]


@pytest.mark.parametrize("kind", [name for name in SERVERS if name != "memory"])
def test_a_bucket_that_is_gone_is_no_empty_one(
    kind: str, make: Callable[..., Box], request: pytest.FixtureRequest
) -> None:
    box = make(kind, versioned=False)
    box.store.look()
    scheme = SERVERS[kind].scheme
    gone = open_bucket(resolve("test", f"{scheme}://never-{box.name}", environ=os.environ))
    request.addfinalizer(gone.close)
    with pytest.raises(errors.NotFound):
        gone.versioning()
    with pytest.raises(errors.Displaced):
        list(gone.list("", limit=1))
    with pytest.raises(errors.Displaced):
        gone.put("f", b"x", metadata={}, content_type="text/plain")
