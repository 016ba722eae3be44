"""A front's end of a worker: one process at the other side of a socket pair."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT
from vstorefs.model import Content, Key, SessionId, StoreSpec, Token
from vstorefs.project import Project
from vstorefs.stores.base import Store
from vstorefs.stores.local.store import LocalStore
from vstorefs.stores.registry import resolve
from vstorefs.workers import messages
from vstorefs.workers.channel import Decoder, encode

CACHE_BYTES = 64 << 20
SESSION = SessionId("the-session")
_PATIENCE_S = 60.0


class Place:
    """One host's folders and one `file` store, given to any number of workers."""

    def __init__(self, folder: Path, *, stores: tuple[StoreSpec, ...] = ()) -> None:
        self.root = folder / "store"
        self.root.mkdir(parents=True)
        self.spec = resolve("here", f"file://{self.root}", environ={})
        self.state_dir = folder / "state"
        self.cache_dir = folder / "cache"
        self.start = messages.Start(
            Project("", (self.spec, *stores), "here", single=False),
            str(self.cache_dir),
            str(self.state_dir),
            CACHE_BYTES,
            SESSION,
            20,
        )

    @property
    def store(self) -> Store:
        """The store, asked past the workers."""
        return LocalStore(self.spec)

    def content(self, name: str, data: bytes | None = None) -> Content:
        """Where the bytes of a file are; the file is made where `data` is given."""
        if data is not None:
            (self.root / name).write_bytes(data)
        entries = [
            entry
            for page in self.store.list(Key(""))
            for entry in page.entries
            if entry.key == name
        ]
        return Content(self.spec.id, Key(name), Token(entries[0].token), entries[0].size)


class Front:
    """Asks one worker process; what it says is kept by the number of the ask."""

    def __init__(self, start: messages.Start) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "vstorefs.workers.main", str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
            )
        self.socket = ours
        self.socket.settimeout(_PATIENCE_S)
        self.reports: dict[int, list[messages.Report]] = defaultdict(list)
        self.answers: dict[int, messages.Answer] = {}
        self.lines: list[messages.LogLine] = []
        self._decoder: Decoder[Any] = Decoder(messages.ToFront)
        self._numbers = 0
        self.send(start)

    def send(self, message: Any) -> None:
        self.socket.sendall(encode(message))

    def ask(self, request: messages.AnyRequest) -> int:
        """Send a request; gives its number."""
        self._numbers += 1
        self.send(messages.Ask(self._numbers, request))
        return self._numbers

    def tell(self, number: int, remark: messages.Remark) -> None:
        self.send(messages.Tell(number, remark))

    def hear(self) -> None:
        """Take in what comes next; fails where nothing comes."""
        data = self.socket.recv(1 << 20)
        assert data, "the worker has ended"
        for message in self._decoder.feed(data):
            match message:
                case messages.Progress(number, report):
                    self.reports[number].append(report)
                case messages.Reply(number, answer):
                    assert number not in self.answers, "answered twice"
                    self.answers[number] = answer
                case messages.LogLine():
                    self.lines.append(message)

    def hear_for_ever(self) -> None:
        """Take in everything; fails when the worker has ended."""
        while True:
            self.hear()

    def wait_report(self, number: int, report: messages.Report) -> None:
        """Hear until this was reported."""
        while report not in self.reports[number]:
            assert number not in self.answers, self.answers[number]
            self.hear()

    def answer(self, number: int) -> Any:
        """The answer to an ask."""
        while number not in self.answers:
            self.hear()
        return self.answers[number]

    def do(self, request: messages.AnyRequest) -> Any:
        """Ask and wait."""
        return self.answer(self.ask(request))

    def kill(self) -> None:
        """Kill -9, and wait until it is dead."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Go away, as a front that dies does; the worker must end."""
        self.socket.close()
        try:
            self.process.wait(20)
        finally:
            self.process.kill()
            self.process.wait()


#: Starts a worker process.
BeginWorker = Callable[[messages.Start], Front]
