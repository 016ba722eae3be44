"""The kind in memory: what only its holder can do, and versions as S3 keeps them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.memory.server import MemoryServer
from vstorefs import errors
from vstorefs.stores.bucket import Bucket, Versioning
from vstorefs.stores.registry import open_bucket, resolve


def bucket_of(server: MemoryServer, *, versioned: bool = True) -> Bucket:
    server.bucket("b", versioned=versioned)
    return open_bucket(resolve("a", "memory://b/p", environ={}))


def put(bucket: Bucket, name: str, data: bytes, *, absent: bool = False) -> None:
    bucket.put(name, data, metadata={}, content_type="text/plain", absent=absent)


def test_the_holder_decides_about_every_request(memory_server: MemoryServer) -> None:
    late: list[Callable[[], Any]] = []

    def step(label: str, request: Callable[[], Any]) -> Any:
        if label == "put dropped":
            raise errors.Unavailable("the request was dropped")
        if label == "put lost":
            request()
            raise errors.Unavailable("the reply was lost")
        if label == "put late":
            late.append(request)
            raise errors.Unavailable("the request is late")
        return request()

    memory_server.step = step
    bucket = bucket_of(memory_server)
    for name in ("dropped", "lost", "late"):
        with pytest.raises(errors.Unavailable):
            put(bucket, name, b"content", absent=True)
    assert [one.name for page in bucket.list("") for one in page.objects] == ["lost"]
    late[0]()
    assert bucket.get("late") == b"content"
    with pytest.raises(errors.AlreadyExists) as caught:
        late[0]()
    assert (caught.value.store, caught.value.key) == ("a", "late")


def test_versions_and_markers_go_one_by_one(memory_server: MemoryServer) -> None:
    bucket = bucket_of(memory_server)
    put(bucket, "f", b"first")
    put(bucket, "f", b"second")
    marker = bucket.delete("f")
    listed = [one for page in bucket.versions("") for one in page]
    assert [(one.token is None, one.is_latest) for one in listed] == [
        (True, True),
        (False, False),
        (False, False),
    ]
    assert listed[0].version == marker
    with pytest.raises(errors.NotFound):
        bucket.stat("f")
    bucket.delete("f", marker)
    assert bucket.get("f") == b"second"
    bucket.delete("f", bucket.stat("f").version)
    assert bucket.get("f") == b"first"
    bucket.delete("f", bucket.stat("f").version)
    assert [one for page in bucket.versions("") for one in page] == []


def test_what_was_there_before_versions_were_kept_stays(memory_server: MemoryServer) -> None:
    bucket = bucket_of(memory_server, versioned=False)
    put(bucket, "f", b"lost")
    put(bucket, "f", b"first")
    assert bucket.stat("f").version is None
    bucket.enable_versioning()
    assert bucket.versioning() is Versioning.ENABLED
    put(bucket, "f", b"second")
    (page,) = bucket.versions("f")
    assert [one.version for one in page][1:] == ["null"]
    assert b"".join(bucket.read("f", 0, 5, version=page[1].version)) == b"first"
    assert memory_server.shelves["b"].taken_away == ["p/f"]


def test_a_bucket_that_is_not_there_is_not_found(memory_server: MemoryServer) -> None:
    with pytest.raises(errors.NotFound, match="no bucket nowhere"):
        open_bucket(resolve("a", "memory://nowhere", environ={}))
    assert memory_server.shelves == {}
