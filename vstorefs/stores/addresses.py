"""What names a store: its URL in one spelling, and the account where the URL leaves it open. Pure.

Whatever a kind needs beyond these belongs into its own directory; here is what has to be known before
its SDK is imported.
"""

from __future__ import annotations

import hashlib
import posixpath
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from vstorefs import errors
from vstorefs.model import StoreId

_AZURE_ACCOUNT = ("BlobEndpoint", "AccountName")
_SWIFT_ACCOUNT = (
    "OS_STORAGE_URL",
    "ST_AUTH",
    "ST_USER",
    "OS_AUTH_URL",
    "OS_PROJECT_NAME",
    "OS_PROJECT_ID",
)


def identity(
    url: str, where: str | None, *, proxy: str | None = None, ca_bundle: str | None = None
) -> StoreId:
    """A store's identity, the same for every alias; `where` is its endpoint or account, if the URL leaves it open.

    A proxy or certificates of its own are a way that may lead elsewhere, so what comes by it is another store's. A
    store without them keeps the identity that it always had.
    """
    named = [url, (where or "").rstrip("/")]
    if proxy is not None or ca_bundle is not None:
        named += [(proxy or "").rstrip("/"), ca_bundle or ""]
    return StoreId(hashlib.sha256("\0".join(named).encode()).hexdigest()[:32])


# --- one spelling for one store; each raises UsageError for a URL that names none


def bucket_url(url: str, parts: urllib.parse.SplitResult) -> str:
    """SCHEME://BUCKET, and a prefix without slashes around it."""
    if not parts.netloc:
        raise errors.UsageError(
            f"{url!r} names no bucket; write {parts.scheme}://BUCKET or {parts.scheme}://BUCKET/PREFIX"
        )
    prefix = urllib.parse.unquote(parts.path).strip("/")
    return f"{parts.scheme}://{parts.netloc}" + (f"/{urllib.parse.quote(prefix)}" if prefix else "")


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """The bucket that a URL of this spelling names, and what every name in it begins with: empty, or with a slash."""
    parts = urllib.parse.urlsplit(url)
    prefix = urllib.parse.unquote(parts.path).strip("/")
    return parts.netloc, f"{prefix}/" if prefix else ""


def folder_url(url: str, parts: urllib.parse.SplitResult) -> str:
    """file:///DIRECTORY, without a slash at its end."""
    path = urllib.parse.unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path.startswith("/"):
        raise errors.UsageError(
            f"{url!r} is not an absolute directory; write file:///directory with three slashes"
        )
    return "file://" + urllib.parse.quote(posixpath.normpath("/" + path.lstrip("/")))


def folder_path(url: str) -> Path:
    """The directory that a URL of this spelling names."""
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path))


def web_url(url: str, parts: urllib.parse.SplitResult) -> str:
    """SCHEME://HOST/DIRECTORY/, with a slash at its end."""
    if not parts.netloc:
        raise errors.UsageError(f"{url!r} names no host; write https://HOST/DIRECTORY/")
    if parts.query or parts.fragment:
        raise errors.UsageError(
            f"{url.partition('?')[0]} is given with a query, and a web root is a directory; single addresses go into "
            "a project file: files = { NAME = ADDRESS }"
        )
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return f"{parts.scheme}://{parts.netloc}{urllib.parse.quote(path, safe='/%:@+,;=~!$&()*')}"


# --- what tells one account of a provider from another; never a secret


def no_account(environ: Mapping[str, str]) -> str | None:
    """Where a URL says all."""
    del environ
    return None


def azure_account(environ: Mapping[str, str]) -> str | None:
    """The endpoint or account of the connection string, else the account's name."""
    pairs = (
        part.partition("=")
        for part in environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";")
    )
    named = {name: value for name, _, value in pairs if name in _AZURE_ACCOUNT}
    found = [named[name] for name in _AZURE_ACCOUNT if name in named]
    return found[0] if found else environ.get("AZURE_STORAGE_ACCOUNT")


def swift_account(environ: Mapping[str, str]) -> str | None:
    """Everything that names one, together."""
    return " ".join(environ[name] for name in _SWIFT_ACCOUNT if environ.get(name))
