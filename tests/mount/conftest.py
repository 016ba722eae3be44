"""The long tests of faults, and the tables that they write."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.outcomes import Tables


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
