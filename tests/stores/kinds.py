"""The kinds of store that the suites run against: a line each.

All servers are real but that of `memory`, a kind that only tests know. Of each server both suites make what they need:
`test_buckets.py` a bucket as it is, `test_conformance.py` a store in each layout.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.registry import resolve
from vstorefs.versions.layouts.opening import open_store


@dataclass(frozen=True)
class Server:
    """A server of buckets: the fixture that starts it, and how many names one of its answers holds at most."""

    fixture: str
    scheme: str
    page: int
    layouts: tuple[str, ...] = ("native", "portable")

    def bucket(
        self, request: pytest.FixtureRequest, *, versioned: bool
    ) -> tuple[str, dict[str, str]]:
        """The URL of a new one, and what a host needs to reach it."""
        server: Any = request.getfixturevalue(self.fixture)
        make = server.container if hasattr(server, "container") else server.bucket
        name = f"c{uuid.uuid4().hex[:12]}"
        make(name, versioned=versioned)
        return f"{self.scheme}://{name}", server.env

    def store(self, request: pytest.FixtureRequest, layout: str) -> Store:
        """A store in a new one, below a prefix."""
        url, env = self.bucket(request, versioned=layout == "native")
        os.environ.update(env)
        return opened(f"{url}/pre fix", env, request)


SERVERS = {
    "memory": Server("memory_server", "memory", 3),
    "s3": Server("moto_server", "s3", 1000),
    "radosgw": Server("radosgw_server", "s3", 1000),
    "careless": Server("careless_server", "s3", 1000, layouts=("portable",)),
    "gcs": Server("gcs_server", "gs", 1000),
    "azure": Server("azure_server", "az", 5000, layouts=("portable",)),
    "swift": Server("swift_server", "swift", 10_000),
}


def opened(url: str, env: dict[str, str], request: pytest.FixtureRequest) -> Store:
    """A store as a worker opens it, with a state of its own."""
    state = State.open(request.getfixturevalue("tmp_path") / "state")
    request.addfinalizer(state.close)
    return open_store(resolve("test", url, environ=env), Probes(state))


def _folder(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path") / "store"
    folder.mkdir()
    return opened(folder.as_uri(), {}, request)


KINDS: dict[str, Callable[[pytest.FixtureRequest], Store]] = {
    "file": _folder,
    **{
        f"{name}-{layout}": partial(server.store, layout=layout)
        for name, server in SERVERS.items()
        for layout in server.layouts
    },
}


def chosen() -> list[str]:
    """The kinds that this run is about: all, or the one that VSTOREFS_TEST_KIND names."""
    wanted = os.environ.get("VSTOREFS_TEST_KIND", "all")
    return list(KINDS) if wanted == "all" else [wanted]
