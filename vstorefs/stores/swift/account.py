"""The way to a Swift account: where it is, by what right, and one connection for each thread.

Named as the `swift` command line names them: `ST_AUTH`, `ST_USER`, `ST_KEY` for version 1, `OS_*` for
Keystone. A token that has run out is renewed at once.
"""

from __future__ import annotations

import io
import os
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from swiftclient import client as swift

from vstorefs import errors
from vstorefs.model import StoreSpec
from vstorefs.stores.http_auth import unchanged

T = TypeVar("T")

_TIMEOUT_S = 20.0
_OPTIONS = {
    "tenant_id": ("OS_TENANT_ID", "OS_PROJECT_ID"),
    "tenant_name": ("OS_TENANT_NAME", "OS_PROJECT_NAME"),
    "project_domain_id": ("OS_PROJECT_DOMAIN_ID",),
    "project_domain_name": ("OS_PROJECT_DOMAIN_NAME",),
    "user_domain_id": ("OS_USER_DOMAIN_ID",),
    "user_domain_name": ("OS_USER_DOMAIN_NAME",),
    "user_id": ("OS_USER_ID",),
    "region_name": ("OS_REGION_NAME",),
    "service_type": ("OS_SERVICE_TYPE",),
    "endpoint_type": ("OS_ENDPOINT_TYPE",),
    "application_credential_id": ("OS_APPLICATION_CREDENTIAL_ID",),
    "application_credential_secret": ("OS_APPLICATION_CREDENTIAL_SECRET",),
    "auth_type": ("OS_AUTH_TYPE",),
}


class Account:
    """One account; safe to call from many threads."""

    def __init__(self, spec: StoreSpec) -> None:
        self._spec = spec
        self._lock = threading.Lock()
        self._here = threading.local()
        self._url = ""
        self._token = ""
        self._page: int | None = None
        if spec.anonymous:
            self._url = spec.endpoint or os.environ.get("OS_STORAGE_URL", "")
            if not self._url:
                raise errors.Denied(
                    "a public container needs the account's URL: endpoint in the project file or OS_STORAGE_URL",
                    store=spec.alias,
                    operation="open",
                )
        elif _first("ST_AUTH", "OS_AUTH_URL") is None:
            raise errors.Denied(
                "no account is named; set ST_AUTH, ST_USER and ST_KEY, or OS_AUTH_URL and the other OS_ names",
                store=spec.alias,
                operation="open",
            )

    def call(self, function: Callable[..., T], *arguments: Any, **options: Any) -> T:
        """Ask by one of swiftclient's functions; with a new token where the old one has run out.

        Contents that are a file are sent from where it stands, the second time too.
        """
        contents: Any = options.get("contents")
        begin = contents.tell() if isinstance(contents, io.IOBase) else None
        for is_last in (False, True):
            url, token = self._access()
            try:
                return function(url, token, *arguments, http_conn=self._connection(url), **options)
            except swift.ClientException as error:
                if error.http_status != 401 or is_last or self._spec.anonymous:
                    raise
                self._forget(token)
                if begin is not None:
                    contents.seek(begin)
        raise AssertionError

    def page(self) -> int:
        """How many rows a full page of a listing has here; 0 where the server does not tell."""
        if self._page is None:

            def ask(url: str, token: str, *, http_conn: Any) -> int:
                del token
                parts = urllib.parse.urlsplit(url)
                parsed = parts._replace(path="/info")
                told = swift.get_capabilities((parsed, http_conn[1]))
                return int(told["swift"]["container_listing_limit"])

            try:
                self._page = self.call(ask)
            except (swift.ClientException, KeyError, ValueError):
                self._page = 0
        return self._page

    def request(self, method: str, path: str, headers: Mapping[str, str], query: str) -> None:
        """Ask what swiftclient has no function for. Raises: ClientException."""

        def ask(url: str, token: str, *, http_conn: Any) -> None:
            parsed, connection = http_conn
            where = f"{parsed.path}/{urllib.parse.quote(path)}" + (f"?{query}" if query else "")
            connection.request(method, where, "", {**headers, "X-Auth-Token": token})
            answer = connection.getresponse()
            body = answer.read()
            if not 200 <= answer.status < 300:
                raise swift.ClientException.from_response(answer, f"{method} failed", body)

        self.call(ask)

    def close(self) -> None:
        """Connections end with their threads."""

    def _access(self) -> tuple[str, str]:
        with self._lock:
            if not self._url or not (self._token or self._spec.anonymous):
                url, self._token = swift.get_auth(
                    _first("ST_AUTH", "OS_AUTH_URL"),
                    _first("ST_USER", "OS_USERNAME"),
                    _first("ST_KEY", "OS_PASSWORD"),
                    auth_version=_auth_version(),
                    os_options={
                        name: found
                        for name, places in _OPTIONS.items()
                        if (found := _first(*places)) is not None
                    },
                    cacert=self._spec.ca_bundle or os.environ.get("OS_CACERT"),
                    timeout=_TIMEOUT_S,
                )
                self._url = self._spec.endpoint or os.environ.get("OS_STORAGE_URL") or url
            return self._url, self._token

    def _forget(self, token: str) -> None:
        with self._lock:
            if self._token == token:
                self._token = ""

    def _connection(self, url: str) -> Any:
        if getattr(self._here, "url", None) != url:
            self._here.connection = swift.http_connection(
                url,
                proxy=self._spec.proxy,
                cacert=self._spec.ca_bundle or os.environ.get("OS_CACERT"),
                timeout=_TIMEOUT_S,
            )
            connection = self._here.connection[1]
            # The token would go along to wherever the server says; and netrc is not where Swift's own tools look.
            connection.requests_args["allow_redirects"] = False
            connection.request_session.auth = unchanged
            self._here.url = url
        return self._here.connection


def _auth_version() -> str:
    if "ST_AUTH" in os.environ and "OS_AUTH_URL" not in os.environ:
        return os.environ.get("ST_AUTH_VERSION", "1.0")
    return os.environ.get("OS_IDENTITY_API_VERSION") or os.environ.get("OS_AUTH_VERSION", "3")


def _first(*names: str) -> str | None:
    return next((os.environ[name] for name in names if os.environ.get(name)), None)
