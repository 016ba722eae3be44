"""`vstorefs log`."""

from __future__ import annotations

import argparse

from vstorefs import errors
from vstorefs.cli.output import show_json
from vstorefs.state import control, mounts
from vstorefs.versions.history import table

DESCRIPTION = "The history of a file in a mount, oldest version first; of a deleted one too."
EXAMPLES = """\
examples:
  vstorefs log ~/data/train.csv
  vstorefs log ~/data/train.csv --json

Each version is a file: ls ~/data/.versions/train.csv
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file in a mount")
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Ask the file's mount for its history."""
    record = control.mount_of(options.path)
    answer = control.ask(
        record, {"op": "history", "path": mounts.inside(record, options.path)}, timeout_s=90
    )
    if not answer["ok"]:
        raise errors.VstorefsError(answer["error"])
    if options.json:
        show_json(answer["versions"])
    elif answer["versions"]:
        print(table(answer["versions"]), end="")
    else:
        raise errors.VstorefsError(
            f"{options.path} has no versions: there is no such file, and there never was"
        )
    return 0
