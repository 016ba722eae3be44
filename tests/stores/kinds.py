"""The kinds of store that the conformance suite runs against, each with a real server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.s3server import S3Server
from vstorefs.stores.base import Store
from vstorefs.stores.registry import open_store, resolve


def file_store(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path") / "store"
    folder.mkdir()
    return open_store(resolve("test", folder.as_uri(), environ={}))


def s3_store(server: S3Server) -> Store:
    bucket = f"c{uuid.uuid4().hex[:12]}"
    server.bucket(bucket)
    os.environ.update(server.env)
    return open_store(resolve("test", f"s3://{bucket}/pre fix", environ=server.env))


KINDS: dict[str, Callable[[pytest.FixtureRequest], Store]] = {
    "file": file_store,
    "s3": lambda request: s3_store(request.getfixturevalue("moto_server")),
    "s3-radosgw": lambda request: s3_store(request.getfixturevalue("radosgw_server")),
}


def chosen() -> list[str]:
    """The kinds that this run is about: all, or the one that VSTOREFS_TEST_KIND names."""
    wanted = os.environ.get("VSTOREFS_TEST_KIND", "all")
    return list(KINDS) if wanted == "all" else [wanted]
