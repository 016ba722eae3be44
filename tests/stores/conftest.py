"""Fixtures of the conformance suite, and the table that it writes: which kind has which property."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

_TABLES = {
    "test_buckets": """\
## Buckets

What the provider's own interface does, through its own library, before anything is built on it.""",
    "test_conformance": """\
## Stores

What vstorefs makes of them, in each layout.""",
    "test_web": """\
## Web servers

Read-only by nature. `nginx-poor` gives neither ranges nor ETags, `nginx-nameless` neither ETag nor Last-Modified,
`python` is Python's own server.""",
}
_UNTOLD = "memory"
"""A kind that only tests know; the page is for users."""
_HEAD = """\
# What every kind of store does

This page is written by `make conformance`, which runs the suite in `tests/stores` against a real server of
each kind: Ceph's radosgw and moto (`s3`) for S3, Azurite for Azure, OpenStack Swift, nginx and Python's own server for
the web, and for Google, of which no server can be installed, one of our own that speaks its JSON interface to
Google's own library. `careless` is an S3 server that accepts conditions and ignores them. "native" and
"portable" are the two layouts (see [formats](formats.md)).

"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", type=Path, help="write which kind has which property")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Table(), "conformance-table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests may run in several processes, in any order: the table has that of the files."""
    for number, item in enumerate(items):
        item.user_properties.append(("number", number))


def _about(report: pytest.TestReport) -> dict[str, Any]:
    return dict(report.user_properties)


class _Table:
    """Which kind has which property, by the reports of the tests."""

    def __init__(self) -> None:
        self._reports: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        kind = dict(report.user_properties).get("kind", _UNTOLD)
        if report.when == "call" and not str(kind).startswith(_UNTOLD):
            self._reports.append(report)

    def rows(self) -> dict[str, dict[str, dict[str, str]]]:
        """Module, property, kind, cell."""
        found: dict[str, dict[str, dict[str, str]]] = defaultdict(lambda: defaultdict(dict))
        for report in sorted(self._reports, key=lambda one: _about(one)["number"]):
            about = _about(report)
            file, _, test = report.nodeid.partition("::")
            name = test.partition("[")[0].rpartition("::")[2]
            cell = "yes" if report.passed else "no"
            if report.passed and "cannot" in about:
                cell = about["cannot"]
            row = found[Path(file).stem][name.removeprefix("test_").replace("_", " ")]
            # A test that runs with many values is one property: the worst of them, or its reason.
            if row.get(about["kind"], "yes") == "yes":
                row[about["kind"]] = cell
        return found


def pytest_sessionfinish(session: pytest.Session) -> None:
    file: Path | None = session.config.getoption("--write-table", default=None)
    if file is None or hasattr(session.config, "workerinput"):
        return
    table = session.config.pluginmanager.get_plugin("conformance-table")
    assert isinstance(table, _Table)
    found = table.rows()
    reasons: dict[str, int] = {}
    parts = [_HEAD.strip()]
    for module, head in _TABLES.items():
        parts += [head, "\n".join(_lines(found[module], reasons))]
    parts += [f"({number}) {reason}." for reason, number in reasons.items()]
    file.write_text("\n\n".join(parts) + "\n")


def _lines(rows: dict[str, dict[str, str]], reasons: dict[str, int]) -> list[str]:
    """Lines of a table, property by kind; what is said of a cell beyond yes and no gets a number."""
    kinds = list(dict.fromkeys(kind for row in rows.values() for kind in row))
    lines = [f"| property | {' | '.join(kinds)} |", "|---" * (len(kinds) + 1) + "|"]
    for name, row in rows.items():
        cells = [row.get(kind, "not run") for kind in kinds]
        shown = [
            cell
            if cell in {"yes", "no", "not run"}
            else f"({reasons.setdefault(cell, len(reasons) + 1)})"
            for cell in cells
        ]
        lines.append(f"| {name} | {' | '.join(shown)} |")
    return lines
