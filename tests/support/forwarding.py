"""A proxy for http, as companies have them: it passes requests on and counts them by host."""

from __future__ import annotations

import contextlib
import http.client
import urllib.parse
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

_OF_A_HOP = {"connection", "proxy-connection", "keep-alive", "transfer-encoding"}


@dataclass
class Forwarder:
    """A running proxy, and how many requests it passed on to each host."""

    url: str = ""
    passed_on: Counter[str] = field(default_factory=Counter)


@contextlib.contextmanager
def forwarder() -> Iterator[Forwarder]:
    """A proxy on this machine."""
    found = Forwarder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            parts = urllib.parse.urlsplit(self.path)
            found.passed_on[parts.netloc] += 1
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            connection = http.client.HTTPConnection(parts.netloc, timeout=30)
            where = parts._replace(scheme="", netloc="").geturl()
            kept = {
                name: value for name, value in self.headers.items() if name.lower() not in _OF_A_HOP
            }
            connection.request(self.command, where, body, kept)
            answer = connection.getresponse()
            data = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in {*_OF_A_HOP, "content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
