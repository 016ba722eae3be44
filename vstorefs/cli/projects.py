"""The arguments by which commands name a project, and its ledger with what other hosts have written."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vstorefs.control.exchange import exchange
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.opening import Chosen, choose, opened_with_state
from vstorefs.state.env import State


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments that name a project."""
    parser.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="the project's file (default: what is mounted, or vstorefs.toml here)",
    )
    parser.add_argument(
        "--store", metavar="URL", help="the store, where it was mounted by its URL alone"
    )
    parser.add_argument("--mount", metavar="DIR", help="a folder in a mount of the project")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="where this host's state lies (default: ~/.local/state/vstorefs)",
    )


def chosen(options: argparse.Namespace) -> Chosen:
    """The project that the arguments name. Raises: UsageError."""
    return choose(
        os.environ,
        path=options.mount,
        config=options.config,
        url=options.store,
        state_dir=options.state_dir,
    )


def name_of(found: Chosen) -> str:
    """What a project is called for people."""
    project = found.project
    return project.name or project.default_store.url


@contextmanager
def ledger_of(found: Chosen) -> Iterator[tuple[Ledger, State]]:
    """Its ledger, up to date where the default store can be asked. Raises: UsageError."""
    with opened_with_state(found) as (ledger, state):
        why = exchange(found, ledger)
        if why:
            print(
                f"vstorefs: the default store does not have, or does not tell, all that there is: {why}",
                file=sys.stderr,
            )
        yield ledger, state
