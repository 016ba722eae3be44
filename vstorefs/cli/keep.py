"""`vstorefs keep`."""

from __future__ import annotations

import argparse

from vstorefs import errors, files
from vstorefs.cli import projects
from vstorefs.cli.output import show_line

DESCRIPTION = (
    "Protect a run's inputs and outputs from `vstorefs purge`, on every host of the project."
)
EXAMPLES = """\
examples:
  vstorefs keep baseline
  vstorefs keep                      list the protected runs
  vstorefs keep --drop baseline      end the protection
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("run_name", nargs="?", metavar="RUN", help="a run's id or name")
    projects.add_arguments(parser)
    parser.add_argument("--drop", action="store_true", help="end the protection")


def run(options: argparse.Namespace) -> int:
    """Decide, or list."""
    if options.run_name is None and options.drop:
        raise errors.UsageError("--drop needs a run: vstorefs keep --drop RUN")
    with projects.ledger_of(projects.chosen(options)) as (ledger, _):
        if options.run_name is None:
            kept = [ledger.find(one) for one in ledger.kept()]
            for line in [one.label for one in kept] or ["no runs are protected"]:
                show_line(line)
            return 0
        found = ledger.find(options.run_name)
        ledger.keep(found.id, files.user_name(), kept=not options.drop)
        try:
            ledger.send()
            note = ""
        except errors.StoreError as error:
            note = f"; not yet visible to other hosts: {error.message}"
    show_line(f"run {found.label} is {'no longer ' if options.drop else ''}protected{note}")
    return 0
