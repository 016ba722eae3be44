"""Content into S3: in one request where it is small, in parallel parts where it is large."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

_WHOLE = 32 << 20
_PART = 16 << 20
_COPY_PART = 512 << 20
_MOST_PARTS = 10_000
_AT_ONCE = 4


def upload(
    client: Any, bucket: str, name: str, source: Path, size: int, extra: dict[str, Any]
) -> None:
    """Put a file. Raises: botocore's errors; parts of one that failed are taken back."""
    if size <= _WHOLE:
        with source.open("rb") as file:
            client.put_object(Bucket=bucket, Key=name, Body=file, ContentLength=size, **extra)
        return
    extra.pop("ContentMD5", None)

    def send(upload_id: str, number: int, start: int, end: int) -> str:
        with source.open("rb") as file:
            file.seek(start)
            answer = client.upload_part(
                Bucket=bucket,
                Key=name,
                UploadId=upload_id,
                PartNumber=number,
                Body=file.read(end - start),
            )
        return str(answer["ETag"])

    _in_parts(client, bucket, name, size, max(_PART, -(-size // _MOST_PARTS)), extra, send)


def copy_in_parts(
    client: Any, bucket: str, name: str, source: dict[str, Any], size: int, extra: dict[str, Any]
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

    _in_parts(client, bucket, name, size, max(_COPY_PART, -(-size // _MOST_PARTS)), extra, send)


def _in_parts(
    client: Any,
    bucket: str,
    name: str,
    size: int,
    part: int,
    extra: dict[str, Any],
    send: Callable[[str, int, int, int], str],
) -> None:
    upload_id = client.create_multipart_upload(Bucket=bucket, Key=name, **extra)["UploadId"]
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
            Bucket=bucket, Key=name, UploadId=upload_id, MultipartUpload={"Parts": parts}
        )
    except BaseException:
        client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
        raise
