"""`vstorefs verify`."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict

from vstorefs import errors
from vstorefs.cli import contents, opening
from vstorefs.cli.output import show_json, show_line
from vstorefs.state.journal import Journal
from vstorefs.stores.local.store import LocalStore
from vstorefs.stores.registry import is_local, is_object_store
from vstorefs.versions.verify import BucketVerifier, Problem, journal_problems, local_problems

DESCRIPTION = (
    "Read all versions at or below a path in a mount, from the store and not from the cache, and compare them with "
    "their recorded hashes; versions without hashes are hashed, and recorded on this host. With --structure, check a "
    "store without reading contents: damaged records, missing contents or contents of a wrong size, unreachable "
    "versions, and pending changes in this host's journal. Changes nothing in a store."
)
EXAMPLES = """\
examples:
  vstorefs verify ~/data                     every version of every file
  vstorefs verify --heads ~/data/inputs      only the current versions
  vstorefs verify --structure s3://my-bucket/prefix

An interrupted verify is resumed. The exit status is 1 if errors were found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "url",
        nargs="?",
        default=".",
        metavar="PATH|URL",
        help="a path in a mount (default: the current directory); with --structure, a store",
    )
    opening.add_state_dir(parser)
    parser.add_argument("--heads", action="store_true", help="read only the current versions")
    parser.add_argument(
        "--again", action="store_true", help="start over instead of resuming an interrupted verify"
    )
    parser.add_argument(
        "--structure",
        action="store_true",
        help="check records and sizes; contents are not read",
    )
    parser.add_argument("--json", action="store_true", help="print objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Go through the store, or read what is at a path."""
    if options.structure:
        return _structure(options)
    if "://" in options.url:
        raise errors.UsageError(
            f"{options.url} is a store; give a path in a mount, or pass --structure"
        )
    return contents.verify(options)


def _structure(options: argparse.Namespace) -> int:
    with opening.opened(options) as at:
        waiting = journal_problems(Journal(at.state).pending({at.spec.id}), at.state_dir)
        problems = list(itertools.chain(waiting, _problems(at)))
    if options.json:
        show_json([asdict(problem) for problem in problems])
    for problem in [] if options.json else problems:
        show_line(f"{problem.where}: {problem.what}")
    if not problems and not options.json:
        show_line(f"{options.url}: no errors were found")
    return errors.EXIT_FAILURE if problems else 0


def _problems(at: opening.Opened) -> Iterator[Problem]:
    if is_local(at.spec):
        return iter(local_problems(LocalStore(at.spec)))
    if is_object_store(at.spec.url):
        return iter(BucketVerifier(at.bucket("vstorefs verify")).problems())
    # Nothing of ours is ever in a web root.
    return iter(())
