"""The arguments by which commands name a project, and its ledger with what other hosts have written."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vstorefs.cli import agreeing
from vstorefs.cli.output import note_line
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
        help="project file (default: that of the mount, or ./vstorefs.toml)",
    )
    parser.add_argument(
        "--store",
        metavar="URL",
        help="the store, if it was mounted by its URL, without a project file",
    )
    parser.add_argument("--mount", metavar="DIR", help="the project's mount, or a directory in it")
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="the state directory of this host (default: ~/.local/state/vstorefs)",
    )
    agreeing.add_arguments(parser)


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
            note_line(
                f"vstorefs: cannot sync with the default store, the list may be incomplete: {why}"
            )
        yield ledger, state
