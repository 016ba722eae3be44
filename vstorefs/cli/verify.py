"""`vstorefs verify`."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict

from vstorefs import errors
from vstorefs.cli import opening
from vstorefs.cli.output import show_json
from vstorefs.state.journal import Journal
from vstorefs.stores.local import LocalStore
from vstorefs.stores.registry import is_local, is_object_store
from vstorefs.versions.verify import BucketVerifier, Problem, journal_problems, local_problems

DESCRIPTION = (
    "Go through a store and say what is not as it should be: records that do not read, contents that are gone or have "
    "another size, versions that nobody can reach, and what waits in this host's journal. Changes nothing."
)
EXAMPLES = """\
examples:
  vstorefs verify --structure s3://my-bucket/folder

The exit status is 1 where something was found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    opening.add_arguments(parser)
    parser.add_argument(
        "--structure",
        action="store_true",
        required=True,
        help="compare records, contents' sizes and heads; contents are not read",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Go through the store."""
    with opening.opened(options) as at:
        waiting = journal_problems(Journal(at.state).pending({at.spec.id}), at.state_dir)
        problems = list(itertools.chain(waiting, _problems(at)))
    if options.json:
        show_json([asdict(problem) for problem in problems])
    for problem in [] if options.json else problems:
        print(f"{problem.where}: {problem.what}")
    if not problems and not options.json:
        print(f"{options.url}: nothing is wrong")
    return errors.EXIT_FAILURE if problems else 0


def _problems(at: opening.Opened) -> Iterator[Problem]:
    if is_local(at.spec):
        return iter(local_problems(LocalStore(at.spec)))
    if is_object_store(at.spec.url):
        return iter(BucketVerifier(at.bucket("vstorefs verify")).problems())
    # Nothing of ours is ever in a web root.
    return iter(())
