"""A proxy between a mount and its server that does to chosen requests what networks and servers do.

`python -m tests.support.faultproxy PORT TARGET` passes everything on, until it is told of faults:

    with faulty(port, folder) as proxy:
        proxy.add(Fault("PUT", "bucket/key", Kind.ANSWER, status=503, retry_after_s=1, times=2))
        ...
        proxy.hits("PUT", "bucket/key")

A fault is for requests of a method (`*`: any) whose path matches a regular expression from its start; it leaves out the
first `after` of them, and happens `times` times. The first fault that fits a request happens to it. Faults that hold
something up do so for `seconds`, or until the faults are cleared. `PUT /__faults__` adds one, `DELETE` clears all,
`GET` tells how many requests of each kind came.
"""

from __future__ import annotations

import contextlib
import enum
import json
import re
import socket
import struct
import sys
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import ROOT, answers, free_port, running, wait_until

_BUFFER = 1 << 18
_CONTROL = "/__faults__"
_HAPPENED = "happened"


class Kind(enum.StrEnum):
    """What happens to a request."""

    REFUSE = "the connection is reset before anything is read"
    STALL = "it is passed on late, or never"
    CUT_REQUEST = "the connection breaks after `at` bytes of its body"
    CUT_ANSWER = "the connection breaks after `at` bytes of the answer's body"
    ANSWER = "`status` is answered, and the server sees nothing"
    LATE = "the server does it, and the answer comes late"
    LOST = "the server does it, and the connection breaks in place of the answer"
    LENGTH = "the answer says that it is `at` bytes longer than it is, or shorter"
    FLIP = "byte `at` of the answer's body is another one"


@dataclass(slots=True)
class Fault:
    """One fault. `after`: so many such requests pass unharmed before it; `times`: how often it happens."""

    method: str
    path: str
    kind: Kind
    after: int = 0
    times: int = 1
    at: int = 0
    status: int = 500
    retry_after_s: int | None = None
    seconds: float = 3600

    def fits(self, method: str, path: str) -> bool:
        """Whether it is for such a request; counts those that it lets pass."""
        if self.times <= 0 or self.method not in {"*", method} or not re.match(self.path, path):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        self.times -= 1
        return True


@dataclass(frozen=True, slots=True)
class FaultProxy:
    """A running proxy, from the outside."""

    port: int

    def add(self, fault: Fault) -> None:
        """From now on, this happens."""
        self._say("PUT", json.dumps(asdict(fault)).encode())

    def clear(self) -> None:
        """Nothing happens any more, and what is held up goes on."""
        self._say("DELETE")

    def hits(self, method: str, path: str) -> int:
        """How many requests came so far for exactly that path (without a query), whatever happened to them."""
        return self._say("GET").get(f"{method} /{path}", 0)

    def happened(self) -> int:
        """How many requests a fault has happened to so far."""
        return self._say("GET")[_HAPPENED]

    def _say(self, method: str, body: bytes | None = None) -> dict[str, int]:
        address = f"http://127.0.0.1:{self.port}{_CONTROL}"
        with urllib.request.urlopen(urllib.request.Request(address, body, method=method)) as answer:
            return dict(json.load(answer))


@contextlib.contextmanager
def faulty(target: int, folder: Path) -> Iterator[FaultProxy]:
    """A proxy before the server on a port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.support.faultproxy", str(port), str(target)]
    with running(command, folder / f"faultproxy-{port}.log", cwd=ROOT) as process:
        wait_until(lambda: answers(port), "answer of the proxy", process=process)
        yield FaultProxy(port)


@dataclass(frozen=True, slots=True)
class Happening:
    """A fault that happens to a request; `cleared`: what was to be held up goes on."""

    fault: Fault
    cleared: threading.Event

    def hold(self) -> None:
        """Wait as long as the fault says."""
        self.cleared.wait(self.fault.seconds)


class Broken(Exception):
    """The connection is to be reset."""


class Stream:
    """One end of a connection, read by lines and lengths."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sock = sock
        self._rest = b""

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def head(self) -> bytes:
        """Everything up to an empty line, empty at the end of the connection."""
        while b"\r\n\r\n" not in self._rest:
            data = self._sock.recv(_BUFFER)
            if not data:
                return b""
            self._rest += data
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        return head + b"\r\n\r\n"

    def some(self, most: int) -> bytes:
        """Up to so many bytes of what comes, empty at the end."""
        if self._rest:
            data, self._rest = self._rest[:most], self._rest[most:]
            return data
        return self._sock.recv(min(most, _BUFFER))

    def blocks(self, head: bytes, *, to_the_end: bool = False) -> Iterator[bytes]:
        """The body that belongs to a head, as it is sent: with the marks of chunks, where it has those."""
        if re.search(rb"(?i)\r\ntransfer-encoding: *chunked", head):
            while size := int((line := self._line()).split(b";")[0], 16):
                yield line
                yield from self._exactly(size + 2)
            yield line
            while line != b"\r\n":
                line = self._line()
                yield line
            return
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        if length is not None:
            yield from self._exactly(int(length[1]))
        elif to_the_end:
            while data := self.some(_BUFFER):
                yield data

    def reset(self) -> None:
        """End the connection without a word more."""
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._sock.close()

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            data = self._sock.recv(_BUFFER)
            if not data:
                raise Broken
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line + b"\r\n"

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            data = self.some(size)
            if not data:
                raise Broken
            size -= len(data)
            yield data


class Proxy:
    """What is to happen, and what came."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._counts: Counter[str] = Counter({_HAPPENED: 0})
        self._cleared = threading.Event()

    def serve(self, sock: socket.socket) -> None:
        """One client's connection."""
        client, server = Stream(sock), None
        try:
            while head := client.head():
                method, path = head.split(b" ", 2)[:2]
                if path.decode() == _CONTROL:
                    client.send(self._control(method.decode(), b"".join(client.blocks(head))))
                    continue
                if server is None:
                    server = Stream(socket.create_connection(("127.0.0.1", self._target)))
                self._exchange(client, server, head, self._fault(method.decode(), path.decode()))
        except Broken:
            client.reset()
        except OSError:
            pass
        finally:
            client.close()
            if server is not None:
                server.close()

    def _fault(self, method: str, path: str) -> Happening | None:
        with self._lock:
            self._counts[f"{method} {path.partition('?')[0]}"] += 1
            for fault in self._faults:
                if fault.fits(method, path.lstrip("/")):
                    self._counts[_HAPPENED] += 1
                    return Happening(fault, self._cleared)
            return None

    @staticmethod
    def _exchange(client: Stream, server: Stream, head: bytes, found: Happening | None) -> None:
        if not _ask(client, server, head, found):
            return
        answer = server.head()
        while answer and answer.split(b" ", 2)[1] == b"100":
            answer = server.head()
        if not answer:
            raise Broken
        bodiless = head.startswith(b"HEAD ") or answer.split(b" ", 2)[1] in {b"204", b"304"}
        blocks = iter(()) if bodiless else server.blocks(answer, to_the_end=True)
        if found is not None:
            _spoil(client, answer, blocks, found)
            return
        client.send(answer)
        for block in blocks:
            client.send(block)

    def _control(self, method: str, body: bytes) -> bytes:
        with self._lock:
            if method == "PUT":
                told: dict[str, Any] = json.loads(body)
                self._faults.append(Fault(**{**told, "kind": Kind(told["kind"])}))
            elif method == "DELETE":
                self._faults.clear()
                self._cleared.set()
                self._cleared = threading.Event()
            counts = json.dumps(self._counts).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(counts), counts)


def _ask(client: Stream, server: Stream, head: bytes, found: Happening | None) -> bool:
    """Whether the request was passed on whole, so that the server will answer."""
    if found is None:
        _pass_on(client, server, head)
        return True
    match found.fault.kind:
        case Kind.REFUSE:
            raise Broken
        case Kind.STALL:
            found.hold()
        case Kind.CUT_REQUEST:
            _pass_on(client, server, head, most=found.fault.at)
            raise Broken
        case Kind.ANSWER:
            _go_on(client, head)
            for _ in client.blocks(head):
                continue
            client.send(_answer(found.fault))
            return False
    _pass_on(client, server, head)
    return True


def _spoil(client: Stream, answer: bytes, blocks: Iterator[bytes], found: Happening) -> None:
    """Send an answer with its fault."""
    fault = found.fault
    match fault.kind:
        case Kind.LOST:
            raise Broken
        case Kind.LATE:
            body = b"".join(blocks)
            found.hold()
            client.send(answer + body)
        case Kind.CUT_ANSWER:
            client.send(answer + b"".join(blocks)[: fault.at])
            raise Broken
        case Kind.LENGTH:
            body = b"".join(blocks)
            length = b"\r\nContent-Length: %d" % (len(body) + fault.at)
            client.send(re.sub(rb"(?i)\r\ncontent-length: *\d+", length, answer) + body)
            raise Broken
        case Kind.FLIP:
            spoilt = bytearray(b"".join(blocks))
            if spoilt:
                spoilt[min(fault.at, len(spoilt) - 1)] ^= 0xFF
            client.send(answer + spoilt)
        case _:
            client.send(answer + b"".join(blocks))


def _go_on(client: Stream, head: bytes) -> None:
    """Tell a client that waits for it to send its body."""
    if re.search(rb"(?i)\r\nexpect: *100-continue", head):
        client.send(b"HTTP/1.1 100 Continue\r\n\r\n")


def _pass_on(client: Stream, server: Stream, head: bytes, *, most: int | None = None) -> None:
    """Send a request to the server, or the first bytes of its body."""
    _go_on(client, head)
    server.send(head)
    sent = 0
    for block in client.blocks(head):
        if most is not None and sent + len(block) >= most:
            server.send(block[: most - sent])
            return
        server.send(block)
        sent += len(block)


def _answer(fault: Fault) -> bytes:
    extra = "" if fault.retry_after_s is None else f"Retry-After: {fault.retry_after_s}\r\n"
    return f"HTTP/1.1 {fault.status} As Told\r\n{extra}Content-Length: 0\r\n\r\n".encode()


def main() -> None:
    """Serve for ever."""
    proxy = Proxy(int(sys.argv[2]))
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])), backlog=256)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=proxy.serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()
