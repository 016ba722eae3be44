"""`vstorefs runs`."""

from __future__ import annotations

import argparse
import itertools
import shlex
from datetime import UTC
from typing import Any

from vstorefs import errors, units
from vstorefs.cli import projects
from vstorefs.cli.output import show_json, show_line, show_table
from vstorefs.ledger.manifest import SHORT_ID, Run

DESCRIPTION = (
    "List the recorded runs of a project, on all its hosts, newest first. Runs with warnings are marked with !; "
    "`vstorefs show RUN` shows the details."
)
EXAMPLES = """\
examples:
  vstorefs runs
  vstorefs runs --limit 100 --search train
  vstorefs runs --json | jq '.[] | select(.warnings != [])'
"""

_HEADER = ("", "RUN", "NAME", "STATUS", "STARTED (UTC)", "DURATION", "IN", "OUT", "HOST", "COMMAND")
_MARK = "!"
_COMMAND_CHARS = 60


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    projects.add_arguments(parser)
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="show at most N runs (default: 20)"
    )
    parser.add_argument(
        "--search",
        default="",
        metavar="TEXT",
        help="only runs with this text in their name, command or other fields",
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """List them."""
    if options.limit < 1:
        raise errors.UsageError(f"--limit must be 1 or more, not {options.limit}")
    chosen = projects.chosen(options)
    with projects.ledger_of(chosen) as (ledger, _):
        found = list(itertools.islice(ledger.runs(search=options.search), options.limit))
    if options.json:
        show_json([about(one) for one in found])
    elif not found:
        like = f" that matches {options.search!r}" if options.search else ""
        show_line(f"no recorded runs of {projects.name_of(chosen)}{like}")
    else:
        show_table(_HEADER, [_row(one) for one in found])
        for one in found:
            for text in one.warning_texts:
                show_line(f"{_MARK} {one.label}: {text}")
    return 0


def about(run: Run) -> dict[str, Any]:
    """A run for programs."""
    return {
        "id": run.id,
        "name": run.name,
        "kind": run.kind.value,
        "status": run.status.value,
        "started": run.started.astimezone(UTC).isoformat(),
        "ended": run.ended.astimezone(UTC).isoformat() if run.ended is not None else None,
        "exit_status": run.exit_status,
        "command": list(run.command),
        "folder": run.folder,
        "commit": run.commit,
        "user": run.user,
        "host": run.host,
        "mount_point": run.mount_point,
        "inputs": run.inputs,
        "outputs": run.outputs,
        "warnings": list(run.warning_texts),
        "warning_count": run.warnings,
    }


def _row(run: Run) -> tuple[str, ...]:
    took = units.duration((run.ended - run.started).total_seconds()) if run.ended else "-"
    command = shlex.join(run.command) if run.command else f"mount {run.mount_point}"
    return (
        _MARK if run.warnings else "",
        run.id[:SHORT_ID],
        run.name or "-",
        status(run),
        units.moment(run.started),
        took,
        str(run.inputs),
        str(run.outputs),
        run.host,
        command if len(command) <= _COMMAND_CHARS else command[: _COMMAND_CHARS - 1] + "…",
    )


def status(run: Run) -> str:
    """How a run stands, with an exit status that is not 0."""
    return f"{run.status.value} ({run.exit_status})" if run.exit_status else run.status.value
