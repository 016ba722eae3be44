"""`vstorefs du`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from vstorefs import errors, units
from vstorefs.cli import parts
from vstorefs.cli.output import show_json, show_line, shown_path
from vstorefs.control.client import Pages
from vstorefs.control.history import CostRow, ShowCost
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history import selection
from vstorefs.versions.history.selection import Rule

DESCRIPTION = (
    "Show the disk usage of files at or below a path in their store and, with --history, of their older versions and "
    "of deleted files."
)
EXAMPLES = """\
examples:
  vstorefs du --history ~/data
  vstorefs du --history --depth 2 ~/data/models
  vstorefs du --history --older-than 90d --keep 5 ~/data    and what each of these purges would free
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file or directory in a mount")
    parser.add_argument(
        "--history", action="store_true", help="include older versions and deleted files"
    )
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        help="show what purging versions superseded before that would free: 90d, 12h, 4w",
    )
    parser.add_argument(
        "--keep",
        metavar="N",
        help="show what purging all but the N newest versions of each file would free",
    )
    parser.add_argument(
        "--depth",
        type=int,
        default=1,
        metavar="N",
        help="levels of directories to show (default: 1)",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


_COLUMNS = (
    ("head_bytes", "NOW"),
    ("files", "FILES"),
    ("deleted", "DELETED"),
    ("versions", "VERSIONS"),
    ("history_bytes", "HISTORY"),
)
_NUMBERS = ("files", "deleted", "versions", "head_bytes", "history_bytes")


def run(options: argparse.Namespace) -> int:
    """Ask the mount, and print a line for each part."""
    purges = _purges(options)
    record = mounts.mount_of(options.path)
    rows, files = _rows(record, options.path, max(0, options.depth), tuple(purges))
    if not files:
        raise errors.VstorefsError(
            f"{options.path} has no versions: no such file or directory, now or earlier"
        )
    columns = _COLUMNS if options.history else _COLUMNS[:2]
    found = [
        {"path": row.path}
        | {key: getattr(row, key) for key, _ in columns}
        | ({"freed": dict(zip(purges, row.freed, strict=True))} if purges else {})
        for row in rows
    ]
    if options.json:
        show_json(found)
    else:
        _print_table(found, [*(title for _, title in columns), *purges])
    return 0


def _rows(
    record: MountRecord, path: str, depth: int, purges: tuple[str, ...]
) -> tuple[list[CostRow], int]:
    """A row for each part, named as somebody would type it, and how many files were looked at."""
    if not parts.is_above_stores(record, path):
        return _of_place(record, path, depth, purges)
    found: list[CostRow] = []
    wholes: list[CostRow] = []
    files = 0
    for place in parts.places(record, path):
        rows, looked_at = _of_place(record, place, max(0, depth - 1), purges)
        wholes += [row for row in rows if row.path == place]
        found += rows
        files += looked_at
    return [*(found if depth else ()), _sum(path, wholes)], files


def _of_place(
    record: MountRecord, place: str, depth: int, purges: tuple[str, ...]
) -> tuple[list[CostRow], int]:
    pages = Pages(record, ShowCost(mounts.inside(record, place), depth, purges))
    rows = [msgspec.structs.replace(row, path=shown_path(place, row.path)) for row in pages]
    return rows, pages.end.files


def _sum(path: str, rows: Sequence[CostRow]) -> CostRow:
    """What all of them take together."""
    freed = tuple(map(sum, zip(*(row.freed for row in rows), strict=True)))
    sums = {name: sum(getattr(row, name) for row in rows) for name in _NUMBERS}
    return msgspec.structs.replace(rows[0], path=path, freed=freed, **sums)


def _purges(options: argparse.Namespace) -> list[str]:
    """The purges to plan, as `vstorefs purge --versions` takes them. Raises: UsageError."""
    given = ((Rule.OLDER, options.older_than), (Rule.KEEP, options.keep))
    purges = [f"{rule.value}:{value}" for rule, value in given if value is not None]
    if purges and not options.history:
        raise errors.UsageError("--older-than and --keep need --history")
    for purge in purges:
        selection.parse([purge])
    return purges


def _print_table(rows: list[dict[str, Any]], titles: list[str]) -> None:
    cells = [titles]
    for row in rows:
        numbers = [_cell(key, value) for key, value in row.items() if key not in {"path", "freed"}]
        cells.append([*numbers, *(units.size(size) for size in row.get("freed", {}).values())])
    widths = [max(10, *(len(line[at]) for line in cells)) for at in range(len(titles))]
    for line, path in zip(cells, ["PATH", *(row["path"] for row in rows)], strict=True):
        padded = (cell.rjust(width) for cell, width in zip(line, widths, strict=True))
        show_line(f"{'  '.join(padded)}  {path}")


def _cell(key: str, value: int) -> str:
    return units.size(value) if key.endswith("_bytes") else str(value)
