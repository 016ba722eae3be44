"""`vstorefs`: finds the command, runs it, turns errors into one line and an exit status."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence

from vstorefs import __version__, errors
from vstorefs.cli import ids
from vstorefs.cli.output import note_line

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
    "journal": "show, retry, export or drop changes that could not be uploaded",
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

`vstorefs help COMMAND` describes each command.
"""


_SHORT = """\
Object stores as one directory tree that never overwrites and knows what you read.

  vstorefs mount s3://my-bucket ~/data    show a store as a directory; without a URL, the one that comes along
  vstorefs status                         mounts and pending changes
  vstorefs log ~/data/train.csv           every version of a file
  vstorefs restore ~/data/train.csv       bring back what was, deleted files too
  vstorefs umount ~/data                  unmount, once pending changes are uploaded

vstorefs help            all commands
vstorefs help COMMAND    more about one, with examples
"""
_ALSO = {"unmount": "umount"}
_NO_READER = 128 + signal.SIGPIPE
_FORMAT = argparse.RawDescriptionHelpFormatter


def parser(*names: str) -> argparse.ArgumentParser:
    """The commands that are named, complete; without names all of them, each by its purpose alone."""
    top = argparse.ArgumentParser(
        prog="vstorefs",
        description="Object stores as one directory tree that never overwrites and knows what you read.",
        epilog=_EPILOG,
        formatter_class=_FORMAT,
    )
    top.add_argument("--version", action="version", version=f"vstorefs {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in names or COMMANDS:
        part = commands.add_parser(name, help=COMMANDS[name], formatter_class=_FORMAT)
        if name in names:
            _complete(part, name)
    return top


def _complete(part: argparse.ArgumentParser, name: str) -> None:
    """Add what a command's module knows. Only that is imported: some take longer than most commands run."""
    command = importlib.import_module(f"vstorefs.cli.{name}")
    part.description = command.DESCRIPTION
    part.epilog = command.EXAMPLES
    command.add_arguments(part)
    part.set_defaults(run=command.run)


def _led_on(arguments: Sequence[str]) -> list[str]:
    """The arguments, with words that lead to a command replaced by it. Raises: UsageError for what leads nowhere."""
    if arguments[0] == "help":
        return [*_led_on(arguments[1:2]), "--help"] if len(arguments) > 1 else ["--help"]
    name = _ALSO.get(arguments[0], arguments[0])
    if name not in COMMANDS and not name.startswith("-"):
        import difflib  # noqa: PLC0415 — only where something was mistyped

        near = difflib.get_close_matches(name, [*COMMANDS, *_ALSO], 1)
        hint = f"did you mean {near[0]}?" if near else "vstorefs help lists all"
        raise errors.UsageError(f"there is no command {name}; {hint}")
    return [name, *arguments[1:]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; gives the exit status."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given:
        sys.stderr.write(_SHORT)
        return errors.EXIT_USAGE
    try:
        try:
            return _run(_led_on(given))
        finally:
            # What stands in the buffer still may meet a reader that has gone.
            sys.stdout.flush()
    except errors.VstorefsError as error:
        note_line(f"vstorefs: {error}")
        return errors.to_exit_status(error)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read the output has seen enough. Others are ended by the signal, with this status in a shell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _NO_READER


def _run(arguments: Sequence[str]) -> int:
    top = parser(*(name for name in arguments[:1] if name in COMMANDS))
    options, rest = top.parse_known_args(ids.as_values(arguments))
    # argparse takes what stands behind an option for surplus, where a list of names was begun before it.
    if rest and (not hasattr(options, "where") or any(one.startswith("-") for one in rest)):
        top.error(f"unknown arguments: {' '.join(rest)}; see vstorefs {options.command} --help")
    if rest:
        options.where += rest
    try:
        return int(options.run(options) or 0)
    except errors.NotAgreed as error:
        from vstorefs.cli import agreeing  # noqa: PLC0415 — nearly always there is nothing to agree to

        # A project file is read before anything else is done, so all begins anew.
        agreeing.settle(error, options)
        return int(options.run(options) or 0)


if __name__ == "__main__":
    sys.exit(main())
