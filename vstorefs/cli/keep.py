"""`vstorefs keep`."""

from __future__ import annotations

import argparse

from vstorefs import errors, files
from vstorefs.cli import projects

DESCRIPTION = "Keep what a run used and made: `vstorefs purge` refuses to remove it, on every host of the project."
EXAMPLES = """\
examples:
  vstorefs keep baseline
  vstorefs keep                      the runs that are kept
  vstorefs keep --drop baseline      it need not be kept any more
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("run_name", nargs="?", metavar="RUN", help="a run's id or name")
    projects.add_arguments(parser)
    parser.add_argument("--drop", action="store_true", help="it need not be kept any more")


def run(options: argparse.Namespace) -> int:
    """Decide, or list."""
    if options.run_name is None and options.drop:
        raise errors.UsageError("--drop needs a run: vstorefs keep --drop RUN")
    with projects.ledger_of(projects.chosen(options)) as (ledger, _):
        if options.run_name is None:
            kept = [ledger.find(one) for one in ledger.kept()]
            print("\n".join(one.label for one in kept) or "no run is kept")
            return 0
        found = ledger.find(options.run_name)
        ledger.keep(found.id, files.user_name(), kept=not options.drop)
        try:
            ledger.send()
            note = ""
        except errors.StoreError as error:
            note = f"; other hosts do not know yet: {error.message}"
    print(f"run {found.label} is {'not ' if options.drop else ''}kept{note}")
    return 0
