"""`vstorefs diff`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from typing import Any

from vstorefs import errors, units
from vstorefs.cli import points
from vstorefs.cli.output import shown_path
from vstorefs.cli.textdiff import compared
from vstorefs.cli.versionfiles import version_file
from vstorefs.state import control, mounts
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

Without --exit-code, the exit status is 0 whether there are differences or not.
"""

_SIGNS = {Change.ADDED.value: "+", Change.REMOVED.value: "-", Change.CHANGED.value: "~"}
_SIDES = ("before", "after")


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
    record = control.mount_of(options.path)
    pages = control.Pages(
        record,
        {
            "op": "diff",
            "path": mounts.inside(record, options.path),
            "from": points.point(options.one, record),
            "to": points.point(options.other, record),
        },
    )
    rows = _with_lines(record, options.path, pages)
    count = (_print_json if options.json else _print_text)(rows)
    if not pages.end.get("files"):
        raise errors.VstorefsError(
            f"{options.path} has no versions: no such file or directory, now or earlier"
        )
    return 1 if count and options.exit_code else 0


def _with_lines(record: MountRecord, given: str, pages: control.Pages) -> Iterator[dict[str, Any]]:
    for row in pages:
        row["diff"] = None
        if not row["path"] and row["change"] == Change.CHANGED.value:
            before, after = (version_file(record, given, row[side]["id"]) for side in _SIDES)
            labels = [f"{given}@{row[side]['time']}" for side in _SIDES]
            row["diff"] = compared(before, after, *labels)
        row["path"] = shown_path(given, row["path"])
        yield row


def _print_json(rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    for count, row in enumerate(rows, 1):
        sys.stdout.write(("[\n" if count == 1 else ",\n") + json.dumps(row, sort_keys=True))
    print("\n]" if count else "[]")
    return count


def _print_text(rows: Iterator[dict[str, Any]]) -> int:
    totals = dict.fromkeys(_SIGNS, 0)
    for row in rows:
        totals[row["change"]] += 1
        print(f"{_SIGNS[row['change']]} {row['path']}  {_about(row)}")
        if row["diff"] is not None:
            print(row["diff"], end="")
    if sum(totals.values()) > 1:
        print(", ".join(f"{count} {change}" for change, count in totals.items() if count))
    return sum(totals.values())


def _about(row: dict[str, Any]) -> str:
    sides = [side for side in (row["before"], row["after"]) if side is not None]
    sizes = [units.size(side["size"]) for side in sides]
    if row["change"] != Change.CHANGED.value:
        return sizes[0]
    hashes = [side["sha256"][:12] for side in sides if side["sha256"]]
    told = f"  sha256 {' → '.join(hashes)}" if len(hashes) == 2 else ""
    unsure = "" if row["certain"] else "  (may have changed: no hashes are known)"
    return f"{' → '.join(sizes)}{told}{unsure}"
