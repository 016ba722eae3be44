"""Swift's large objects that other tools have made: content in segments, behind a manifest."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.scripted import Asked, Said, scripted
from tests.support.swiftserver import SwiftServer
from vstorefs import errors
from vstorefs.model import Key, Token, VersionId, Write, WriteId
from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.ids import new_id
from vstorefs.stores.registry import Settings, open_bucket, resolve
from vstorefs.versions.layouts.opening import open_store

pytestmark = pytest.mark.stores

PARTS = [b"first part, ", b"second part, ", b"and the third"]
WHOLE = b"".join(PARTS)


@dataclass
class Box:
    """A container of Swift's, as its own client and as vstorefs has it."""

    name: str
    client: Any
    bucket: Bucket
    store: Store

    def dynamic(self, name: str) -> None:
        for number, part in enumerate(PARTS):
            self.client.put_object(self.name, f"parts/{name}/{number}", part)
        manifest = {"X-Object-Manifest": f"{self.name}/parts/{name}/"}
        self.client.put_object(self.name, f"data/{name}", b"", headers=manifest)

    def static(self, name: str) -> None:
        rows = []
        for number, part in enumerate(PARTS):
            path = f"parts/{name}/{number}"
            etag = self.client.put_object(self.name, path, part)
            rows.append({"path": f"/{self.name}/{path}", "etag": etag, "size_bytes": len(part)})
        query = "multipart-manifest=put"
        self.client.put_object(self.name, f"data/{name}", json.dumps(rows), query_string=query)


@pytest.fixture(params=["native", "portable"])
def box(
    request: pytest.FixtureRequest,
    swift_server: SwiftServer,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Any,
) -> Iterator[Box]:
    name = f"l{uuid.uuid4().hex[:12]}"
    swift_server.container(name, versioned=request.param == "native")
    for key, value in swift_server.env.items():
        monkeypatch.setenv(key, value)
    spec = resolve("test", f"swift://{name}/data", environ=os.environ)
    state = State.open(tmp_path / "state")
    client = swift_server.client()
    opened = open_bucket(spec)
    store = open_store(spec, Probes(state))
    yield Box(name, client, opened, store)
    store.close()
    opened.close()
    client.close()
    state.close()


def _write(base: Token | None, size: int = 0) -> Write:
    write_id = new_id()
    return Write(WriteId(write_id), VersionId(new_id()), time.time_ns(), base, size=size)


def content(store: Store, key: str) -> bytes:
    """A file as its listing shows it."""
    (entry,) = [one for page in store.list(Key("")) for one in page.entries if one.key == key]
    assert entry.token is not None
    return b"".join(store.read(Key(key), entry.token, 0, entry.size))


@pytest.mark.parametrize("sort", ["dynamic", "static"])
def test_a_large_object_has_its_content(box: Box, sort: str) -> None:
    getattr(box, sort)("large")
    box.client.put_object(box.name, "data/empty", b"")
    assert content(box.store, "large") == WHOLE
    assert content(box.store, "empty") == b""
    (version,) = box.store.history(Key("large"))
    assert version.size == len(WHOLE)
    assert b"".join(box.store.read(Key("large"), version.token, 7, 20)) == WHOLE[7:20]


@pytest.mark.parametrize("sort", ["dynamic", "static"])
def test_a_large_object_is_renamed(box: Box, sort: str) -> None:
    getattr(box, sort)("large")
    (entry,) = [one for page in box.store.list(Key("")) for one in page.entries]
    assert entry.token is not None
    write = _write(None, entry.size)
    made = box.store.copy(Key("large"), entry.token, Key("moved"), write)
    assert made.size == len(WHOLE)
    box.store.remove(Key("large"), _write(entry.token))
    assert [one.key for page in box.store.list(Key("")) for one in page.entries] == ["moved"]
    assert content(box.store, "moved") == WHOLE


def test_a_dynamic_one_that_has_grown_is_another_content(box: Box) -> None:
    box.dynamic("large")
    (old,) = [one for page in box.bucket.list("") for one in page.objects if one.name == "large"]
    box.client.put_object(box.name, "parts/large/9", b" and more")
    assert content(box.store, "large") == WHOLE + b" and more"
    with pytest.raises(errors.Changed):
        list(box.bucket.read("large", 0, len(WHOLE), token=Token(str(old.token))))


def test_one_whose_size_is_not_told_is_left_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Of more segments than a listing of its own holds, Swift tells neither size nor ETag."""
    empty = "d41d8cd98f00b204e9800998ecf8427e"
    row = {"bytes": 0, "hash": empty, "last_modified": "2026-11-01T10:00:00.000000"}
    rows = [{**row, "name": name, "content_type": "text/plain"} for name in "ab"]

    def script(asked: Asked) -> Said:
        told = {"X-Timestamp": "1793527200.00000", "ETag": empty}
        if asked.path == "/info":
            return Said(200, b'{"swift": {"container_listing_limit": 10}}')
        if asked.path.endswith("/b"):
            return Said(
                200, b"", {"X-Timestamp": told["X-Timestamp"], "X-Object-Manifest": "box/p"}
            )
        if asked.path.endswith("/a"):
            return Said(200, b"", told)
        return Said(200, json.dumps(rows).encode(), {"Content-Type": "application/json"})

    with scripted(script) as url:
        settings = Settings(anonymous=True, endpoint=url)
        bucket = open_bucket(resolve("test", "swift://box", settings, environ=os.environ))
        found = [(one.name, one.size) for page in bucket.list("") for one in page.objects]
        bucket.close()
    assert found == [("a", 0)]
    assert "does not tell its size" in caplog.text
