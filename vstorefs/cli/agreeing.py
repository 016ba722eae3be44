"""How somebody agrees that credentials go where a project file leads: asked once, or by an option in scripts."""

from __future__ import annotations

import argparse
import os
import sys

from vstorefs import agreements, errors
from vstorefs.cli.output import note_line


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that answer for scripts, and for whoever has no terminal."""
    parser.add_argument(
        "--trust",
        action="store_true",
        help="agree, from now on, that credentials go to the servers that the project file names",
    )
    parser.add_argument(
        "--trust-http", action="store_true", help="agree even where they go unencrypted"
    )


def settle(error: errors.NotAgreed, options: argparse.Namespace) -> None:
    """Remember that the user agrees: by an option, or asked at a terminal. Raises: the error where not."""
    plain = any(way.is_plain for way in error.ways)
    given = options.trust_http or (options.trust and not plain)
    if not given and not _asked(error):
        raise error
    agreements.agree(error.ways, os.environ)


def _asked(error: errors.NotAgreed) -> bool:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    note_line(f"{error.file} would send your credentials to:")
    for way in error.ways:
        plain = ", unencrypted: whoever is on the way can read them" if way.is_plain else ""
        note_line(f"  {way.address}  ({way.what} of the store {way.alias}{plain})")
    sys.stderr.write("Send them there, from now on? [y/N]: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
