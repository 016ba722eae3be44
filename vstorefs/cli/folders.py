"""Where cache and state lie, if nobody says otherwise, and how large the cache may be."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

from vstorefs.project import state_home
from vstorefs.projectfile import parse_size

_CACHE_BYTES = 10 << 30
_SMALLEST_BYTES = 64 << 20


def add_cache_dir(parser: argparse.ArgumentParser) -> None:
    """The option that moves the cache."""
    parser.add_argument(
        "--cache-dir",
        type=Path,
        metavar="DIR",
        help="the cache directory (default: ~/.cache/vstorefs)",
    )


def add_state_dir(parser: argparse.ArgumentParser) -> None:
    """The option that says which state is meant."""
    parser.add_argument(
        "--state-dir",
        type=Path,
        metavar="DIR",
        help="directory for the journal and for files being written (default: ~/.local/state/vstorefs)",
    )


def cache_dir(given: Path | None) -> Path:
    """The cache's directory."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return (given or Path(base) / "vstorefs").expanduser().absolute()


def state_dir(given: Path | None) -> Path:
    """The state's directory."""
    return given.expanduser().absolute() if given is not None else state_home(os.environ)


def cache_bytes(given: str | None, configured: int | None, folder: Path) -> int:
    """The cache's size.

    As given, as the project says, as it was, or what suits the disk. Raises: UsageError.
    """
    if given is not None:
        return parse_size(given)
    if configured is not None:
        return configured
    limit = folder / "limit"
    if limit.exists():
        return int(limit.read_text())
    there = folder
    while not there.exists():
        there = there.parent
    return max(_SMALLEST_BYTES, min(_CACHE_BYTES, shutil.disk_usage(there).free // 4))
