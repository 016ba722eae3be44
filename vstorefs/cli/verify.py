"""`vstorefs verify`."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import asdict

from vstorefs import errors
from vstorefs.cli import contents, opening
from vstorefs.cli.output import show_json
from vstorefs.state.journal import Journal
from vstorefs.stores.local.store import LocalStore
from vstorefs.stores.registry import is_local, is_object_store
from vstorefs.versions.verify import BucketVerifier, Problem, journal_problems, local_problems

DESCRIPTION = (
    "Read every version at or below a path in a mount, from the store and not from the cache, and compare its hashes "
    "with those recorded; versions that nobody has hashed yet are hashed, and recorded on this host. With --structure, "
    "go through a store without reading contents, and say what is not as it should be: records that do not read, "
    "contents that are gone or have another size, versions that nobody can reach, and what waits in this host's "
    "journal. Changes nothing in a store."
)
EXAMPLES = """\
examples:
  vstorefs verify ~/data                     every version of every file
  vstorefs verify --heads ~/data/inputs      only what the files show now
  vstorefs verify --structure s3://my-bucket/folder

A verify that was stopped goes on where it was. The exit status is 1 where something was found.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "url",
        nargs="?",
        default=".",
        metavar="PATH|URL",
        help="what to read, in a mount (default: the current directory); with --structure, a store",
    )
    opening.add_state_dir(parser)
    parser.add_argument("--heads", action="store_true", help="read only what files show now")
    parser.add_argument(
        "--again", action="store_true", help="do not go on with a verify that was stopped"
    )
    parser.add_argument(
        "--structure",
        action="store_true",
        help="compare records, contents' sizes and heads; contents are not read",
    )
    parser.add_argument("--json", action="store_true", help="print objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Go through the store, or read what is at a path."""
    if options.structure:
        return _structure(options)
    if "://" in options.url:
        raise errors.UsageError(
            f"{options.url} is a store; mount it and give a path in the mount, or add --structure"
        )
    return contents.verify(options)


def _structure(options: argparse.Namespace) -> int:
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
