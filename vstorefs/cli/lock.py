"""`vstorefs lock`."""

from __future__ import annotations

import argparse

from vstorefs import errors, files
from vstorefs.cli import projects
from vstorefs.cli.output import note_line, show_text
from vstorefs.ledger import lockfile

DESCRIPTION = (
    "Write a lock file: the versions that a run used, with their hashes, to commit with your code. The run's files are "
    "protected from purge from then on (vstorefs keep --drop RUN ends that)."
)
EXAMPLES = """\
examples:
  vstorefs lock > inputs.lock                      the inputs of the newest run
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
            _note(f"not yet visible to other hosts that the run is protected: {error.message}")
    show_text(text)
    unknown = [one for one in lockfile.locked_inputs(whole) if one.content.hashes is None]
    for one in unknown:
        _note(
            f"{one.place.shown} was only partly read, so its hashes are unknown; locked by version only"
        )
    return 0


def _note(text: str) -> None:
    note_line(f"vstorefs: {text}")
