"""The end of a mount's control socket that asks: for the command line, the web page and programs."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from types import GenericAlias
from typing import Any, Generic

import msgspec

from vstorefs import errors
from vstorefs.control import protocol
from vstorefs.control.protocol import Answer, AnswerT, Failure, Head, Page, Paged, Request, RowT
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord


def ask(
    record: MountRecord, request: Request[AnswerT], *, timeout_s: float | None = 30.0
) -> AnswerT:
    """A mount's answer.

    Raises: the error that the mount met, as if it had happened here; VstorefsError where the mount does not answer, or
    is of another version.
    """
    for reply in _replies(record, request, timeout_s):
        if isinstance(reply, Answer):
            answer: AnswerT = _read(record, reply.answer, request.answer_type())
            return answer
    raise _silent(record, "it closed the connection before it answered")


class Pages(Generic[RowT, AnswerT]):
    """A long answer: the rows as they come, then `end`, which says how it ended."""

    def __init__(self, record: MountRecord, request: Paged[RowT, AnswerT]) -> None:
        self._record = record
        self._request = request
        self._end: AnswerT | None = None

    @property
    def end(self) -> AnswerT:
        """What came behind the last row, all of which must have been taken."""
        assert self._end is not None
        return self._end

    def __iter__(self) -> Iterator[RowT]:
        """One row after the other. Raises: as `ask`."""
        rows = GenericAlias(list, (self._request.row_type(),))
        for reply in _replies(self._record, self._request, None):
            if isinstance(reply, Answer):
                self._end = _read(self._record, reply.answer, self._request.answer_type())
                return
            yield from _read(self._record, reply.rows, rows)
        raise _silent(self._record, "it closed the connection before its answer was complete")


def _replies(
    record: MountRecord, request: Request[Any], timeout_s: float | None
) -> Iterator[Page | Answer]:
    call = protocol.call_line(request)
    try:
        with _connected(record, timeout_s) as sock:
            sock.sendall(call)
            with sock.makefile("rb") as lines:
                for line in lines:
                    reply = _reply(record, line)
                    if isinstance(reply, Failure):
                        raise reply.to_error()
                    yield reply
    except OSError as error:
        raise _silent(record, error) from error


def _reply(record: MountRecord, line: bytes) -> protocol.Reply:
    """What a line says. Raises: VstorefsError where it is of another protocol, or of none."""
    head: Head = _read(record, line, Head)
    if not head.matches:
        raise errors.VstorefsError(
            protocol.mismatch(f"the mount on {record.mount_point}", started_by=head)
        )
    reply: protocol.Reply = _read(record, line, protocol.Reply)
    return reply


def _read(record: MountRecord, data: bytes | msgspec.Raw, kind: Any) -> Any:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.MsgspecError as error:
        raise _silent(record, f"what came is no answer: {error}") from error


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
