"""`vstorefs`: finds the command, runs it, turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from vstorefs import __version__, errors

COMMANDS = {
    "init": "write a project file",
    "mount": "mount stores as a directory",
    "umount": "unmount, once pending changes are uploaded",
    "status": "show mounts and pending changes",
    "log": "show the history of files and directories",
    "diff": "show what differs between two versions or times",
    "restore": "restore old versions of files and directories",
    "du": "show the disk usage of files and their history",
    "run": "run a command and record its inputs and outputs",
    "runs": "list the recorded runs of a project",
    "show": "show a run with its inputs and outputs",
    "check": "compare the inputs of a run with what is there now",
    "ack": "acknowledge that an input has changed",
    "lock": "write a lock file: the versions that a run used",
    "keep": "protect a run's files from purge",
    "ui": "show runs, warnings and histories in a browser",
    "cache": "show or clear the cache",
    "flush": "wait until pending changes are uploaded",
    "doctor": "probe what a store supports",
    "verify": "check contents against their recorded hashes, or a store's structure",
    "purge": "delete versions permanently",
    "export": "copy a store, as it is or was, to a directory or bucket",
    "migrate": "move a store from the portable layout to bucket versioning",
}

_EPILOG = """\
examples:
  vstorefs mount ~/data                         the store that comes with vstorefs
  vstorefs mount s3://my-bucket/prefix ~/data   a bucket
  vstorefs log ~/data/train.csv                 every version of a file
  vstorefs umount ~/data

`vstorefs COMMAND --help` describes each command.
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line; each command's module adds its own part."""
    top = argparse.ArgumentParser(
        prog="vstorefs",
        description="Object stores as one directory tree that never overwrites and knows what you read.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"vstorefs {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        command = importlib.import_module(f"vstorefs.cli.{name}")
        part = commands.add_parser(
            name,
            help=purpose,
            description=command.DESCRIPTION,
            epilog=command.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add_arguments(part)
        part.set_defaults(run=command.run)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status."""
    top = parser()
    options, rest = top.parse_known_args(arguments)
    # argparse takes what stands behind an option for surplus, where a list of names was begun before it.
    if rest and (not hasattr(options, "where") or any(one.startswith("-") for one in rest)):
        top.error(f"unknown arguments: {' '.join(rest)}; see vstorefs {options.command} --help")
    if rest:
        options.where += rest
    try:
        return int(options.run(options) or 0)
    except errors.VstorefsError as error:
        print(f"vstorefs: {error}", file=sys.stderr)
        return errors.to_exit_status(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
