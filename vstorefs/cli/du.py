"""`vstorefs du`."""

from __future__ import annotations

import argparse

from vstorefs import errors
from vstorefs.cli.output import binary_size, show_json, shown_path
from vstorefs.state import control, mounts

DESCRIPTION = (
    "What the files at or below a path take in their store, and what their history adds: the bytes of older "
    "versions and of deleted files."
)
EXAMPLES = """\
examples:
  vstorefs du --history ~/data
  vstorefs du --history --depth 2 ~/data/models
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file or folder in a mount")
    parser.add_argument(
        "--history", action="store_true", help="also what older versions and deleted files take"
    )
    parser.add_argument(
        "--depth", type=int, default=1, metavar="N", help="levels of folders to show (default: 1)"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Ask the mount, and print a line for each part."""
    record = control.mount_of(options.path)
    question = {
        "op": "cost",
        "path": mounts.inside(record, options.path),
        "depth": max(0, options.depth),
    }
    pages = control.Pages(record, question)
    rows = [row | {"path": shown_path(options.path, row["path"])} for row in pages]
    if not pages.end.get("files"):
        raise errors.VstorefsError(f"{options.path} has no versions: nothing is or was there")
    columns = _COLUMNS if options.history else _COLUMNS[:2]
    if options.json:
        show_json(
            [{key: row[key] for key in ("path", *(key for key, _ in columns))} for row in rows]
        )
        return 0
    print("  ".join(f"{title:>10}" for _, title in columns), " PATH")
    for row in rows:
        cells = [_cell(key, row[key]) for key, _ in columns]
        print("  ".join(f"{cell:>10}" for cell in cells), "", row["path"])
    return 0


_COLUMNS = (
    ("head_bytes", "NOW"),
    ("files", "FILES"),
    ("deleted", "DELETED"),
    ("versions", "VERSIONS"),
    ("history_bytes", "HISTORY"),
)


def _cell(key: str, value: int) -> str:
    return binary_size(value) if key.endswith("_bytes") else str(value)
