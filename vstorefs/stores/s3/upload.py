"""Content into S3: in one request where it is small, in parallel parts where it is large.

The id of an upload in parts is kept in an attribute of the file that it sends. So whoever sends the
file again, after a failure or a crash, sends only parts that the store does not have.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from botocore import exceptions as boto

from vstorefs import files
from vstorefs.stores.bucket import Source, opened, size_of

WHOLE_BYTES = 32 << 20
_PART = 16 << 20
_BLOCK = 1 << 20
_COPY_PART = 512 << 20
_MOST_PARTS = 10_000
_AT_ONCE = 4
_XATTR = "user.vstorefs.upload"


def upload(
    client: Any,
    bucket: str,
    name: str,
    source: Source,
    extra: dict[str, Any],
    *,
    absent: bool,
    in_parts: bool = False,
) -> None:
    """Put content; `absent`: only where there is nothing.

    Raises: botocore's errors; the parts of an upload that nobody can go on with are taken back.
    """
    size = size_of(source)
    if size <= WHOLE_BYTES and not in_parts:
        with opened(source) as file:
            # Buckets with object lock take nothing without it.
            if "ContentMD5" not in extra:
                extra["ContentMD5"] = _md5_of(file)
            client.put_object(
                Bucket=bucket,
                Key=name,
                Body=file,
                ContentLength=size,
                **extra,
                **_condition(absent=absent),
            )
        return
    extra.pop("ContentMD5", None)
    place = {"Bucket": bucket, "Key": name}
    part = max(_PART, -(-size // _MOST_PARTS))
    known, there = _begun(client, place, source)

    def send(upload_id: str, number: int, start: int, end: int) -> str:
        with opened(source) as file:
            file.seek(start)
            data = file.read(end - start)
        md5 = hashlib.md5(data, usedforsecurity=False)
        if there.get(number) == (len(data), md5.hexdigest()):
            return f'"{md5.hexdigest()}"'
        answer = client.upload_part(
            **place,
            UploadId=upload_id,
            PartNumber=number,
            Body=data,
            ContentMD5=base64.b64encode(md5.digest()).decode(),
        )
        return str(answer["ETag"])

    upload_id = known or str(client.create_multipart_upload(**place, **extra)["UploadId"])
    if known is None:
        _note(source, place, upload_id)
    _in_parts(client, place, upload_id, size, part, send, absent=absent)
    _note(source, place, None)


def _md5_of(file: BinaryIO) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    while block := file.read(_BLOCK):
        digest.update(block)
    file.seek(0)
    return base64.b64encode(digest.digest()).decode()


def _begun(
    client: Any, place: dict[str, str], source: Source
) -> tuple[str | None, dict[int, tuple[int, str]]]:
    """The upload of this file that an earlier try began, and the size and MD5 of each part that arrived."""
    if not isinstance(source, Path):
        return None, {}
    try:
        upload_id, _, where = os.getxattr(source, _XATTR).decode().partition(" ")
    except OSError:
        return None, {}
    if where != _where(place):
        return None, {}
    try:
        pages = client.get_paginator("list_parts").paginate(**place, UploadId=upload_id)
        parts = [one for page in pages for one in page.get("Parts", ())]
    except boto.ClientError:
        # It was finished, or taken back: a new one begins.
        return None, {}
    return upload_id, {one["PartNumber"]: (one["Size"], one["ETag"].strip('"')) for one in parts}


def _note(source: Source, place: dict[str, str], upload_id: str | None) -> None:
    if not isinstance(source, Path):
        return
    # Where a file system keeps no attributes, a later try begins anew.
    with contextlib.suppress(OSError):
        if upload_id is None:
            files.change("staging.note-upload", os.removexattr, source, _XATTR)
        else:
            noted = f"{upload_id} {_where(place)}".encode()
            files.change("staging.note-upload", os.setxattr, source, _XATTR, noted)


def _where(place: dict[str, str]) -> str:
    return hashlib.sha256(f"{place['Bucket']}/{place['Key']}".encode()).hexdigest()[:32]


def copy_in_parts(
    client: Any,
    bucket: str,
    name: str,
    source: dict[str, Any],
    size: int,
    extra: dict[str, Any],
    *,
    absent: bool,
) -> None:
    """Copy inside the store what is too large for one request. Raises: botocore's errors."""

    def send(upload_id: str, number: int, start: int, end: int) -> str:
        answer = client.upload_part_copy(
            Bucket=bucket,
            Key=name,
            UploadId=upload_id,
            PartNumber=number,
            CopySource=source,
            CopySourceRange=f"bytes={start}-{end - 1}",
        )
        return str(answer["CopyPartResult"]["ETag"])

    place = {"Bucket": bucket, "Key": name}
    upload_id = str(client.create_multipart_upload(**place, **extra)["UploadId"])
    part = max(_COPY_PART, -(-size // _MOST_PARTS))
    try:
        _in_parts(client, place, upload_id, size, part, send, absent=absent)
    except (boto.HTTPClientError, OSError):
        client.abort_multipart_upload(**place, UploadId=upload_id)
        raise


def _in_parts(
    client: Any,
    place: dict[str, str],
    upload_id: str,
    size: int,
    part: int,
    send: Callable[[str, int, int, int], str],
    *,
    absent: bool,
) -> None:
    """Send all parts and make an object of them; what the store refuses is taken back."""
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            waiting = [
                pool.submit(send, upload_id, number, start, min(start + part, size))
                for number, start in enumerate(range(0, size, part), 1)
            ]
            parts = [
                {"PartNumber": number, "ETag": one.result()}
                for number, one in enumerate(waiting, 1)
            ]
        client.complete_multipart_upload(
            **place,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **_condition(absent=absent),
        )
    except boto.ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        if status < 500:
            client.abort_multipart_upload(**place, UploadId=upload_id)
        raise


def _condition(*, absent: bool) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if absent else {}
