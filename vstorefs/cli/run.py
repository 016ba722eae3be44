"""`vstorefs run`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vstorefs import errors, files, projectsources, units
from vstorefs.cli import agreeing, supervising
from vstorefs.cli.output import note_line
from vstorefs.control import recording
from vstorefs.control.runs import RunEnded
from vstorefs.ledger.opening import PROJECT_FILE, choose
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.stores.ids import new_id

DESCRIPTION = (
    "Run a command and record its inputs and outputs: the versions of all files that it and its child processes read "
    "and write. Uses the existing mount, or mounts for as long as the command runs; its path is in $VSTOREFS_MOUNT. "
    "Exits with the command's exit status."
)
EXAMPLES = """\
examples:
  vstorefs run -- python train.py                       in the existing mount
  vstorefs run --name baseline -c vstorefs.toml -- make results
  vstorefs run --mount ~/data -- sh -c 'wc -l "$VSTOREFS_MOUNT"/inputs/*.csv'
  vstorefs run --locked inputs.lock -- python train.py  with exactly the inputs of an earlier run
  vstorefs show baseline                                its inputs and outputs
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--name", default="", help="a name for the run")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="project file")
    agreeing.add_arguments(parser)
    parser.add_argument("--mount", metavar="DIR", help="the mount to use, or where to mount")
    parser.add_argument(
        "--locked",
        type=Path,
        metavar="FILE",
        help="mount exactly the versions of a lock file, read-only, with all contents verified",
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the command to run"
    )


def run(options: argparse.Namespace) -> int:
    """Run it, in a mount, and close its record."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise errors.UsageError("no command given; write: vstorefs run -- CMD ARGS")
    if not options.name.isprintable():
        raise errors.UsageError(f"--name {options.name!r} is not one line of printable text")
    with _mounted(options) as record:
        supervising.adopt_orphans()
        run_id = recording.begin(record, options.name, command)
        environ = os.environ | {"VSTOREFS_MOUNT": record.mount_point, "VSTOREFS_RUN": run_id}
        status = supervising.supervise(command, environ)
        _end(record, run_id, status)
    return status


def _end(record: MountRecord, run_id: str, status: int) -> None:
    try:
        answer = recording.end(record, run_id, status)
    except errors.VstorefsError as failure:
        note_line(f"vstorefs: {failure}")
        return
    _tell(answer)


def _shown_by(name: str) -> str:
    """A run's name as a shell and `vstorefs show` take it; empty where the id is the safer one."""
    return shlex.quote(name) if name and not name.startswith("-") else ""


def _tell(answer: RunEnded) -> None:
    for warning in answer.warnings:
        note_line(f"vstorefs: {warning}")
    about = answer.run
    note_line(
        f"vstorefs: run {about.id[:12]}: {units.count(about.inputs, 'input')}, "
        f"{units.count(about.outputs, 'output')}, {units.count(about.warnings, 'warning')}; "
        f"vstorefs show {_shown_by(about.name) or about.id[:12]}"
    )
    if answer.waiting:
        note_line(f"vstorefs: the record is on this host only, so far: {answer.why}")


@contextmanager
def _mounted(options: argparse.Namespace) -> Iterator[MountRecord]:
    """The mount that is there, or one of our own, ended afterwards."""
    present = _present(options)
    if present is not None:
        yield present
        return
    if options.mount is not None:
        point = Path(os.path.abspath(Path(options.mount).expanduser()))  # noqa: PTH100
        made = not point.exists()
    else:
        point, made = mounts.runtime_dir() / f"run-{new_id()[:12]}", True
    _vstorefs("mount", *_what(options), str(point))
    try:
        record = mounts.find(str(point))
        if record is None:
            raise errors.VstorefsError(f"the mount on {point} ended unexpectedly; see its log")
        yield record
    finally:
        _vstorefs("umount", str(point))
        if made:
            with contextlib.suppress(OSError):
                files.change("mount-point.remove", point.rmdir)


def _present(options: argparse.Namespace) -> MountRecord | None:
    if options.locked is not None:
        # What is mounted shows what is newest.
        return None
    if options.mount is not None:
        point = os.path.abspath(Path(options.mount).expanduser())  # noqa: PTH100
        mounts.refuse_dead(point)
        return _of_config(mounts.find(point), options.config)
    return choose(os.environ, config=options.config).mount


def _of_config(record: MountRecord | None, config: Path | None) -> MountRecord | None:
    """The mount, which must be of the project that was named, if one was."""
    if record is not None and config is not None:
        named = projectsources.load(config, os.environ)
        if named.default_store.id != record.project.default_store.id:
            raise errors.UsageError(
                f"the mount on {record.mount_point} belongs to another project than {config}; give only one of them"
            )
    return record


def _what(options: argparse.Namespace) -> list[str]:
    config = options.config
    if config is None and Path(PROJECT_FILE).is_file():
        config = Path(PROJECT_FILE)
    if config is not None:
        # Whoever has to agree to its servers is asked here: what mounts has no terminal.
        projectsources.load(config, os.environ)
    arguments = ["-c", str(config)] if config is not None else []
    if options.locked is not None:
        arguments += ["--locked", str(options.locked)]
    return arguments


def _vstorefs(*arguments: str) -> None:
    """Another command of ours; what it says goes to stderr. Raises: VstorefsError with its own line."""
    result = subprocess.run(
        [sys.executable, "-P", "-m", "vstorefs.cli.main", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        line = result.stderr.strip().removeprefix("vstorefs: ")
        kind = errors.UsageError if result.returncode == errors.EXIT_USAGE else errors.VstorefsError
        raise kind(line or f"vstorefs {arguments[0]} failed")
