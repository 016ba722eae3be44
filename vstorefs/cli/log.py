"""`vstorefs log`."""

from __future__ import annotations

import argparse
import heapq
import json
from collections import deque
from collections.abc import Iterable, Iterator

import msgspec

from vstorefs import errors, units
from vstorefs.cli import parts
from vstorefs.cli.output import show_json, show_line, show_text, shown_path
from vstorefs.cli.versionfiles import history_of
from vstorefs.control.client import Pages
from vstorefs.control.history import LogRow, ShowLog
from vstorefs.model import VersionKind
from vstorefs.state import mounts
from vstorefs.versions.history.names import label
from vstorefs.versions.history.texts import marks_text, table

DESCRIPTION = (
    "Show the history of files in a mount, deleted ones included, oldest version first. Of a directory: every version "
    "of everything below it, one line each."
)
EXAMPLES = """\
examples:
  vstorefs log ~/data/train.csv
  vstorefs log ~/data/train.csv --json
  vstorefs log --limit 20 ~/data          the 20 newest versions of anything in the mount
  vstorefs log ~/data/models ~/data/train.csv

Each version is a file: ls ~/data/.versions/train.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("paths", nargs="+", metavar="PATH", help="a file or directory in a mount")
    parser.add_argument("--limit", type=_count, metavar="N", help="show only the newest N versions")
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Ask the mounts for the histories."""
    if len(options.paths) == 1 and _print_file(options, options.paths[0]):
        return 0
    found = [_Rows(path, options.limit) for path in options.paths]
    rows: Iterable[LogRow] = heapq.merge(*found, key=lambda row: row.time)
    if options.limit is not None:
        rows = deque(rows, maxlen=options.limit)
    (_print_json if options.json else _print_lines)(rows)
    for one in found:
        one.check()
    return 0


def _print_file(options: argparse.Namespace, path: str) -> bool:
    """Print the history of one file; False where the path is none."""
    versions = history_of(mounts.mount_of(path), path)[-(options.limit or 0) :]
    if not versions:
        return False
    if options.json:
        show_json(msgspec.to_builtins(versions))
    else:
        show_text(table(versions))
    return True


class _Rows:
    """The rows of one path that was given, oldest first."""

    def __init__(self, path: str, limit: int | None) -> None:
        self._path = path
        record = mounts.mount_of(path)
        self._pages = {
            place: Pages(record, ShowLog(mounts.inside(record, place), limit))
            for place in parts.places(record, path)
        }

    def __iter__(self) -> Iterator[LogRow]:
        found = [_named(place, pages) for place, pages in self._pages.items()]
        return heapq.merge(*found, key=lambda row: row.time)

    def check(self) -> None:
        """Raises: VstorefsError where there is nothing of that name."""
        if not any(pages.end.files for pages in self._pages.values()):
            raise errors.VstorefsError(
                f"{self._path} has no versions: no such file, now or earlier"
            )


def _named(place: str, rows: Iterable[LogRow]) -> Iterator[LogRow]:
    """The rows of one place, with their paths as somebody would type them."""
    for row in rows:
        yield msgspec.structs.replace(row, path=shown_path(place, row.path))


def _print_json(rows: Iterable[LogRow]) -> None:
    """A list, printed as it comes: it may be long."""
    before = "[\n"
    for row in rows:
        show_text(before + json.dumps(msgspec.to_builtins(row), sort_keys=True))
        before = ",\n"
    show_text("[]\n" if before == "[\n" else "\n]\n")


def _print_lines(rows: Iterable[LogRow]) -> None:
    for number, row in enumerate(rows):
        if number == 0:
            show_line(f"{'TIME (UTC)':23}  {'SIZE':>12}  {'SHA256':12}  {'ID':12}  PATH")
        deleted = row.kind == VersionKind.TOMBSTONE.value
        marks = marks_text(row.marks, is_head=row.is_head)
        cells = (
            f"{units.moment_of(row.time):23}",
            f"{'deleted' if deleted else row.size:>12}",
            f"{(row.sha256 or '-')[:12]:12}",
            f"{label(row.id):12}",
            row.path + (f"  ({marks})" if marks else ""),
        )
        show_line("  ".join(cells))


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
