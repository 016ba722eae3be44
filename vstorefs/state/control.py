"""The other end of a mount's control socket, for the command line, the web page and programs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vstorefs import errors
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord

_HISTORY_S = 90.0


def ask(
    record: MountRecord, request: dict[str, Any], *, timeout_s: float | None = 30.0
) -> dict[str, Any]:
    """A mount's answer, `ok` or not. Raises: VstorefsError where it does not answer."""
    try:
        with _connected(record, timeout_s) as sock:
            sock.sendall(json.dumps(request).encode() + b"\n")
            with sock.makefile("rb") as answers:
                line = answers.readline()
        answer: dict[str, Any] = json.loads(line)
    except (OSError, ValueError) as error:
        raise _silent(record, error) from error
    return answer


def answer(
    record: MountRecord, request: dict[str, Any], *, timeout_s: float | None = 30.0
) -> dict[str, Any]:
    """A mount's answer. Raises: VstorefsError where it does not answer, or answers that it cannot."""
    found = ask(record, request, timeout_s=timeout_s)
    if not found["ok"]:
        raise errors.VstorefsError(found["error"])
    return found


def history(
    record: MountRecord, inside: str, *, timeout_s: float = _HISTORY_S
) -> list[dict[str, Any]]:
    """All versions of a path in a mount, oldest first, as history.json has them. Raises: VstorefsError."""
    found = answer(record, {"op": "history", "path": inside}, timeout_s=timeout_s)
    versions: list[dict[str, Any]] = found["versions"]
    return versions


@dataclass
class Pages:
    """A long answer: the rows as they come, then `end`, which says how it ended."""

    record: MountRecord
    request: dict[str, Any]
    end: dict[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """One row after the other.

        Raises: VstorefsError where the mount does not answer, or answers that it cannot.
        """
        try:
            with _connected(self.record, None) as sock:
                sock.sendall(json.dumps(self.request).encode() + b"\n")
                with sock.makefile("rb") as answers:
                    for line in answers:
                        answer = json.loads(line)
                        if isinstance(answer, dict):
                            self.end = answer
                            break
                        yield from answer
        except (OSError, ValueError) as error:
            raise _silent(self.record, error) from error
        if not self.end:
            raise _silent(self.record, "it ended before it had said everything")
        if not self.end["ok"]:
            raise errors.VstorefsError(self.end["error"])


@contextlib.contextmanager
def _connected(record: MountRecord, timeout_s: float | None) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s)
        with mounts.address(Path(record.socket)) as address:
            sock.connect(address)
        yield sock


def _silent(record: MountRecord, why: object) -> errors.VstorefsError:
    return errors.VstorefsError(
        f"the mount on {record.mount_point} (process {record.pid}) does not answer: {why}"
    )


def mount_of(path: str) -> MountRecord:
    """The mount that is on a path or holds it. Raises: VstorefsError where there is none."""
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100 — without following links into a mount
    record = mounts.find(absolute)
    if record is None:
        raise errors.VstorefsError(
            f"{absolute} is not in a vstorefs mount of yours; `vstorefs status` lists those that there are"
        )
    return record
