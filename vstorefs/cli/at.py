"""`--at TIME`: the same words in every command that shows the past."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from vstorefs.clock import SystemClock
from vstorefs.ledger.opening import Chosen, opened
from vstorefs.moments import moment_ns

_RUN = "run:"


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option; None where it is not given."""
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="as of a time: 2026-11-01T09:00Z, 'yesterday 14:00', '2 hours ago', or run:ID for the start of that run",
    )


def moment_of(text: str, project: Callable[[], Chosen]) -> int:
    """The moment that the option's text names, in nanoseconds; of a run of a project, when it began.

    Raises: UsageError for what is no time, NotFound for what is no run.
    """
    if not text.startswith(_RUN):
        return moment_ns(text, SystemClock().wall_ns())
    with opened(project()) as ledger:
        started = ledger.find(text.removeprefix(_RUN)).started
    return int(started.timestamp() * 1_000_000) * 1000
