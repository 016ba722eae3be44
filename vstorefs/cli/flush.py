"""`vstorefs flush`."""

from __future__ import annotations

import argparse

from vstorefs import errors
from vstorefs.state import control, mounts

DESCRIPTION = (
    "Wait until all pending changes (writes, renames, deletions) are uploaded to their stores."
)
EXAMPLES = """\
examples:
  vstorefs flush             all mounts
  vstorefs flush ~/data
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("mount", nargs="?", metavar="DIR", help="one mount only")


def run(options: argparse.Namespace) -> int:
    """Ask each mount to finish."""
    for record in (
        [control.mount_of(options.mount)] if options.mount is not None else mounts.living()
    ):
        answer = control.ask(record, {"op": "flush"}, timeout_s=None)
        if not answer["ok"]:
            left = answer.get("pending", [])
            why = f"; the first: {left[0]['path']}: {left[0]['error']}" if left else ""
            raise errors.VstorefsError(f"{record.mount_point}: {answer['error']}{why}")
    return 0
