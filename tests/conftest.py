"""What all tests share: hosts, servers, and a clean start."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import measuring
from tests.support.azureserver import AzureServer, azurite
from tests.support.gcsserver import GcsServer, gcs
from tests.support.memory.server import MemoryServer
from tests.support.mounts import Host, host
from tests.support.radosgw import CountedServer, radosgw
from tests.support.s3server import S3Server, moto
from tests.support.swiftserver import SwiftServer, swift
from tests.support.webservers import nginx

# How long an example takes says something of the machine only.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Leave out of coverage what would take too long with it."""
    with contextlib.nullcontext() if measuring.is_measured(item) else measuring.paused():
        return (yield)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Clear what an earlier run of the tests left mounted and dead; another run may be going on."""
    del session
    for line in Path("/proc/self/mounts").read_text().splitlines():
        source, point = line.split()[:2]
        if source == "vstorefs" and "/pytest-of-" in point and not _is_of_a_living_run(Path(point)):
            try:
                os.statvfs(point)
            except OSError:
                subprocess.run(["fusermount3", "-u", "-z", point], check=False)


def _is_of_a_living_run(point: Path) -> bool:
    """Whether the tests that a directory belongs to go on: pytest keeps a lock with its process's number meanwhile."""
    for folder in point.parents:
        if folder.parent.name.startswith("pytest-of-"):
            try:
                return Path("/proc", (folder / ".lock").read_text()).is_dir()
            except OSError:
                return False
    return False


@pytest.fixture
def one_host(tmp_path: Path) -> Iterator[Host]:
    """A host."""
    with host(tmp_path / "host") as one:
        yield one


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server for small objects."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def careless_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server that ignores the condition of a create."""
    with moto(tmp_path_factory.mktemp("careless"), "careless") as server:
        yield server


@pytest.fixture
def bucket(moto_server: S3Server, request: pytest.FixtureRequest) -> str:
    """A new versioned bucket."""
    name = f"b{os.urandom(6).hex()}"
    moto_server.bucket(name)
    return name


@pytest.fixture(scope="session")
def radosgw_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CountedServer]:
    """A real S3 server for large objects, with its requests counted."""
    with radosgw(tmp_path_factory.mktemp("radosgw")) as server:
        yield server


@pytest.fixture(scope="session")
def azure_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AzureServer]:
    """Azurite."""
    with azurite(tmp_path_factory.mktemp("azurite")) as server:
        yield server


@pytest.fixture(scope="session")
def swift_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwiftServer]:
    """OpenStack Swift."""
    with swift(tmp_path_factory.mktemp("swift")) as server:
        yield server


@pytest.fixture(scope="session")
def gcs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    """A server that speaks Google's JSON interface."""
    with gcs(tmp_path_factory.mktemp("gcs")) as server:
        yield server


@pytest.fixture
def memory_server() -> Iterator[MemoryServer]:
    """Buckets in this process alone."""
    server = MemoryServer()
    with server.known():
        yield server


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Callable[[Path], str]]:
    """Shows a folder by nginx; gives the address of its root."""
    with contextlib.ExitStack() as stack:

        def show(root: Path) -> str:
            place = tmp_path / f"nginx-{root.name}"
            place.mkdir()
            return stack.enter_context(nginx(place, root))

        yield show
