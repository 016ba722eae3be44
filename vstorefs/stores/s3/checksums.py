"""What an answer of S3 says of the whole object that it gives bytes of.

An ETag is the MD5 of what was sent in one request and is not encrypted with a key of its own; look-alikes give
other things that look like one. A checksum counts where it is of the whole object, not of its parts' checksums, nor
of a range.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vstorefs.checksums import Claimant, Claims, claims_of_base64, claims_of_hex

_FIELDS = {"sha256": "ChecksumSHA256", "sha1": "ChecksumSHA1", "crc32": "ChecksumCRC32"}
_OWN_KEYS = ("aws:kms", "aws:kms:dsse")


def ask_for_checksums(params: dict[str, Any], **_: Any) -> None:
    """Ask for them with the content. As a header: told otherwise, botocore compares them with ranges, too."""
    params["headers"]["x-amz-checksum-mode"] = "ENABLED"


def claims_of(answer: Mapping[str, Any]) -> Claims:
    """What a GetObject's answer claims of the whole."""
    found: Claims = ()
    if _is_whole(answer) and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT":
        for algorithm, field in _FIELDS.items():
            found += claims_of_base64(Claimant.STORE, algorithm, answer.get(field))
    is_encrypted = answer.get("ServerSideEncryption") in _OWN_KEYS
    if not is_encrypted and "SSECustomerAlgorithm" not in answer:
        found += claims_of_hex(Claimant.ETAG, "md5", answer["ETag"].strip('"'))
    return found


def _is_whole(answer: Mapping[str, Any]) -> bool:
    length = answer["ContentLength"]
    return bool(answer.get("ContentRange", "") in {"", f"bytes 0-{length - 1}/{length}"})
