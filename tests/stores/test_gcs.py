"""What Google's servers say that no other kind's do."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.gcsserver import GcsServer
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
