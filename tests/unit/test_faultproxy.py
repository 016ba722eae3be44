"""The proxy of faults does what it is told, to the requests that it is told of, and to no others."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.support.faultproxy import Fault, FaultProxy, Kind, faulty

BODY = b"0123456789"


class Server(BaseHTTPRequestHandler):
    """Gives ten bytes, and takes what it is sent."""

    protocol_version = "HTTP/1.1"
    taken: list[bytes] = []  # noqa: RUF012 — one for all requests of this module

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def do_PUT(self) -> None:
        self.taken.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[FaultProxy]:
    Server.taken.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    Thread(target=server.serve_forever, daemon=True).start()
    with faulty(server.server_port, tmp_path) as found:
        yield found
    server.shutdown()
    server.server_close()


def ask(proxy: FaultProxy, method: str = "GET", path: str = "/a", body: bytes | None = None) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        connection.request(method, path, body)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def test_everything_else_passes(proxy: FaultProxy) -> None:
    proxy.add(Fault("PUT", "a$", Kind.REFUSE, times=9))
    assert ask(proxy)[2] == ask(proxy, "PUT", "/b", b"body")[2] == BODY
    assert (proxy.hits("GET", "a"), proxy.hits("PUT", "b"), proxy.hits("PUT", "a")) == (1, 1, 0)


def test_a_fault_happens_to_the_nth_request_so_often(proxy: FaultProxy) -> None:
    fault = Fault("GET", "a", Kind.ANSWER, status=429, retry_after_s=7, after=1, times=2)
    proxy.add(fault)
    answers = [ask(proxy) for _ in range(4)]
    assert [status for status, _, _ in answers] == [200, 429, 429, 200]
    assert answers[1][1]["Retry-After"] == "7"
    assert proxy.happened() == 2


def test_a_refused_request_and_one_that_is_cut_do_not_reach_the_server(proxy: FaultProxy) -> None:
    proxy.add(Fault("PUT", "a", Kind.REFUSE))
    proxy.add(Fault("PUT", "a", Kind.CUT_REQUEST, at=2))
    for _ in range(2):
        with pytest.raises((OSError, http.client.HTTPException)):
            ask(proxy, "PUT", "/a", b"body")
    assert ask(proxy, "PUT", "/a", b"whole")[0] == 200
    assert b"body" not in Server.taken


def test_a_lost_answer_has_happened(proxy: FaultProxy) -> None:
    proxy.add(Fault("PUT", "a", Kind.LOST))
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(proxy, "PUT", "/a", b"body")
    assert Server.taken == [b"body"]


@pytest.mark.parametrize("kind", [Kind.CUT_ANSWER, Kind.LENGTH])
def test_an_answer_that_ends_too_early(proxy: FaultProxy, kind: Kind) -> None:
    proxy.add(Fault("GET", "a", kind, at=4))
    with pytest.raises((OSError, http.client.HTTPException)):
        ask(proxy)


def test_an_answer_that_says_less_than_it_has(proxy: FaultProxy) -> None:
    proxy.add(Fault("GET", "a", Kind.LENGTH, at=-4))
    assert ask(proxy)[2] == BODY[:-4]


def test_a_byte_that_is_another_one(proxy: FaultProxy) -> None:
    proxy.add(Fault("GET", "a", Kind.FLIP, at=3))
    assert ask(proxy)[2] == b"012\xcc456789"
    assert ask(proxy)[2] == BODY


@pytest.mark.parametrize("kind", [Kind.STALL, Kind.LATE])
def test_what_is_held_up_goes_on_when_the_faults_are_cleared(proxy: FaultProxy, kind: Kind) -> None:
    proxy.add(Fault("GET", "a", kind))
    found: list[Any] = []
    asking = Thread(target=lambda: found.append(ask(proxy)))
    asking.start()
    while not proxy.hits("GET", "a"):
        time.sleep(0.01)
    assert not found
    proxy.clear()
    asking.join(20)
    assert found[0][2] == BODY
