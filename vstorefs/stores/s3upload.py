"""Content into S3: in one request where it is small, in parallel parts where it is large."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

WHOLE_BYTES = 32 << 20
_PART = 16 << 20
_COPY_PART = 512 << 20
_MOST_PARTS = 10_000
_AT_ONCE = 4


def upload(
    client: Any,
    bucket: str,
    name: str,
    source: Callable[[], BinaryIO],
    size: int,
    extra: dict[str, Any],
    *,
    absent: bool,
    in_parts: bool = False,
) -> None:
    """Put what `source` opens; `absent`: only where there is nothing.

    Raises: botocore's errors; parts of one that failed are taken back.
    """
    if size <= WHOLE_BYTES and not in_parts:
        with source() as file:
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

    def send(upload_id: str, number: int, start: int, end: int) -> str:
        with source() as file:
            file.seek(start)
            answer = client.upload_part(
                Bucket=bucket,
                Key=name,
                UploadId=upload_id,
                PartNumber=number,
                Body=file.read(end - start),
            )
        return str(answer["ETag"])

    part = max(_PART, -(-size // _MOST_PARTS))
    _in_parts(client, bucket, name, size, part, extra, send, absent=absent)


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

    part = max(_COPY_PART, -(-size // _MOST_PARTS))
    _in_parts(client, bucket, name, size, part, extra, send, absent=absent)


def _in_parts(
    client: Any,
    bucket: str,
    name: str,
    size: int,
    part: int,
    extra: dict[str, Any],
    send: Callable[[str, int, int, int], str],
    *,
    absent: bool,
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
            Bucket=bucket,
            Key=name,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **_condition(absent=absent),
        )
    except BaseException:
        client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
        raise


def _condition(*, absent: bool) -> dict[str, str]:
    return {"IfNoneMatch": "*"} if absent else {}
