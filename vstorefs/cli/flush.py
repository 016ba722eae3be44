"""`vstorefs flush`."""

from __future__ import annotations

import argparse

from vstorefs import errors
from vstorefs.cli.output import note_line
from vstorefs.control import client
from vstorefs.control.status import Drain
from vstorefs.state import mounts

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
    aside = False
    for record in (
        [mounts.mount_of(options.mount)] if options.mount is not None else mounts.living()
    ):
        answer = client.ask(record, Drain(), timeout_s=None)
        if answer.pending:
            first = answer.pending[0]
            raise errors.VstorefsError(
                f"{record.mount_point}: {answer.left}; the first: {first.path}: {first.error}"
            )
        if answer.set_aside:
            aside = True
            note_line(f"{record.mount_point}: {answer.aside}")
    if options.mount is None:
        for record in mounts.dead():
            raise errors.VstorefsError(record.why_dead)
    return errors.EXIT_FAILURE if aside else 0
