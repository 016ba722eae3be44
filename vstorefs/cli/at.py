"""`--at TIME`: the same words in every command that shows the past."""

from __future__ import annotations

import argparse

from vstorefs.clock import SystemClock
from vstorefs.moments import moment_ns


def add_argument(parser: argparse.ArgumentParser) -> None:
    """The option; None where it is not given."""
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="as it was then: 2026-11-01T09:00Z, 'yesterday 14:00', '2 hours ago'",
    )


def moment_of(text: str) -> int:
    """The moment that the option's text names, in nanoseconds. Raises: UsageError."""
    return moment_ns(text, SystemClock().wall_ns())
