"""By what right a Google bucket is asked: application default credentials, as gcloud finds them.

Those renew themselves. With `STORAGE_EMULATOR_HOST` and no credentials named, and where a store is
`anonymous`, nobody is asked for any.
"""

from __future__ import annotations

import os
from typing import Any

import google.auth
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import storage
from requests.adapters import HTTPAdapter

from vstorefs.model import StoreSpec
from vstorefs.stores.http_auth import unchanged

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_CONNECTIONS = 64


def client_of(spec: StoreSpec) -> storage.Client:
    """A client with many connections. Raises: google.auth's errors."""
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    endpoint = spec.endpoint or emulator
    named = "GOOGLE_APPLICATION_CREDENTIALS" in os.environ
    if spec.anonymous or (emulator and not named):
        credentials: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
        project = os.environ.get("GOOGLE_CLOUD_PROJECT")
    else:
        credentials, project = google.auth.default(scopes=[_SCOPE])
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    session.auth = unchanged
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=_CONNECTIONS)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    if spec.proxy is not None:
        session.proxies = {"http": spec.proxy, "https": spec.proxy}
    if spec.ca_bundle is not None:
        session.verify = spec.ca_bundle
    return storage.Client(
        project=project or "none",
        credentials=credentials,
        _http=session,
        client_options={"api_endpoint": endpoint} if endpoint else None,
    )
