"""From a URL to the kind of store that serves it.

A kind's module, and with it its SDK, is imported when it is first used.
"""

from __future__ import annotations

import hashlib
import posixpath
import urllib.parse
from collections.abc import Mapping

from vstorefs import errors
from vstorefs.model import StoreId, StoreSpec
from vstorefs.stores.bucket import Bucket

SCHEMES = ("file", "s3")
_LISTING_SECONDS = {"file": 1.0, "s3": 60.0}


def resolve(
    alias: str,
    url: str,
    *,
    read_only: bool = False,
    listing_seconds: float | None = None,
    endpoint: str | None = None,
    region: str | None = None,
    environ: Mapping[str, str],
) -> StoreSpec:
    """A store as a project names it, made whole.

    Raises: UsageError for a URL that names no store.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in SCHEMES:
        known = ", ".join(f"{scheme}://" for scheme in SCHEMES)
        raise errors.UsageError(
            f"{url!r} names no kind of store that vstorefs knows; a URL begins with one of {known}"
        )
    if parts.username or parts.password:
        raise errors.UsageError(
            "a store's URL holds no credentials; put them where the provider's own tools look"
        )
    if parts.scheme == "file":
        normal = _file_url(url, parts)
        endpoint = None
    else:
        normal = _bucket_url(url, parts)
        endpoint = (
            endpoint
            or environ.get("AWS_ENDPOINT_URL_S3")
            or environ.get("AWS_ENDPOINT_URL")
            or None
        )
    seconds = _LISTING_SECONDS[parts.scheme] if listing_seconds is None else listing_seconds
    return StoreSpec(
        identity(normal, endpoint), alias, normal, read_only, seconds, endpoint, region
    )


def identity(url: str, endpoint: str | None) -> StoreId:
    """A store's identity: the same for every alias of it."""
    return StoreId(
        hashlib.sha256(f"{url}\0{(endpoint or '').rstrip('/')}".encode()).hexdigest()[:32]
    )


def open_bucket(spec: StoreSpec) -> Bucket:
    """The bucket of a store whose kind is an object store. Raises: Denied without credentials."""
    from vstorefs.stores.s3 import S3Bucket  # noqa: PLC0415 — boto3 takes half a second to import

    return S3Bucket(spec)


def is_local(spec: StoreSpec) -> bool:
    """Whether a store is a directory of this machine."""
    return spec.url.startswith("file:")


def _file_url(url: str, parts: urllib.parse.SplitResult) -> str:
    path = urllib.parse.unquote(parts.path)
    if parts.netloc not in {"", "localhost"} or not path.startswith("/"):
        raise errors.UsageError(
            f"{url!r} is not an absolute folder; write file:///folder with three slashes"
        )
    return "file://" + urllib.parse.quote(posixpath.normpath("/" + path.lstrip("/")))


def _bucket_url(url: str, parts: urllib.parse.SplitResult) -> str:
    if not parts.netloc:
        raise errors.UsageError(
            f"{url!r} names no bucket; write {parts.scheme}://BUCKET or {parts.scheme}://BUCKET/PREFIX"
        )
    prefix = urllib.parse.unquote(parts.path).strip("/")
    return f"{parts.scheme}://{parts.netloc}" + (f"/{urllib.parse.quote(prefix)}" if prefix else "")
