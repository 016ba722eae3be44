"""What Google's servers say that no other kind's do."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gcsserver import GcsServer
from tests.support.scripted import Asked, Said, scripted
from vstorefs import errors
from vstorefs.model import Token, VersionId
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.registry import open_bucket, resolve

pytestmark = pytest.mark.stores


@pytest.fixture
def bucket(gcs_server: GcsServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    name = f"c{uuid.uuid4().hex[:12]}"
    gcs_server.bucket(name)
    for key, value in gcs_server.env.items():
        monkeypatch.setenv(key, value)
    opened = open_bucket(resolve("test", f"gs://{name}", environ=os.environ))
    yield opened
    opened.close()


def test_a_generation_that_is_not_live_any_more_is_read(bucket: Bucket) -> None:
    """The server compares a condition with the live generation, whichever one is named."""
    bucket.put("f", b"first", metadata={}, content_type="text/plain")
    old = bucket.stat("f")
    bucket.put("f", b"second!", metadata={}, content_type="text/plain")
    new = bucket.stat("f")
    assert old.version is not None
    assert new.version is not None
    where: dict[str, Any] = {"token": old.token, "version": old.version}
    assert b"".join(bucket.read("f", 0, 5, **where)) == b"first"
    assert b"".join(bucket.read("f", 1, 3, version=old.version, size=5)) == b"ir"
    with pytest.raises(errors.Changed):
        list(bucket.read("f", 0, 5, version=old.version, size=7))
    with pytest.raises(errors.Changed):
        list(bucket.read("f", 0, 5, token=new.token, version=old.version))
    bucket.delete("f")
    assert b"".join(bucket.read("f", 0, 5, **where)) == b"first"
    with pytest.raises(errors.NotFound):
        list(bucket.read("f", 0, 5, token=Token("1"), version=VersionId("1")))


def scripted_bucket(url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
    return open_bucket(resolve("test", "gs://box", environ=os.environ))


def test_an_object_without_a_size_is_empty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google leaves out what is nought, in some of its interfaces' answers."""
    made = "2026-11-01T10:00:00.000000Z"
    about = {"name": "f", "generation": "5", "timeCreated": made}

    def script(asked: Asked) -> Said:
        listing = asked.path.endswith("/o")
        return Said(body=json.dumps({"items": [about]} if listing else about).encode())

    with scripted(script) as url:
        bucket = scripted_bucket(url, monkeypatch)
        (page,) = bucket.list("")
        assert [one.size for one in page.objects] == [0]
        assert bucket.stat("f").size == 0
        assert [one.size for page in bucket.versions("") for one in page] == [0]
        bucket.close()
