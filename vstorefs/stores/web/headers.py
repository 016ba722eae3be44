"""What headers of an answer say of its content, and no more than can be true. Pure."""

from __future__ import annotations

import email.utils
from collections.abc import Mapping

from vstorefs.checksums import Claimant, Claims, claims_of_base64

_DIGITS = 18
_LAST_S = (1 << 63) // 1_000_000_000 - 1


def length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the whole content, also where the answer is a part of it; None where that is not told."""
    text = headers.get("Content-Range", "").rpartition("/")[2] or headers.get("Content-Length", "")
    fits = text.isascii() and text.isdigit() and len(text) <= _DIGITS
    return int(text) if fits else None


def seconds(headers: Mapping[str, str]) -> int | None:
    """When the content was last modified, as the server says; None where it says nothing that is a time."""
    try:
        return int(email.utils.parsedate_to_datetime(headers.get("Last-Modified", "")).timestamp())
    except (ValueError, OverflowError):
        return None


def nanoseconds(moment_s: int | None) -> int:
    """A time that a file can have: no earlier than 1970, and of 64 bits."""
    return min(max(moment_s or 0, 0), _LAST_S) * 1_000_000_000


def claims(headers: Mapping[str, str]) -> Claims:
    """What a server says of the whole content, in the ways of RFC 9530 and of the providers' public addresses."""
    if is_packed(headers):
        return ()
    by_goog = _named(headers.get("x-goog-hash", "")).get("md5")
    by_digest = _named(headers.get("Repr-Digest", "")).get("sha-256", "").strip(":")
    return (
        *claims_of_base64(Claimant.STORE, "sha256", by_digest),
        *claims_of_base64(Claimant.STORE, "md5", by_goog or headers.get("x-ms-blob-content-md5")),
    )


def _named(text: str) -> dict[str, str]:
    """`a=x, b=y`, as names and values."""
    parts = (part.strip().partition("=") for part in text.split(","))
    return {name: value for name, _, value in parts}


def is_strong(etag: str) -> bool:
    """Whether an ETag names one content."""
    return etag.startswith('"') and len(etag) > 2


def is_packed(headers: Mapping[str, str]) -> bool:
    """Whether what comes is to be unpacked to be the content."""
    return headers.get("Content-Encoding", "identity") != "identity"
