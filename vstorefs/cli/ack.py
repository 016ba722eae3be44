"""`vstorefs ack`."""

from __future__ import annotations

import argparse

from vstorefs import errors, files, units
from vstorefs.cli.output import as_text, show_line
from vstorefs.control import client
from vstorefs.control.runs import AcceptChange
from vstorefs.state import mounts

DESCRIPTION = (
    "Acknowledge that an input has changed or was deleted on purpose. This ends the warnings about it, and is "
    "recorded with who, when and why, for all hosts of the project."
)
EXAMPLES = """\
examples:
  vstorefs ack ~/data/inputs/train.csv --why "labels corrected by the vendor"
  vstorefs ack ~/data/inputs --why "the new quarter"      everything below that has warnings
"""

_ACCEPT_S = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file or a directory in a mount")
    parser.add_argument("--why", required=True, metavar="TEXT", help="the reason, for the record")


def run(options: argparse.Namespace) -> int:
    """Tell the mount."""
    if not options.why.strip():
        raise errors.UsageError("--why is empty; say in a few words why the change is accepted")
    record = mounts.mount_of(options.path)
    request = AcceptChange(
        path=mounts.inside(record, options.path),
        why=as_text(options.why),
        user=files.user_name(),
    )
    answer = client.ask(record, request, timeout_s=_ACCEPT_S)
    show_line(
        f"acknowledged: {units.count(answer.paths, 'path')}, {units.count(answer.ended, 'warning')} ended"
    )
    if answer.waiting:
        show_line(f"not yet visible to other hosts: {answer.why}")
    return 0
