"""`vstorefs ui`."""

from __future__ import annotations

import argparse

from vstorefs.cli import projects
from vstorefs.cli.output import show_line

DESCRIPTION = (
    "Show the project's runs, warnings, files' histories and mounts in a browser on this machine. Each URL is valid "
    "once, and a new one is printed after it was used. Ctrl-C stops the server. The project is that of -c, of the "
    "working directory, or of the only mount."
)
EXAMPLES = """\
examples:
  vstorefs ui
  vstorefs ui -c vstorefs.toml --port 8080
  ssh -L 8080:127.0.0.1:8080 HOST vstorefs ui --port 8080 --no-browser    then open it on your own machine
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "--port",
        type=int,
        default=0,
        metavar="N",
        help="the port to listen on (default: a free one)",
    )
    parser.add_argument("--no-browser", action="store_true", help="only print the URL")
    projects.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    from vstorefs.web import server  # noqa: PLC0415 — no other command needs to wait for it

    server.serve(projects.chosen(options), options.port, browser=not options.no_browser, tell=_tell)
    return 0


def _tell(address: str) -> None:
    show_line(f"Open {address} (valid once). Ctrl-C stops the server.", at_once=True)
