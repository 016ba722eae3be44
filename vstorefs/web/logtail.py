"""The end of the log of a run's mount, or where that log is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vstorefs import logs, units
from vstorefs.ledger.manifest import Run
from vstorefs.state import mounts
from vstorefs.web.site import Site

_BYTES = 64 << 10
_LINES = 200


@dataclass(frozen=True, slots=True)
class LogTail:
    """Lines of a log file. `note` says what they are, or why there are none."""

    note: str
    file: str = ""
    lines: tuple[str, ...] = ()


def of_run(site: Site, run: Run) -> LogTail:
    """The log that a run's mount writes or wrote, as far as this host has it."""
    if not site.is_here(run.host):
        return LogTail(f"The log of the mount is on {run.host}.")
    if not run.mount_point:
        return LogTail("The mount point is unknown, and so is its log.")
    for record in mounts.living():
        if record.mount_point == run.mount_point:
            if record.log_file is None:
                return LogTail(f"The mount on {run.mount_point} logs to its terminal.")
            return _tail(Path(record.log_file))
    usual = mounts.usual_log(site.state_dir, run.mount_point)
    if usual.is_file():
        return _tail(usual)
    return LogTail(
        f"The mount on {run.mount_point} has ended. Its log is not in {usual}: it was written elsewhere "
        "(--log-file) or removed."
    )


def _tail(file: Path) -> LogTail:
    try:
        with file.open("rb") as opened:
            size = opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - _BYTES))
            data = opened.read(_BYTES)
    except OSError as error:
        return LogTail(f"Cannot read the log: {error.strerror}.", str(file))
    whole = data.decode("utf-8", "replace").splitlines()
    is_cut = size > _BYTES
    if is_cut:
        whole = whole[1:]
    lines = [line for one in whole for line in logs.shown(one).splitlines()]
    some = lines[-_LINES:]
    note = (
        f"The last {units.count(len(some), 'line')}."
        if is_cut or len(lines) > _LINES
        else "The whole log."
    )
    return LogTail(f"{note} Mounts on the same directory share a log.", str(file), tuple(some))
