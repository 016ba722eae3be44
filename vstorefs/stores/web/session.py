"""How web addresses are asked: connections, credentials from netrc, and errors in the family's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_netrc_auth

from vstorefs import errors
from vstorefs.model import StoreSpec
from vstorefs.stores.http_auth import unchanged
from vstorefs.stores.http_errors import no_answer

_CONNECTIONS = 64
_TIMES = (5, 20)
_BEARER = "bearer"


class _FromNetrc(AuthBase):
    """Name and password that `~/.netrc` has for a host; with the name `bearer`, the password is a token."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        found = get_netrc_auth(request.url or "")
        if found is None:
            return request
        name, secret = found
        if name == _BEARER:
            request.headers["Authorization"] = f"Bearer {secret}"
            return request
        signed: requests.PreparedRequest = HTTPBasicAuth(name, secret)(request)
        return signed


class _Session(requests.Session):
    """Takes no credentials to another host that a server names: neither its own, nor what netrc has for that one."""

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """See `requests`; asked before a redirect is followed."""
        urls = response.request.url, prepared_request.url
        if self.should_strip_auth(*urls):  # type: ignore[no-untyped-call]
            prepared_request.headers.pop("Authorization", None)


class _Adapter(HTTPAdapter):
    """Waits for a bounded time, and asks through the proxy of the store, if it has one."""

    def __init__(self, proxy: str | None) -> None:
        super().__init__(pool_connections=4, pool_maxsize=_CONNECTIONS)
        self._proxies = {"http": proxy, "https": proxy} if proxy is not None else None

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        """Send, as `HTTPAdapter` does."""
        options["timeout"] = options.get("timeout") or _TIMES
        if self._proxies is not None:
            options["proxies"] = self._proxies
        return super().send(request, **options)


def open_session(spec: StoreSpec) -> requests.Session:
    """A session that keeps connections. What comes is asked for unpacked: a file's own bytes."""
    session = _Session()
    session.headers["Accept-Encoding"] = "identity"
    session.auth = unchanged if spec.anonymous else _FromNetrc()
    if spec.ca_bundle is not None:
        session.verify = spec.ca_bundle
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter(spec.proxy))
    return session


@contextmanager
def translated(alias: str, key: str, operation: str) -> Iterator[None]:
    """Raise the family's errors instead of those of `requests`."""
    try:
        yield
    except requests.TooManyRedirects as error:
        raise errors.NotFound(
            "the address redirects in a loop", store=alias, key=key, operation=operation
        ) from error
    except (requests.exceptions.InvalidURL, requests.exceptions.InvalidSchema) as error:
        raise errors.NotFound(
            "the server redirects to an invalid address", store=alias, key=key, operation=operation
        ) from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise errors.Unavailable(
            "the server ended the content early", store=alias, key=key, operation=operation
        ) from error
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise no_answer(error, alias, key, operation, address="address") from error
