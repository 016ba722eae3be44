"""The kinds of store that the conformance suite runs against: a line each, with its server.

All servers are real but that of `memory`, a kind that only tests know.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.registry import resolve
from vstorefs.versions.layouts.opening import open_store

Make = Callable[[pytest.FixtureRequest], Store]


def opened(url: str, env: dict[str, str], request: pytest.FixtureRequest) -> Store:
    """A store as a worker opens it, with a state of its own."""
    state = State.open(request.getfixturevalue("tmp_path") / "state")
    request.addfinalizer(state.close)
    return open_store(resolve("test", url, environ=env), Probes(state))


def _folder(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path") / "store"
    folder.mkdir()
    return opened(folder.as_uri(), {}, request)


def _bucket(fixture: str, scheme: str, **options: bool) -> Make:
    """A new bucket, and a prefix in it, on the server that a fixture gives; `options` as it takes them."""

    def make(request: pytest.FixtureRequest) -> Store:
        server: Any = request.getfixturevalue(fixture)
        name = f"c{uuid.uuid4().hex[:12]}"
        (server.container if hasattr(server, "container") else server.bucket)(name, **options)
        os.environ.update(server.env)
        return opened(f"{scheme}://{name}/pre fix", server.env, request)

    return make


KINDS: dict[str, Make] = {
    "file": _folder,
    "memory-native": _bucket("memory_server", "memory", versioned=True),
    "memory-portable": _bucket("memory_server", "memory", versioned=False),
    "s3-native": _bucket("moto_server", "s3", versioned=True),
    "s3-portable": _bucket("moto_server", "s3", versioned=False),
    "radosgw-native": _bucket("radosgw_server", "s3", versioned=True),
    "radosgw-portable": _bucket("radosgw_server", "s3", versioned=False),
    "careless-portable": _bucket("careless_server", "s3", versioned=False),
    "gcs-native": _bucket("gcs_server", "gs", versioned=True),
    "gcs-portable": _bucket("gcs_server", "gs", versioned=False),
    "azure-portable": _bucket("azure_server", "az"),
    "swift-native": _bucket("swift_server", "swift", versioned=True),
    "swift-portable": _bucket("swift_server", "swift", versioned=False),
}


def chosen() -> list[str]:
    """The kinds that this run is about: all, or the one that VSTOREFS_TEST_KIND names."""
    wanted = os.environ.get("VSTOREFS_TEST_KIND", "all")
    return list(KINDS) if wanted == "all" else [wanted]
