"""Writes docs/reference/cli.md from the commands' own help: `python -m tests.docs.reference`."""

from __future__ import annotations

import argparse
import os

from tests.support.processes import ROOT
from vstorefs.cli.main import COMMANDS, parser

PAGE = ROOT / "docs" / "reference" / "cli.md"


def render() -> str:
    """The page."""
    os.environ["COLUMNS"] = "100"
    top = parser(*COMMANDS)
    parts = [
        "# The command line",
        "",
        "What each command says with `--help`.",
        "",
        "    " + _indented(top.format_help()),
    ]
    action = next(one for one in top._actions if isinstance(one, argparse._SubParsersAction))
    for name, command in action.choices.items():
        parts += ["", f"## vstorefs {name}", "", "    " + _indented(command.format_help())]
    return "\n".join(parts) + "\n"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}".rstrip() for line in text.rstrip().splitlines()).lstrip()


if __name__ == "__main__":
    PAGE.write_text(render())
