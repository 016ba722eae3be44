"""What was promised in a test of faults, and what was found after it; and the tables of that in the documentation.

A test says it with `told`; a run with `--write-faults FILE` puts one row for each fault between the marks of its table,
and leaves the rows of faults that it did not try.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest

_PROPERTY = "outcome"
_HEAD = "| {} | promised | found | lost | doubled | errors told | longest wait |\n|---|---|---|---|---|---|---|"


@dataclass(frozen=True, slots=True)
class Outcome:
    """Numbers of changes or reads. `found` may be more than `promised`: what was not promised may have happened.

    `told`: calls that ended with an error. `longest_s`: of any call of a program, in the fault or right after it.
    """

    table: str
    what: str
    promised: int
    found: int
    lost: int
    longest_s: float
    doubled: int = 0
    told: int = 0

    def and_also(self, other: Outcome) -> Outcome:
        """Both."""
        return replace(
            self,
            promised=self.promised + other.promised,
            found=self.found + other.found,
            lost=self.lost + other.lost,
            longest_s=max(self.longest_s, other.longest_s),
            doubled=self.doubled + other.doubled,
            told=self.told + other.told,
        )


def told(request: pytest.FixtureRequest, outcome: Outcome) -> None:
    """Say what came of it; fails where anything was lost or done twice."""
    request.node.user_properties.append((_PROPERTY, asdict(outcome)))
    assert (outcome.lost, outcome.doubled) == (0, 0), outcome


class Tables:
    """The outcomes of a run, by the reports of its tests."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, tuple[Outcome, str]]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take one in."""
        properties: dict[str, Any] = dict(report.user_properties)
        if report.when != "call" or _PROPERTY not in properties:
            return
        outcome = Outcome(**properties[_PROPERTY])
        rows = self._found.setdefault(outcome.table, {})
        earlier = rows.get(outcome.what)
        if earlier is not None:
            outcome = earlier[0].and_also(outcome)
        rows[outcome.what] = (outcome, report.nodeid.partition("[")[0])

    def write(self, file: Path) -> None:
        """Put the tables between their marks."""
        text = file.read_text()
        for table, rows in self._found.items():
            begin, end = f"<!-- {table} -->\n", f"<!-- end of {table} -->"
            before, _, rest = text.partition(begin)
            present, _, after = rest.partition(end)
            kept = {
                line.partition("<br>")[0]: line for line in present.splitlines() if "<br>" in line
            }
            lines = kept | {f"| {what}": _line(*row) for what, row in rows.items()}
            body = "\n".join([_HEAD.format(table), *(lines[what] for what in sorted(lines))])
            text = f"{before}{begin}\n{body}\n\n{end}{after}"
        file.write_text(text)


def _line(one: Outcome, test: str) -> str:
    return (
        f"| {one.what}<br>`{test}` | {one.promised} | {one.found} | {one.lost} | {one.doubled} | {one.told} "
        f"| {one.longest_s:.1f} s |"
    )
