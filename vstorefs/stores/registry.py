"""From a URL to the kind of store that serves it.

A kind's module, and with it its SDK, is imported when it is first used.
"""

from __future__ import annotations

import hashlib
import posixpath
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from vstorefs import errors
from vstorefs.model import StoreId, StoreSpec
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket

SCHEMES = ("file", "s3", "gs", "az", "swift", "http", "https")
_LISTING_SECONDS = {"file": 1.0}
_LONG_LISTING_SECONDS = 60.0
_ENDPOINTS = {
    "s3": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    "gs": ("STORAGE_EMULATOR_HOST",),
}
_AZURE_ACCOUNT = ("BlobEndpoint", "AccountName")
_SWIFT_ACCOUNT = (
    "OS_STORAGE_URL",
    "ST_AUTH",
    "ST_USER",
    "OS_AUTH_URL",
    "OS_PROJECT_NAME",
    "OS_PROJECT_ID",
)


@dataclass(frozen=True, slots=True)
class Settings:
    """How a project wants one of its stores; fields as in `model.StoreSpec`, None where the kind decides."""

    read_only: bool = False
    listing_seconds: float | None = None
    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False
    requester_pays: bool = False
    proxy: str | None = None
    ca_bundle: str | None = None
    concurrency: int | None = None
    files: tuple[tuple[str, str], ...] = ()


def resolve(
    alias: str,
    url: str,
    settings: Settings = Settings(),
    *,
    environ: Mapping[str, str],
) -> StoreSpec:
    """A store as a project names it, made whole.

    Raises: UsageError for a URL that names no store.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.username or parts.password:
        raise errors.UsageError(
            "a store's URL holds no credentials; put them where the provider's own tools look"
        )
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise errors.UsageError(
            f"{url!r} names no kind of store that vstorefs knows; a URL begins with one of {known}"
        )
    normal, endpoint = _normal(url, parts), None
    if is_object_store(normal):
        endpoint = settings.endpoint or _first(environ, *_ENDPOINTS.get(parts.scheme, ()))
    where = endpoint or _account(parts.scheme, environ) or _listed(settings.files)
    seconds = settings.listing_seconds
    if seconds is None:
        seconds = _LISTING_SECONDS.get(parts.scheme, _LONG_LISTING_SECONDS)
    spec = StoreSpec(
        identity(normal, where),
        alias,
        normal,
        settings.read_only,
        seconds,
        endpoint,
        settings.region,
        settings.anonymous,
        settings.requester_pays,
        settings.proxy,
        settings.ca_bundle,
        files=settings.files,
    )
    return spec if settings.concurrency is None else replace(spec, concurrency=settings.concurrency)


def _normal(url: str, parts: urllib.parse.SplitResult) -> str:
    if parts.scheme == "file":
        return _file_url(url, parts)
    if parts.scheme in {"http", "https"}:
        return _web_url(url, parts)
    return _bucket_url(url, parts)


def _account(scheme: str, environ: Mapping[str, str]) -> str | None:
    """What tells one provider's account from another where the URL does not. Never a secret."""
    if scheme == "az":
        pairs = (
            part.partition("=")
            for part in environ.get("AZURE_STORAGE_CONNECTION_STRING", "").split(";")
        )
        named = {name: value for name, _, value in pairs if name in _AZURE_ACCOUNT}
        found = [named[name] for name in _AZURE_ACCOUNT if name in named]
        return found[0] if found else environ.get("AZURE_STORAGE_ACCOUNT")
    if scheme == "swift":
        return " ".join(environ[name] for name in _SWIFT_ACCOUNT if environ.get(name))
    return None


def _listed(files: tuple[tuple[str, str], ...]) -> str | None:
    return "\0".join(sorted(f"{name}\0{url}" for name, url in files)) or None


def _first(environ: Mapping[str, str], *names: str) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def identity(url: str, where: str | None) -> StoreId:
    """A store's identity, the same for every alias; `where` is its endpoint or account, if the URL leaves it open."""
    return StoreId(hashlib.sha256(f"{url}\0{(where or '').rstrip('/')}".encode()).hexdigest()[:32])


def open_bucket(spec: StoreSpec) -> Bucket:
    """The bucket of a store whose kind is an object store. Raises: Denied without credentials."""
    # A kind's SDK takes up to a second to import: only who serves the kind pays for it.
    match scheme_of(spec.url):
        case "gs":
            from vstorefs.stores.gcs.store import GcsBucket  # noqa: PLC0415

            return GcsBucket(spec)
        case "az":
            from vstorefs.stores.azure.store import AzureBucket  # noqa: PLC0415

            return AzureBucket(spec)
        case "swift":
            from vstorefs.stores.swift.store import SwiftBucket  # noqa: PLC0415

            return SwiftBucket(spec)
        case _:
            from vstorefs.stores.s3.store import S3Bucket  # noqa: PLC0415

            return S3Bucket(spec)


def open_plain(spec: StoreSpec) -> Store:
    """A store whose kind is no object store, and so is a Store as it is."""
    if is_local(spec):
        from vstorefs.stores.local.store import LocalStore  # noqa: PLC0415

        return LocalStore(spec)
    from vstorefs.stores.web.store import WebStore  # noqa: PLC0415

    return WebStore(spec)


def scheme_of(url: str) -> str:
    """The kind of store that a URL names."""
    return url.partition(":")[0]


def is_local(spec: StoreSpec) -> bool:
    """Whether a store is a directory of this machine."""
    return scheme_of(spec.url) == "file"


def folder_of(spec: StoreSpec) -> Path:
    """The folder of a store that is one."""
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(spec.url).path))


def is_object_store(url: str) -> bool:
    """Whether a URL names a bucket or container."""
    return scheme_of(url) in {"s3", "gs", "az", "swift"}


def _web_url(url: str, parts: urllib.parse.SplitResult) -> str:
    if not parts.netloc:
        raise errors.UsageError(f"{url!r} names no host; write https://HOST/FOLDER/")
    if parts.query or parts.fragment:
        raise errors.UsageError(
            f"{url.partition('?')[0]} is given with a query, and a web root is a directory; single addresses go into "
            "a project file: files = { NAME = ADDRESS }"
        )
    path = parts.path if parts.path.endswith("/") else parts.path + "/"
    return f"{parts.scheme}://{parts.netloc}{urllib.parse.quote(path, safe='/%:@+,;=~!$&()*')}"


def _file_url(url: str, parts: urllib.parse.SplitResult) -> str:
    path = urllib.parse.unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path.startswith("/"):
        raise errors.UsageError(
            f"{url!r} is not an absolute directory; write file:///directory with three slashes"
        )
    return "file://" + urllib.parse.quote(posixpath.normpath("/" + path.lstrip("/")))


def _bucket_url(url: str, parts: urllib.parse.SplitResult) -> str:
    if not parts.netloc:
        raise errors.UsageError(
            f"{url!r} names no bucket; write {parts.scheme}://BUCKET or {parts.scheme}://BUCKET/PREFIX"
        )
    prefix = urllib.parse.unquote(parts.path).strip("/")
    return f"{parts.scheme}://{parts.netloc}" + (f"/{urllib.parse.quote(prefix)}" if prefix else "")
