"""The long tests of faults, the tables that they write, and mounts behind a proxy that makes faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.behind import Behind, behind
from tests.support.outcomes import Tables
from tests.support.s3server import S3Server


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="run the tests of faults that take long, too"
    )
    parser.addoption("--write-faults", type=Path, help="write what was promised and found here")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Tables(), "fault-tables")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long", default=False):
        return
    left_out = [item for item in items if item.get_closest_marker("long")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]


def pytest_sessionfinish(session: pytest.Session) -> None:
    file: Path | None = session.config.getoption("--write-faults", default=None)
    tables = session.config.pluginmanager.get_plugin("fault-tables")
    if file is None or hasattr(session.config, "workerinput"):
        return
    if isinstance(tables, Tables):
        tables.write(file)


@pytest.fixture(scope="module")
def behind_portable(
    moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    """A mount of a bucket without versioning, for all tests of a module."""
    with behind(moto_server, tmp_path_factory.mktemp("portable"), versioned=False) as one:
        yield one


@pytest.fixture(scope="module")
def behind_native(
    moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Behind]:
    """The same of one that keeps versions."""
    with behind(moto_server, tmp_path_factory.mktemp("native"), versioned=True) as one:
        yield one
