"""The kinds of store, a row each: from a URL to what serves it.

What depends on a kind stands in its row, and nobody outside asks for a scheme. A kind's module, and
with it its SDK, is imported when it is first used. docs/how-to/add-a-kind-of-store.md tells how a row is
added.
"""

from __future__ import annotations

import importlib
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, cast

from vstorefs import errors
from vstorefs.model import StoreSpec
from vstorefs.stores import addresses
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Bucket


class Form(Enum):
    """What a kind is to the rest of vstorefs."""

    BUCKET = "bucket"
    """A `bucket.Bucket`, which becomes a Store by one of the layouts."""
    FOLDER = "folder"
    """A `base.Store` that keeps versions itself, in a directory of this machine."""
    SITE = "site"
    """A `base.Store` that can only be read."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of store.

    `opens` gives a Bucket where `form` is BUCKET, else a Store; it raises Denied without credentials.
    `normalise` gives the one spelling of a URL (and of its parts), or raises UsageError. `endpoints` are
    names in the environment where the provider's own tools look for a server that is not the usual one,
    the first counts; `account` finds there what tells one account from another where the URL does not.
    `listing_seconds` is how long a listing lives, unless the project says.
    """

    schemes: tuple[str, ...]
    form: Form
    opens: Callable[[StoreSpec], Any]
    normalise: Callable[[str, urllib.parse.SplitResult], str]
    endpoints: tuple[str, ...] = ()
    account: Callable[[Mapping[str, str]], str | None] = addresses.no_account
    listing_seconds: float = 60.0


def _first_used(module: str, name: str) -> Callable[[StoreSpec], Any]:
    """A class of a kind's module: an SDK takes up to a second to import, and only who serves its kind pays for it."""

    def opens(spec: StoreSpec) -> Any:
        return getattr(importlib.import_module(f"vstorefs.stores.{module}"), name)(spec)

    return opens


_ROWS = (
    Kind(
        ("file",),
        Form.FOLDER,
        _first_used("local.store", "LocalStore"),
        addresses.folder_url,
        listing_seconds=1.0,
    ),
    Kind(
        ("s3",),
        Form.BUCKET,
        _first_used("s3.store", "S3Bucket"),
        addresses.bucket_url,
        endpoints=("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"),
    ),
    Kind(
        ("gs",),
        Form.BUCKET,
        _first_used("gcs.store", "GcsBucket"),
        addresses.bucket_url,
        endpoints=("STORAGE_EMULATOR_HOST",),
    ),
    Kind(
        ("az",),
        Form.BUCKET,
        _first_used("azure.store", "AzureBucket"),
        addresses.bucket_url,
        account=addresses.azure_account,
    ),
    Kind(
        ("swift",),
        Form.BUCKET,
        _first_used("swift.store", "SwiftBucket"),
        addresses.bucket_url,
        account=addresses.swift_account,
    ),
    Kind(
        ("http", "https"),
        Form.SITE,
        _first_used("web.store", "WebStore"),
        addresses.web_url,
    ),
)
KINDS: dict[str, Kind] = {scheme: kind for kind in _ROWS for scheme in kind.schemes}
"""By scheme. A test run may add a kind of its own for a while; users are told of those in SCHEMES alone."""
SCHEMES = tuple(KINDS)


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
    try:
        parts = urllib.parse.urlsplit(url)
    except ValueError as error:
        raise errors.UsageError(f"{url!r} is not an address: {error}") from error
    if parts.username or parts.password:
        raise errors.UsageError(
            "a store's URL holds no credentials; put them where the provider's own tools look"
        )
    kind = KINDS.get(parts.scheme)
    if kind is None:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise errors.UsageError(
            f"{url!r} names no kind of store that vstorefs knows; a URL begins with one of {known}"
        )
    normal, endpoint = kind.normalise(url, parts), None
    if kind.form is Form.BUCKET:
        endpoint = settings.endpoint or _first(environ, kind.endpoints)
    where = endpoint or kind.account(environ) or _listed(settings.files)
    seconds = settings.listing_seconds
    spec = StoreSpec(
        addresses.identity(normal, where, proxy=settings.proxy, ca_bundle=settings.ca_bundle),
        alias,
        normal,
        settings.read_only,
        kind.listing_seconds if seconds is None else seconds,
        endpoint,
        settings.region,
        settings.anonymous,
        settings.requester_pays,
        settings.proxy,
        settings.ca_bundle,
        files=settings.files,
    )
    return spec if settings.concurrency is None else replace(spec, concurrency=settings.concurrency)


def _listed(files: tuple[tuple[str, str], ...]) -> str | None:
    return "\0".join(sorted(f"{name}\0{url}" for name, url in files)) or None


def _first(environ: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((environ[name] for name in names if environ.get(name)), None)


def kind_of(url: str) -> Kind:
    """The kind of a store that can be resolved."""
    return KINDS[url.partition(":")[0].lower()]


def open_bucket(spec: StoreSpec) -> Bucket:
    """The bucket of a store whose kind is an object store. Raises: Denied without credentials."""
    return cast("Bucket", kind_of(spec.url).opens(spec))


def open_plain(spec: StoreSpec) -> Store:
    """A store whose kind is no object store, and so is a Store as it is."""
    return cast("Store", kind_of(spec.url).opens(spec))


def is_object_store(url: str) -> bool:
    """Whether a URL names a bucket or container."""
    return kind_of(url).form is Form.BUCKET


def is_local(spec: StoreSpec) -> bool:
    """Whether a store is a directory of this machine."""
    return kind_of(spec.url).form is Form.FOLDER


def folder_of(spec: StoreSpec) -> Path:
    """The directory of a store that is one."""
    return addresses.folder_path(spec.url)


def only_read(url: str) -> bool:
    """Whether a URL names what can be read alone, by its nature."""
    return kind_of(url).form is Form.SITE
