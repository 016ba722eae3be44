"""`vstorefs umount`."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from pathlib import Path

from vstorefs import errors, files
from vstorefs.cli.output import note_line, show_line
from vstorefs.control import client
from vstorefs.control.status import Drain
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord

DESCRIPTION = "Unmount. Waits until pending changes are uploaded."
EXAMPLES = """\
examples:
  vstorefs umount ~/data
  vstorefs umount --wait 5 ~/data     wait at most five seconds; the next mount uploads the rest
"""
_END_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("mount", metavar="DIR", help="the mount point")
    parser.add_argument(
        "--wait",
        type=float,
        default=60.0,
        metavar="SECONDS",
        help="how long it may take, most of that for pending uploads (default: 60)",
    )


def run(options: argparse.Namespace) -> int:
    """Drain, unmount, and see the process off."""
    point = os.path.abspath(Path(options.mount).expanduser())  # noqa: PTH100 — a dead mount cannot be resolved
    record = next((one for one in mounts.living() if one.mount_point == point), None)
    if record is None:
        return _without_process(point)
    left = _drain(record, options.wait)
    result = subprocess.run(_command(point), check=False, capture_output=True, text=True)
    if result.returncode != 0:
        raise errors.VstorefsError(
            f"cannot unmount {point}: {result.stderr.strip()}; "
            f"a program still uses it; to see which: fuser -vm {point}"
        )
    _await_end(record)
    for line in left:
        note_line(f"vstorefs: {line}")
    return 0


def _drain(record: MountRecord, seconds: float) -> list[str]:
    """Wait for uploads; gives what is left, in words."""
    try:
        drained = client.ask(record, Drain(seconds, ends=True), timeout_s=seconds + 30)
    except errors.VstorefsError as error:
        return [f"{error}; perhaps not all changes are in their stores yet"]
    left = [f"{drained.left}; they are queued, and the next mount uploads them"]
    return [*(left if drained.left else []), *([drained.aside] if drained.aside else [])]


def _await_end(record: MountRecord) -> None:
    until = time.monotonic() + _END_S
    while files.process_start(record.pid) == record.start:
        if time.monotonic() > until:
            raise errors.VstorefsError(
                f"unmounted, but process {record.pid} does not exit; see its log: {record.log_file}"
            )
        time.sleep(0.02)


def _without_process(point: str) -> int:
    """A mount whose process died leaves a directory that answers with errors."""
    try:
        os.statvfs(point)
    except OSError as error:
        if error.errno is not None and not isinstance(error, FileNotFoundError | PermissionError):
            subprocess.run(["fusermount3", "-u", "-z", point], check=False, capture_output=True)
            mounts.remove(point)
            show_line(
                f"{point}: unmounted; its process had died, and the next mount uploads pending changes"
            )
            return 0
    raise errors.VstorefsError(
        f"{point} is not a vstorefs mount of yours; `vstorefs status` lists those"
    )


def _command(point: str) -> list[str]:
    return (
        ["umount", point]
        if os.getuid() == 0 and shutil.which("umount")
        else ["fusermount3", "-u", point]
    )
