"""Who may use the page: the person who started it, in a browser on this machine, and no other site.

The address that is printed holds a token that works once: it is exchanged for a cookie, and the browser is sent on to
an address without it. Each request is checked, in this order: it names this server as its host (a site whose name was
made to point here is refused), it comes from no other site's page, it only reads, and it carries the cookie. Answers
forbid scripts, frames, and whatever does not come from here.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HOST = "127.0.0.1"
ENTRY = "/enter"
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}


class Door:
    """The token for the next browser, and the cookie of those that came in. Safe from many threads.

    `on_new_token` is told the address with each new token.
    """

    def __init__(self, port: int, on_new_token: Callable[[str], None]) -> None:
        self.cookie = f"vstorefs-{port}"
        self._port = port
        self._on_new_token = on_new_token
        self._secret = secrets.token_urlsafe(32)
        self._token = secrets.token_urlsafe(32)
        self._lock = threading.Lock()

    @property
    def address(self) -> str:
        """Where the next browser comes in."""
        return f"http://{HOST}:{self._port}{ENTRY}?token={self._token}"

    def hosts(self) -> tuple[str, ...]:
        """What a browser may call this server."""
        return f"{HOST}:{self._port}", f"localhost:{self._port}"

    def exchange(self, token: str) -> bool:
        """Whether this is the token; it never is again."""
        with self._lock:
            if not _equal(token, self._token):
                return False
            self._token = secrets.token_urlsafe(32)
        self._on_new_token(self.address)
        return True

    def knows(self, request: Request) -> bool:
        """Whether a request carries the cookie."""
        return _equal(request.cookies.get(self.cookie, ""), self._secret)

    def let_in(self, response: Response) -> None:
        """Give a browser the cookie."""
        response.set_cookie(self.cookie, self._secret, httponly=True, samesite="strict", path="/")


class Guard:
    """Stands before the whole application."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app = app
        self._door = door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(Request(scope))
        await (refusal or self._app)(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> Response | None:
        if not self._is_for_us(request.headers):
            return _refuse(421, "wrong host; use the URL that `vstorefs ui` printed")
        origin = request.headers.get("origin")
        if origin is not None and origin not in {f"http://{one}" for one in self._door.hosts()}:
            return _refuse(403, "cross-origin requests are not allowed")
        if request.method not in {"GET", "HEAD"}:
            return _refuse(405, "method not allowed; this server is read-only")
        if request.url.path == ENTRY and request.method == "GET":
            return None
        if not self._door.knows(request):
            return _refuse(
                403, "not signed in; open the URL that `vstorefs ui` printed in its terminal"
            )
        return None

    def _is_for_us(self, headers: Headers) -> bool:
        named = headers.getlist("host")
        return len(named) == 1 and named[0].lower() in self._door.hosts()


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"vstorefs: {why}\n", status)


def _equal(given: str, secret: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), secret.encode())
