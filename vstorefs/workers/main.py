"""A worker's loop: `python -m vstorefs.workers.main FD`.

The main thread reads the socket and starts each request's job (`registry.py`) on its lane (`lanes.py`). When the
socket closes the front is gone: the worker ends at once, whatever hangs in a call.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time

from vstorefs import logs
from vstorefs.workers.answering import answer, bug, told
from vstorefs.workers.call import Call
from vstorefs.workers.channel import Channel
from vstorefs.workers.jobs import record
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.lanes import Lanes, Task
from vstorefs.workers.messages import (
    WITHDRAWN,
    Answer,
    AnyRequest,
    Ask,
    LogLine,
    Ping,
    Pong,
    Progress,
    Reply,
    Start,
    Tell,
    ToFront,
    ToWorker,
    Withdraw,
)
from vstorefs.workers.registry import JOBS

log = logging.getLogger(__name__)

_IDLE_S = 5.0
# What SDKs say at every step is of no use to a user, and may hold more than it should.
_TALKATIVE = (
    *("azure", "boto3", "botocore", "google", "keystoneauth", "keystoneclient", "msal"),
    *("requests", "s3transfer", "swiftclient", "urllib3"),
)
_LONGEST_DIRTY_S = 60.0


class Worker:
    """One worker process."""

    def __init__(self, channel: Channel[ToWorker], start: Start) -> None:
        self._channel = channel
        self._context = WorkerContext(start)
        self._lanes = Lanes(
            start.stores, lambda waiting: told(lambda: record.record_all(self._context, waiting))
        )
        self._calls: dict[int, Call] = {}
        self._busy_at = time.monotonic()

    def run(self, messages: list[ToWorker]) -> None:
        """Work on these messages and on what comes after them, until the front is gone."""
        threading.Thread(target=self._keep_clean, daemon=True).start()
        threading.Thread(target=self._context.tidier.run, daemon=True).start()
        while True:
            for message in messages:
                match message:
                    case Ask(number, request):
                        self._begin(number, request)
                    case Tell(number, Withdraw()):
                        self._withdraw(number)
                    case Tell(number, remark):
                        call = self._calls.get(number)
                        if call is not None:
                            call.heed(remark)
                    case Ping():
                        self._send(Pong())
                    case Start():
                        log.error("a second start was sent to a worker")
            messages = self._channel.receive()
            if not messages:
                return

    def close(self) -> None:
        """Leave the cache in order."""
        self._context.cache.mark_clean()

    def _begin(self, number: int, request: AnyRequest) -> None:
        job, lane = JOBS[type(request)]
        call = self._calls[number] = Call(lambda report: self._send(Progress(number, report)))
        task = Task(
            request,
            lambda asked: answer(job, self._context, asked, call),
            lambda found: self._reply(number, found),
            call,
        )
        self._lanes.begin(lane, task)

    def _withdraw(self, number: int) -> None:
        call = self._calls.get(number)
        if call is not None and call.withdraw():
            self._reply(number, WITHDRAWN)

    def _reply(self, number: int, found: Answer) -> None:
        if self._calls.pop(number, None) is None:
            # What was withdrawn has its answer.
            return
        try:
            self._send(Reply(number, found))
        except Exception as error:
            log.exception("an answer cannot be told")
            self._send(Reply(number, bug(error)))

    def _send(self, message: Reply | Progress | Pong) -> None:
        if not isinstance(message, Pong):
            self._busy_at = time.monotonic()
        try:
            self._channel.send(message)
        except OSError:
            # The front is gone; the main thread sees it too and ends the process.
            return

    def _keep_clean(self) -> None:
        """See that a machine that goes down finds a good cache again.

        A sync holds up all writers, so it waits for a quiet moment, but not for ever.
        """
        marked_at = time.monotonic()
        while True:
            time.sleep(_IDLE_S)
            now = time.monotonic()
            if now - self._busy_at < _IDLE_S and now - marked_at < _LONGEST_DIRTY_S:
                continue
            marked_at = now
            try:
                self._context.cache.mark_clean()
                self._context.cache.reader_check()
            except Exception:
                log.exception("cannot sync the cache to disk")


class _ToFront(logging.Handler):
    """What a worker logs belongs in the mount's log."""

    def __init__(self, channel: Channel[ToWorker]) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, entry: logging.LogRecord) -> None:
        """Send a record; nobody is left to read it when the front is gone."""
        # A name that is no UTF-8 must not make a line unsayable.
        text, trace = (
            one.encode(errors="backslashreplace").decode()
            for one in (entry.getMessage(), logs.exception_of(entry))
        )
        try:
            self._channel.send(LogLine(entry.name, entry.levelno, text, trace))
        except OSError:
            return


def main() -> None:
    """Work for the front at the other end of the socket."""
    # The terminal's ^C is for the front, which ends its workers when it is done.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=int(sys.argv[1]))
    channel: Channel[ToWorker] = Channel(sock, ToWorker, sends=ToFront)
    first = channel.receive()
    if not first or not isinstance(first[0], Start):
        os._exit(1)
    logging.basicConfig(level=first[0].log_level, handlers=[_ToFront(channel)])
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    status = 0
    try:
        worker = Worker(channel, first[0])
        worker.run(first[1:])
        # Whatever hangs in a call, and whatever the disk does, the process ends.
        threading.Timer(2.0, os._exit, (0,)).start()
        worker.close()
    except Exception:
        log.exception("internal error; the worker ends")
        status = 1
    os._exit(status)


if __name__ == "__main__":
    main()
