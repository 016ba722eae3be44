"""What people give to an object of S3 beside its metadata: as the SDK names it, and what of it can be given again."""

from __future__ import annotations

from collections.abc import Mapping

from vstorefs.stores.bucket import HEADERS

NAMES = {name: name.title().replace("-", "") for name in HEADERS}
"""By the names of `HEADERS`."""
_READABLE = {"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "REDUCED_REDUNDANCY"}


def named(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers as the SDK calls them. What would be in an archive as soon as it was written is not put there."""
    found = {NAMES[name]: value for name, value in (headers or {}).items()}
    if found.get("StorageClass") not in _READABLE:
        found.pop("StorageClass", None)
    if "aws-chunked" in found.get("ContentEncoding", ""):
        # How some tool sent it, which some servers keep; the content is not so.
        del found["ContentEncoding"]
    return found
