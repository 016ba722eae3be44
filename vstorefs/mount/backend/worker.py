"""One worker process as the front has it: started, written to, heard, and ended, without the loop waiting for it.

A process that hangs in the kernel (a disk that does not answer) ends when the kernel lets it go, killed or not. So its
end is waited for in a thread, and what it had is asked again only then: until then it might go on.
"""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import trio

from vstorefs.mount.backend.job import Job
from vstorefs.workers import messages
from vstorefs.workers.channel import encode

_PATIENCE_S = 3.0
_SILENT = 6
_SILENT_AT_FIRST = 24


@dataclass(slots=True, eq=False)
class Worker:
    """One worker process and what it was asked.

    `gone`: nothing is said to it any more. `unanswered`: pings since it was heard last; `heard`: it has begun to work.
    `faulty`: it did what no worker does. `dismissed`: it is not needed any more.
    """

    process: subprocess.Popen[bytes]
    stream: trio.SocketStream
    jobs: dict[int, Job[Any]] = field(default_factory=dict)
    gone: bool = False
    unanswered: int = 0
    heard: bool = False
    faulty: bool = False
    dismissed: bool = False
    _outbox: deque[bytes] = field(default_factory=deque)
    _posted: trio.Event = field(default_factory=trio.Event)

    @classmethod
    def start(cls, start: messages.Start) -> Worker:
        """A new process. Raises: OSError where this host gives none."""
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "vstorefs.workers.main", str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                )
        except OSError:
            ours.close()
            raise
        worker = cls(process, trio.SocketStream(trio.socket.from_stdlib_socket(ours)))
        # Posted, as it may be dead before it reads: who listens meets that.
        worker.post(start)
        # Its answer says that it has begun.
        worker.post(messages.Ping())
        return worker

    @property
    def was_killed(self) -> bool:
        """Whether it was killed, by somebody or because it was stopped, so that what it did may be innocent."""
        return not self.faulty and self.process.returncode == -signal.SIGKILL

    def post(self, message: messages.ToWorker) -> None:
        """Say something, as soon as it listens. Raises: what encoding raises, and then nothing is said."""
        self._outbox.append(encode(message))
        self._posted.set()

    def ping(self) -> bool:
        """Ask whether it lives; False where it has been silent for too long."""
        if self.unanswered >= (_SILENT if self.heard else _SILENT_AT_FIRST):
            return False
        self.unanswered += 1
        self.post(messages.Ping())
        return True

    def answered(self) -> None:
        """It lives."""
        self.heard, self.unanswered = True, 0

    async def receive(self) -> bytes:
        """What it says next; empty when it is gone."""
        try:
            return bytes(await self.stream.receive_some())
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            return b""

    async def send(self) -> None:
        """Send what is posted, in order: a note about a job must not overtake the job."""
        while not self.gone:
            await self._posted.wait()
            self._posted = trio.Event()
            data = b"".join(self._outbox)
            self._outbox.clear()
            try:
                await self.stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                # Who listens meets the same end.
                return

    def let_go(self) -> None:
        """Say nothing more, and hear nothing more: a worker ends when it notices."""
        self.gone = True
        self._posted.set()
        self.stream.socket.close()

    def kill(self) -> None:
        """End it at once, as far as the kernel can."""
        self.process.kill()
        self.let_go()

    async def ended(self, patience_s: float = _PATIENCE_S) -> None:
        """Return when it has ended; after so many seconds it is killed."""
        with trio.move_on_after(patience_s):
            await self._wait()
        if self.process.poll() is None:
            self.faulty = True
            self.process.kill()
            await self._wait()

    async def _wait(self) -> None:
        await trio.to_thread.run_sync(self.process.wait, abandon_on_cancel=True)
