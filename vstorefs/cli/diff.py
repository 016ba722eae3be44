"""`vstorefs diff`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import msgspec

from vstorefs import errors, units
from vstorefs.cli import parts, points
from vstorefs.cli.output import show_line, show_text, shown_path
from vstorefs.cli.textdiff import compared
from vstorefs.cli.versionfiles import version_file
from vstorefs.control.client import Pages
from vstorefs.control.history import DiffRow, Searched, ShowDiff
from vstorefs.logs import visible
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.comparison import Change

DESCRIPTION = (
    "Show what differs at or below a path between two points of its history: + added, - removed, ~ changed. "
    "A text file is compared line by line."
)
EXAMPLES = """\
examples:
  vstorefs diff ~/data 'yesterday 14:00'                   what changed since then
  vstorefs diff ~/data/train.csv k3v9x0q2 now              a version (see vstorefs log) and what is there now
  vstorefs diff ~/data 2026-11-01 2026-11-08T12:00Z --json
  vstorefs diff ~/data/models '2 hours ago' --exit-code && echo the same as two hours ago

Before an id that begins with --, write another --: vstorefs diff ~/data/train.csv -- --x9k now
Without --exit-code, the exit status is 0 whether there are differences or not.
"""

_SIGNS = {Change.ADDED: "+", Change.REMOVED: "-", Change.CHANGED: "~"}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A row, as it was asked for; `lines` are the differing ones, None where they are not compared."""

    path: str
    row: DiffRow
    lines: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file or directory in a mount")
    parser.add_argument("one", metavar="A", help=points.HELP)
    parser.add_argument(
        "other", metavar="B", nargs="?", default="now", help="the same (default: now)"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="exit with status 1 if there are differences"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Ask the mount what differs, and print it as it comes."""
    record = mounts.mount_of(options.path)
    one, other = points.point(options.one, record), points.point(options.other, record)
    asked = {
        place: Pages(record, ShowDiff(mounts.inside(record, place), one, other))
        for place in parts.places(record, options.path)
    }
    rows = chain.from_iterable(_with_lines(record, place, pages) for place, pages in asked.items())
    count = (_print_json if options.json else _print_text)(rows)
    if not any(pages.end.files for pages in asked.values()):
        raise errors.VstorefsError(
            f"{options.path} has no versions: no such file or directory, now or earlier"
        )
    return 1 if count and options.exit_code else 0


def _with_lines(
    record: MountRecord, given: str, pages: Pages[DiffRow, Searched]
) -> Iterator[_Shown]:
    for row in pages:
        lines = None
        if not row.path and row.before is not None and row.after is not None:
            before, after = (
                version_file(record, given, side.id) for side in (row.before, row.after)
            )
            labels = [visible(f"{given}@{side.time}") for side in (row.before, row.after)]
            lines = compared(before, after, *labels)
        yield _Shown(shown_path(given, row.path), row, lines)


def _print_json(rows: Iterator[_Shown]) -> int:
    count = 0
    for count, shown in enumerate(rows, 1):
        row = msgspec.to_builtins(shown.row) | {"path": shown.path, "diff": shown.lines}
        show_text(("[\n" if count == 1 else ",\n") + json.dumps(row, sort_keys=True))
    show_text("\n]\n" if count else "[]\n")
    return count


def _print_text(rows: Iterator[_Shown]) -> int:
    totals = dict.fromkeys(_SIGNS, 0)
    for shown in rows:
        change = shown.row.change
        totals[change] += 1
        show_line(f"{_SIGNS[change]} {shown.path}  {_about(shown.row)}")
        if shown.lines is not None:
            show_text(shown.lines)
    if sum(totals.values()) > 1:
        show_line(", ".join(f"{count} {change.value}" for change, count in totals.items() if count))
    return sum(totals.values())


def _about(row: DiffRow) -> str:
    sides = [side for side in (row.before, row.after) if side is not None]
    sizes = [units.size(side.size) for side in sides]
    if row.change is not Change.CHANGED:
        return sizes[0]
    hashes = [side.sha256[:12] for side in sides if side.sha256]
    told = f"  sha256 {' → '.join(hashes)}" if len(hashes) == 2 else ""
    unsure = "" if row.certain else "  (may have changed: no hashes are known)"
    return f"{' → '.join(sizes)}{told}{unsure}"
