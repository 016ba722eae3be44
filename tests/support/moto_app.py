"""moto's S3 behind a lock, as a process of its own: `python -m tests.support.moto_app PORT [careless]`.

`careless` makes it a server that accepts "only if absent" and ignores it. A bucket's name says what credentials
may not do there: `createonly-` neither delete nor overwrite, `nolist-` not list, `noask-` not ask about versioning.
Objects of `bycustomer-` are encrypted with a key that nobody sends, those of `bykms-` with one that was turned off.
`locked-` takes, as S3 does with object lock, no object without a checksum. `elsewhere-` is in the region eu-north-1.

Real S3 is atomic for conditional writes and moto is not, so writes go one after the other, each
with its whole body read first. Below /__control__/: GET counts tells the requests so far; PUT
fail?n=3 answers the next three with 503; PUT lose?n=1 does the next write and drops its answer; PUT
stall makes all requests wait until DELETE stall; PUT expired/KEY ends the session of an access key, until DELETE of
the same (to a HEAD that is a mere 400, as to S3's); PUT busy/BUCKET/KEY answers all writes of that key with 503 until
DELETE of the same.
"""

from __future__ import annotations

import io
import json
import socket
import sys
import tempfile
import threading
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, run_simple

Environ = dict[str, Any]
Start = Callable[..., Any]

_BY_CUSTOMER = (
    b"<Error><Code>InvalidRequest</Code><Message>The object was stored using a form of Server Side Encryption. "
    b"The correct parameters must be provided to retrieve the object.</Message></Error>"
)
_BY_KMS = (
    b"<Error><Code>KMS.DisabledException</Code><Message>the key is disabled.</Message></Error>"
)
_NO_CHECKSUM = (
    b"<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP header is required for Put "
    b"Object requests with Object Lock parameters</Message></Error>"
)
_ELSEWHERE = "eu-north-1"
_MOVED = b"<Error><Code>PermanentRedirect</Code><Message>another region</Message></Error>"
_RAN_OUT = (
    b"<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"
)
_DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


class Handler(WSGIRequestHandler):
    """Keeps connections alive, logs nothing."""

    protocol_version = "HTTP/1.1"

    def log(self, *_: object) -> None:
        """Nothing."""


class Server:
    """The application around moto."""

    def __init__(self, *, careless: bool) -> None:
        self._careless = careless
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._fail = self._lose = 0
        self._open = threading.Event()
        self._open.set()
        self._busy: set[str] = set()
        self._expired: set[str] = set()

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path.startswith("/__control__/"):
            return self._control(environ, start, path.removeprefix("/__control__/"))
        method = environ["REQUEST_METHOD"]
        self._counts[method] += 1
        self._counts[f"{method} {path}"] += 1
        self._open.wait()
        if self._fail > 0:
            self._fail -= 1
            start("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        if method not in {"GET", "HEAD"} and path in self._busy:
            return _say(start, "503 Slow Down", b"")
        signed = environ.get("HTTP_AUTHORIZATION", "")
        if any(f"Credential={key}/" in signed for key in self._expired):
            return _say(start, "400 Bad Request", b"" if method == "HEAD" else _RAN_OUT)
        refusal = _refusal(environ, path)
        if refusal is not None:
            return _say(start, *refusal)
        if method in {"GET", "HEAD"}:
            return self._moto(environ, start)
        self._read_body(environ)
        if self._careless:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with self._lock:
            if (
                path.startswith("/createonly-")
                and path.count("/") > 1
                and self._takes_away(environ)
            ):
                return _say(start, "403 Forbidden", _DENIED)
            body = list(self._moto(environ, start))
        if self._lose > 0:
            self._lose -= 1
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return body

    def _takes_away(self, environ: Environ) -> bool:
        """Whether a request deletes or overwrites. With a condition that refuses it, the server says so itself."""
        if environ["REQUEST_METHOD"] == "DELETE":
            return True
        if (
            environ["REQUEST_METHOD"] != "PUT"
            or environ["QUERY_STRING"]
            or "HTTP_IF_NONE_MATCH" in environ
        ):
            return False
        status: list[str] = []
        asked = {
            **environ,
            "REQUEST_METHOD": "HEAD",
            "wsgi.input": io.BytesIO(),
            "CONTENT_LENGTH": "0",
        }
        list(self._moto(asked, lambda code, _headers, *_: status.append(code)))
        return status[0].startswith("200")

    def _read_body(self, environ: Environ) -> None:
        spool = tempfile.SpooledTemporaryFile(1 << 24)  # noqa: SIM115
        source = environ["wsgi.input"]
        if environ.get("wsgi.input_terminated"):
            while block := source.read(1 << 20):
                spool.write(block)
        else:
            left = int(environ.get("CONTENT_LENGTH") or 0)
            while left and (block := source.read(min(left, 1 << 20))):
                spool.write(block)
                left -= len(block)
        environ["CONTENT_LENGTH"] = str(spool.tell())
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        spool.seek(0)
        environ["wsgi.input"] = spool

    def _control(self, environ: Environ, start: Start, what: str) -> Iterable[bytes]:
        number = int(urllib.parse.parse_qs(environ["QUERY_STRING"]).get("n", ["0"])[0])
        if what == "fail":
            self._fail = number
        elif what == "lose":
            self._lose = number
        elif what == "stall":
            (self._open.clear if environ["REQUEST_METHOD"] == "PUT" else self._open.set)()
        elif what.startswith(("busy/", "expired/")):
            kind, _, name = what.partition("/")
            chosen, one = (self._busy, f"/{name}") if kind == "busy" else (self._expired, name)
            (chosen.add if environ["REQUEST_METHOD"] == "PUT" else chosen.discard)(one)
        body = json.dumps(dict(self._counts)).encode()
        start("200 OK", [("Content-Length", str(len(body)))])
        return [body]


def _say(start: Start, status: str, body: bytes, *headers: tuple[str, str]) -> list[bytes]:
    start(status, [("Content-Length", str(len(body))), *headers])
    return [body]


def _refusal(environ: Environ, path: str) -> tuple[str, bytes, tuple[str, str]] | None:
    """What this kind of bucket says to a request, if it does not take it; with the region that it is in."""
    where = ("x-amz-bucket-region", _ELSEWHERE)
    if path.startswith("/elsewhere-") and _ELSEWHERE not in environ.get("HTTP_AUTHORIZATION", ""):
        return "301 Moved Permanently", _MOVED, where
    if _is_forbidden(environ, path):
        return "403 Forbidden", _DENIED, where
    if path.startswith("/locked-") and _is_unchecked(environ, path):
        return "400 Bad Request", _NO_CHECKSUM, where
    is_content = environ["REQUEST_METHOD"] == "GET" and "/.vstorefs/" not in path
    if not is_content or not path.strip("/").partition("/")[2]:
        return None
    if path.startswith("/bycustomer-"):
        return "400 Bad Request", _BY_CUSTOMER, where
    return ("400 Bad Request", _BY_KMS, where) if path.startswith("/bykms-") else None


def _is_unchecked(environ: Environ, path: str) -> bool:
    """Whether a request puts an object and says no checksum of it."""
    if environ["REQUEST_METHOD"] != "PUT" or not path.strip("/").partition("/")[2]:
        return False
    checked = "HTTP_CONTENT_MD5" in environ or any("AMZ_CHECKSUM" in name for name in environ)
    return not (environ["QUERY_STRING"] or checked or "HTTP_X_AMZ_COPY_SOURCE" in environ)


def _is_forbidden(environ: Environ, path: str) -> bool:
    """Whether a request only looks, and may not."""
    if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
        return False
    query = environ["QUERY_STRING"]
    if path.startswith("/nolist-"):
        return "list-type" in query
    return path.startswith("/noask-") and query.startswith("versioning")


if __name__ == "__main__":
    application = Server(careless="careless" in sys.argv[2:])
    run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True, request_handler=Handler)
