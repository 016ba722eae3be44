"""Begin and end the record of a run whose root is this process, by the control socket of a mount."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vstorefs import errors, files
from vstorefs.control import client
from vstorefs.control.commit import commit
from vstorefs.control.runs import BeginRun, EndRun, RunEnded
from vstorefs.ledger.masking import mask_arguments
from vstorefs.state.mounts import MountRecord

_BEGIN_S = 60.0
_END_S = 300.0


def begin(record: MountRecord, name: str, command: Sequence[str]) -> str:
    """From now on this process and its children are a run; gives its id. Raises: VstorefsError."""
    pid = os.getpid()
    start = files.process_start(pid)
    assert start is not None
    request = BeginRun(
        name=name,
        command=mask_arguments(command, os.environ),
        folder=_printable(str(Path.cwd())),
        commit=commit(),
        pid=pid,
        start=start,
        inherited=_inherited(record.mount_point),
    )
    try:
        return client.ask(record, request, timeout_s=_BEGIN_S).run
    except errors.VstorefsError as error:
        raise errors.VstorefsError(f"the run cannot be recorded: {error}") from error


def end(record: MountRecord, run: str, exit_status: int) -> RunEnded:
    """The run has ended; gives what the mount says of it. Raises: VstorefsError, and the next mount ends it."""
    try:
        return client.ask(record, EndRun(run, exit_status), timeout_s=_END_S)
    except errors.VstorefsError as error:
        raise errors.VstorefsError(
            f"the record of run {run[:12]} cannot be closed now, the next mount does that: {error}"
        ) from error


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _inherited(mount_point: str) -> tuple[int, ...]:
    """Inode numbers of files of a mount that this process has open for reading.

    The descriptors' links are not followed: that would call into the mount.
    """
    ours = set()
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        fields = line.split()
        if files.unescaped(fields[4]) == mount_point:
            ours.add(fields[0])
    found = []
    for file in Path("/proc/self/fdinfo").iterdir():
        try:
            lines = file.read_text().splitlines()
        except OSError:
            # The descriptor that lists the directory is gone by now.
            continue
        about = dict(line.split(":", 1) for line in lines if ":" in line)
        readable = int(about.get("flags", "0").strip(), 8) & os.O_ACCMODE != os.O_WRONLY
        if about.get("mnt_id", "").strip() in ours and readable and "ino" in about:
            found.append(int(about["ino"]))
    return tuple(found)
