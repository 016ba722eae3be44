"""`vstorefs lock`."""

from __future__ import annotations

import argparse
import sys

from vstorefs import errors, files
from vstorefs.cli import projects
from vstorefs.ledger import lockfile

DESCRIPTION = (
    "Write down which versions a run used, with their hashes: text to keep beside the code. The run is kept from "
    "purges from then on (vstorefs keep --drop RUN ends that)."
)
EXAMPLES = """\
examples:
  vstorefs lock > inputs.lock                      what the newest run used
  vstorefs lock baseline > inputs.lock
  vstorefs run --locked inputs.lock -- python train.py
  vstorefs mount --locked inputs.lock ~/then
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "run_name", nargs="?", metavar="RUN", help="a run (default: the newest with inputs)"
    )
    projects.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write it to the standard output."""
    chosen = projects.chosen(options)
    with projects.ledger_of(chosen) as (ledger, _):
        found = ledger.find(options.run_name) if options.run_name else ledger.newest()
        whole = ledger.manifest(found)
        text = lockfile.write(whole, chosen.project.stores)
        ledger.keep(found.id, files.user_name(), kept=True)
        try:
            ledger.send()
        except errors.StoreError as error:
            _note(f"other hosts do not know yet that the run is kept: {error.message}")
    print(text, end="")
    unknown = [one for one in lockfile.locked_inputs(whole) if one.content.hashes is None]
    for one in unknown:
        _note(
            f"{one.place.shown} was read in part, so it has no hashes; it is locked by its version alone"
        )
    return 0


def _note(text: str) -> None:
    print(f"vstorefs: {text}", file=sys.stderr)
