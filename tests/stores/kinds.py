"""The kinds of store that the conformance suite runs against, each with a real server."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.azureserver import AzureServer
from tests.support.gcsserver import GcsServer
from tests.support.s3server import S3Server
from tests.support.swiftserver import SwiftServer
from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.registry import resolve
from vstorefs.versions.layouts.opening import open_store


def file_store(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path") / "store"
    folder.mkdir()
    return opened(folder.as_uri(), {}, request)


def s3_store(server: S3Server, request: pytest.FixtureRequest, *, versioned: bool) -> Store:
    bucket = f"c{uuid.uuid4().hex[:12]}"
    server.bucket(bucket, versioned=versioned)
    os.environ.update(server.env)
    return opened(f"s3://{bucket}/pre fix", server.env, request)


def opened(url: str, env: dict[str, str], request: pytest.FixtureRequest) -> Store:
    """A store as a worker opens it, with a state of its own."""
    state = State.open(request.getfixturevalue("tmp_path") / "state")
    request.addfinalizer(state.close)
    return open_store(resolve("test", url, environ=env), Probes(state))


def _s3(server: str, *, versioned: bool) -> Callable[[pytest.FixtureRequest], Store]:
    return lambda request: s3_store(request.getfixturevalue(server), request, versioned=versioned)


def azure_store(request: pytest.FixtureRequest) -> Store:
    server: AzureServer = request.getfixturevalue("azure_server")
    container = f"c{uuid.uuid4().hex[:12]}"
    server.container(container)
    os.environ.update(server.env)
    return opened(f"az://{container}/pre fix", server.env, request)


def _swift(*, versioned: bool) -> Callable[[pytest.FixtureRequest], Store]:
    def make(request: pytest.FixtureRequest) -> Store:
        server: SwiftServer = request.getfixturevalue("swift_server")
        container = f"c{uuid.uuid4().hex[:12]}"
        server.container(container, versioned=versioned)
        os.environ.update(server.env)
        return opened(f"swift://{container}/pre fix", server.env, request)

    return make


def _gcs(*, versioned: bool) -> Callable[[pytest.FixtureRequest], Store]:
    def make(request: pytest.FixtureRequest) -> Store:
        server: GcsServer = request.getfixturevalue("gcs_server")
        bucket = f"c{uuid.uuid4().hex[:12]}"
        server.bucket(bucket, versioned=versioned)
        os.environ.update(server.env)
        return opened(f"gs://{bucket}/pre fix", server.env, request)

    return make


KINDS: dict[str, Callable[[pytest.FixtureRequest], Store]] = {
    "file": file_store,
    "s3-native": _s3("moto_server", versioned=True),
    "s3-portable": _s3("moto_server", versioned=False),
    "radosgw-native": _s3("radosgw_server", versioned=True),
    "radosgw-portable": _s3("radosgw_server", versioned=False),
    "careless-portable": _s3("careless_server", versioned=False),
    "gcs-native": _gcs(versioned=True),
    "gcs-portable": _gcs(versioned=False),
    "azure-portable": azure_store,
    "swift-native": _swift(versioned=True),
    "swift-portable": _swift(versioned=False),
}


def chosen() -> list[str]:
    """The kinds that this run is about: all, or the one that VSTOREFS_TEST_KIND names."""
    wanted = os.environ.get("VSTOREFS_TEST_KIND", "all")
    return list(KINDS) if wanted == "all" else [wanted]
