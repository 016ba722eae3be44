"""`vstorefs run`."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vstorefs import errors, files, project
from vstorefs.cli import supervising
from vstorefs.ledger.masking import mask_arguments
from vstorefs.ledger.opening import PROJECT_FILE, choose
from vstorefs.state import control, mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.stores.ids import new_id

DESCRIPTION = (
    "Run a command and keep a record of it: which versions of which files it and all its processes read and made. "
    "Uses the mount that is there, or makes one for as long as the command lasts; the command finds it in "
    "$VSTOREFS_MOUNT. Ends with the command's exit status."
)
EXAMPLES = """\
examples:
  vstorefs run -- python train.py                       in the mount that there is
  vstorefs run --name baseline -c vstorefs.toml -- make results
  vstorefs run --mount ~/data -- sh -c 'wc -l "$VSTOREFS_MOUNT"/inputs/*.csv'
  vstorefs run --locked inputs.lock -- python train.py  with exactly the inputs of a run before
  vstorefs show baseline                                what it used and made
"""

_BEGIN_S = 60.0
_END_S = 300.0
_GIT_S = 10.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("--name", default="", help="a name for the run, to find it again")
    parser.add_argument("-c", "--config", type=Path, metavar="FILE", help="a project file")
    parser.add_argument(
        "--mount", metavar="DIR", help="the mount to use; made there if it is not there"
    )
    parser.add_argument(
        "--locked",
        type=Path,
        metavar="FILE",
        help="show exactly the versions of a lock file, read-only, and check every byte",
    )
    parser.add_argument(
        "command", nargs=argparse.REMAINDER, metavar="-- CMD ...", help="the command to run"
    )


def run(options: argparse.Namespace) -> int:
    """Run it, in a mount, and close its record."""
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    if not command:
        raise errors.UsageError("name a command to run: vstorefs run -- CMD ARGS")
    if not options.name.isprintable():
        raise errors.UsageError(f"--name {options.name!r} is not one line of printable text")
    with _mounted(options) as record:
        supervising.adopt_orphans()
        run_id = _begin(record, options.name, command)
        environ = os.environ | {"VSTOREFS_MOUNT": record.mount_point, "VSTOREFS_RUN": run_id}
        status = supervising.supervise(command, environ)
        _end(record, run_id, status)
    return status


def _begin(record: MountRecord, name: str, command: list[str]) -> str:
    pid = os.getpid()
    request = {
        "op": "run-begin",
        "name": name,
        "command": mask_arguments(command, os.environ),
        "folder": _printable(str(Path.cwd())),
        "commit": _commit(),
        "pid": pid,
        "start": files.process_start(pid),
        "inherited": supervising.inherited(record.mount_point),
    }
    answer = control.ask(record, request, timeout_s=_BEGIN_S)
    if not answer["ok"]:
        raise errors.VstorefsError(f"the run cannot be recorded: {answer['error']}")
    return str(answer["run"])


def _end(record: MountRecord, run_id: str, status: int) -> None:
    request = {"op": "run-end", "run": run_id, "exit_status": status}
    try:
        answer = control.ask(record, request, timeout_s=_END_S)
        error = answer.get("error")
    except errors.VstorefsError as failure:
        answer, error = {}, str(failure)
    if error:
        print(
            f"vstorefs: the record of run {run_id[:12]} cannot be closed now, the next mount does that: {error}",
            file=sys.stderr,
        )
        return
    _tell(answer)


def _tell(answer: dict[str, Any]) -> None:
    for warning in answer["warnings"]:
        print(f"vstorefs: {warning}", file=sys.stderr)
    about = answer["run"]
    print(
        f"vstorefs: run {about['id'][:12]}: {about['inputs']} inputs, {about['outputs']} outputs, "
        f"{about['warnings']} warnings; vstorefs show {about['name'] or about['id'][:12]}",
        file=sys.stderr,
    )
    if answer["waiting"]:
        print(
            f"vstorefs: its record is on this machine only, so far: {answer['why']}",
            file=sys.stderr,
        )


def _commit() -> str | None:
    """The commit of the working folder, with `+` where files differ from it; None where there is none."""
    found = _git("rev-parse", "HEAD")
    if found is None:
        return None
    return found.strip() + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(
            # Where the folder lies in a mount, what git would note for itself became a version.
            ["git", "--no-optional-locks", *arguments],
            check=True,
            capture_output=True,
            timeout=_GIT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(result.stdout)


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


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
            raise errors.VstorefsError(f"the mount on {point} ended at once; its log says why")
        yield record
    finally:
        _vstorefs("umount", str(point))
        if made:
            with contextlib.suppress(OSError):
                point.rmdir()


def _present(options: argparse.Namespace) -> MountRecord | None:
    if options.locked is not None:
        # What is mounted shows what is newest.
        return None
    if options.mount is not None:
        point = os.path.abspath(Path(options.mount).expanduser())  # noqa: PTH100
        return _of_config(mounts.find(point), options.config)
    return choose(os.environ, config=options.config).mount


def _of_config(record: MountRecord | None, config: Path | None) -> MountRecord | None:
    """The mount, which must be of the project that was named, if one was."""
    if record is not None and config is not None:
        named = project.load(config, os.environ)
        if named.default_store.id != record.project.default_store.id:
            raise errors.UsageError(
                f"the mount on {record.mount_point} is of another project than {config}; name one of the two"
            )
    return record


def _what(options: argparse.Namespace) -> list[str]:
    config = options.config
    if config is None and Path(PROJECT_FILE).is_file():
        config = Path(PROJECT_FILE)
    arguments = ["-c", str(config)] if config is not None else []
    if options.locked is not None:
        arguments += ["--locked", str(options.locked)]
    return arguments


def _vstorefs(*arguments: str) -> None:
    """Another command of ours; what it says goes to stderr. Raises: VstorefsError with its own line."""
    result = subprocess.run(
        [sys.executable, "-m", "vstorefs.cli.main", *arguments],
        check=False,
        capture_output=True,
        text=True,
    )
    if result.returncode != 0:
        line = result.stderr.strip().removeprefix("vstorefs: ")
        kind = errors.UsageError if result.returncode == errors.EXIT_USAGE else errors.VstorefsError
        raise kind(line or f"vstorefs {arguments[0]} failed")
