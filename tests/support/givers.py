"""Givers of credentials, as clouds have them: a role's keys, a machine's token, a sign-in to Keystone."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import requests

from tests.support.swiftserver import SwiftServer


@dataclass
class Asked:
    """One question to a giver."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Said:
    """Its answer."""

    found: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Giver:
    """A running one; `given` is how often it gave something."""

    port: int = 0
    given: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def giver(answer: Callable[[Asked], Said]) -> Iterator[Giver]:
    """A giver of credentials that answers so."""
    found = Giver()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"null")
            headers = {name.lower(): value for name, value in self.headers.items()}
            said = answer(Asked(self.command, self.path, headers, body))
            found.given += said.status < 300
            data = said.found if isinstance(said.found, bytes) else json.dumps(said.found).encode()
            self.send_response(said.status)
            kind = {"Content-Type": "application/json", "Content-Length": str(len(data))}
            for name, value in (kind | said.headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()


def keys_of_aws(access: str, secret: str, seconds: float = 60) -> dict[str, Any]:
    """Keys as AWS gives them to a role, for a short time."""
    until = datetime.now(UTC) + timedelta(seconds=seconds)
    return {
        "Version": 1,
        "AccessKeyId": access,
        "SecretAccessKey": secret,
        "Token": "",
        "Expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def identity_of_azure(secret: str, seconds: float) -> Callable[[Asked], Said]:
    """A managed identity, as an App Service has it: tokens for who knows the header's secret."""

    def answer(asked: Asked) -> Said:
        if (
            asked.headers.get("x-identity-header") != secret
            or "storage.azure.com" not in asked.path
        ):
            return Said({"error": "unauthorized"}, 401)
        now = int(time.time())
        claims = {
            "aud": "https://storage.azure.com",
            "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
            "iat": now - 5,
            "nbf": now - 5,
            "exp": now + seconds,
            "jti": now,
        }
        token = ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "none", "typ": "JWT"}, claims, "signature")
        )
        return Said(
            {
                "access_token": token,
                "expires_on": str(now + int(seconds)),
                "resource": "https://storage.azure.com",
                "token_type": "Bearer",
            }
        )

    return answer


def machine_of_google(token: Callable[[], str]) -> Callable[[Asked], Said]:
    """The metadata server of a machine in Google's cloud, with a service account's tokens."""

    def answer(asked: Asked) -> Said:
        flavor = {"Metadata-Flavor": "Google"}
        path = asked.path.partition("?")[0].rstrip("/")
        plain = {"Content-Type": "text/plain", **flavor}
        match path.removeprefix("/computeMetadata/v1"):
            case "" | "/instance":
                return Said({}, headers=flavor)
            case "/project/project-id":
                return Said(b"test", headers=plain)
            case "/universe/universe-domain":
                return Said(b"googleapis.com", headers=plain)
            case "/instance/service-accounts/default" | "/instance/service-accounts/x@example.org":
                account = {"email": "x@example.org", "scopes": [], "aliases": ["default"]}
                return Said(account, headers=flavor)
            case found if found.endswith("/token"):
                given = {"access_token": token(), "expires_in": 3600, "token_type": "Bearer"}
                return Said(given, headers=flavor)
            case _:
                return Said({}, 404, flavor)

    return answer


def keystone(server: SwiftServer, password: str, seconds: float = 3600) -> Callable[[Asked], Said]:
    """Keystone, version 3, before a Swift with an older way in: for one user of one project."""

    def is_right(identity: dict[str, Any], scope: dict[str, Any]) -> bool:
        user = identity.get("password", {}).get("user", {})
        by_password = user.get("password") == password and user.get("name") == "analyst"
        in_project = scope.get("project", {}).get("name") == "mnist"
        given = identity.get("application_credential", {})
        return (by_password and in_project) or (
            given.get("id") == "app-1" and given.get("secret") == password
        )

    def answer(asked: Asked) -> Said:
        if asked.method != "POST" or asked.path != "/v3/auth/tokens":
            return Said({"version": {"id": "v3.14", "status": "stable", "links": []}})
        auth = asked.body["auth"]
        if not is_right(auth["identity"], auth.get("scope", {})):
            return Said({"error": {"code": 401, "message": "no", "title": "Unauthorized"}}, 401)
        own = {"X-Auth-User": server.user, "X-Auth-Key": server.key}
        let_in = requests.get(server.env["ST_AUTH"], headers=own, timeout=20)
        endpoint = {
            "interface": "public",
            "region": "RegionOne",
            "region_id": "RegionOne",
            "url": let_in.headers["X-Storage-Url"],
            "id": "e",
        }
        until = datetime.now(UTC) + timedelta(seconds=seconds)
        token = {
            "methods": ["password"],
            "expires_at": until.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "issued_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "user": {"id": "u", "name": "analyst", "domain": {"id": "default", "name": "Default"}},
            "project": {
                "id": "p",
                "name": "mnist",
                "domain": {"id": "default", "name": "Default"},
            },
            "roles": [],
            "catalog": [
                {"type": "object-store", "name": "swift", "id": "s", "endpoints": [endpoint]}
            ],
        }
        return Said({"token": token}, 201, {"X-Subject-Token": let_in.headers["X-Auth-Token"]})

    return answer
