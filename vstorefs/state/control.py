"""The other end of a mount's control socket, for the command line, the web page and programs."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

from vstorefs import errors
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord


def ask(
    record: MountRecord, request: dict[str, Any], *, timeout_s: float | None = 30.0
) -> dict[str, Any]:
    """A mount's answer, `ok` or not. Raises: VstorefsError where it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(timeout_s)
            sock.connect(record.socket)
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as answers:
                line = answers.readline()
        answer: dict[str, Any] = json.loads(line)
    except (OSError, ValueError) as error:
        raise errors.VstorefsError(
            f"the mount on {record.mount_point} (process {record.pid}) does not answer: {error}"
        ) from error
    return answer


def mount_of(path: str) -> MountRecord:
    """The mount that is on a path or holds it. Raises: VstorefsError where there is none."""
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100 — without following links into a mount
    record = mounts.find(absolute)
    if record is None:
        raise errors.VstorefsError(
            f"{absolute} is not in a vstorefs mount of yours; `vstorefs status` lists those that there are"
        )
    return record
