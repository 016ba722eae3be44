"""Stores of every kind for mounts: an address, and what a host needs to reach it."""

from __future__ import annotations

import urllib.parse
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest


@dataclass
class Place:
    """A store of one kind. `port` is its server's, None for a folder."""

    url: str
    env: dict[str, str] = field(default_factory=dict)

    @property
    def port(self) -> int | None:
        for value in (*self.env.values(), self.url):
            for part in value.split(";"):
                found = urllib.parse.urlsplit(part.removeprefix("BlobEndpoint="))
                if found.hostname == "127.0.0.1":
                    return found.port
        return None

    def through(self, port: int) -> Place:
        """The same store behind another port."""
        own, other = f":{self.port}", f":{port}"
        env = {name: value.replace(own, other) for name, value in self.env.items()}
        return Place(self.url.replace(own, other), env)


def folder(request: pytest.FixtureRequest) -> Place:
    made = request.getfixturevalue("tmp_path") / "folder"
    made.mkdir()
    return Place(made.as_uri())


def _named(fixture: str, scheme: str, **options: bool) -> Callable[[pytest.FixtureRequest], Place]:
    def make(request: pytest.FixtureRequest) -> Place:
        server = request.getfixturevalue(fixture)
        name = f"k{uuid.uuid4().hex[:12]}"
        (server.container if scheme in {"az", "swift"} else server.bucket)(name, **options)
        return Place(f"{scheme}://{name}/data", server.env)

    return make


WRITABLE: dict[str, Callable[[pytest.FixtureRequest], Place]] = {
    "file": folder,
    "s3-native": _named("radosgw_server", "s3", versioned=True),
    "s3-portable": _named("radosgw_server", "s3", versioned=False),
    "gcs-native": _named("gcs_server", "gs", versioned=True),
    "gcs-portable": _named("gcs_server", "gs", versioned=False),
    "azure-portable": _named("azure_server", "az"),
    "swift-native": _named("swift_server", "swift", versioned=True),
    "swift-portable": _named("swift_server", "swift", versioned=False),
}
"""Kinds and layouts that can be written to."""


def web_root(request: pytest.FixtureRequest, root: Path) -> Place:
    """A folder as nginx shows it."""
    make = request.getfixturevalue("web")
    return Place(make(root))
