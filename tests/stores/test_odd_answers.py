"""What no store should answer: a bucket of any kind takes it for an error of one of the known sorts."""

from __future__ import annotations

import base64
import gzip
import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest
import urllib3

from tests.support.scripted import Asked, Said, scripted
from vstorefs import errors
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.gcs.errors import translated as of_google
from vstorefs.stores.registry import Settings, open_bucket, resolve
from vstorefs.stores.swift.errors import translated as of_swift
from vstorefs.stores.web.session import translated as of_the_web

pytestmark = pytest.mark.stores

SCHEMES = {"s3": "s3", "gcs": "gs", "azure": "az", "swift": "swift"}
WHEN = "Sun, 01 Nov 2026 10:00:00 GMT"
ABOUT = {"Last-Modified": WHEN, "ETag": '"e1"', "X-Timestamp": "1793527200.00000"}
CONTENT = bytes(range(100))


@pytest.fixture(params=SCHEMES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def opened(kind: str, url: str, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A bucket of a kind whose server is the script."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    settings = Settings(anonymous=True, endpoint=url)
    return open_bucket(resolve("test", f"{SCHEMES[kind]}://box", settings, environ=os.environ))


def breaks_off(asked: Asked) -> Said:
    """Half of a content, and then nothing."""
    first, _, last = (
        asked.headers.get("range", asked.headers.get("x-ms-range", ""))
        .removeprefix("bytes=")
        .partition("-")
    )
    body = CONTENT[int(first or 0) : int(last or 99) + 1]
    told = {**ABOUT, "Content-Range": f"bytes {first or 0}-{last or 99}/{len(CONTENT)}"}
    return Said(206 if first else 200, body, told, sent=len(body) // 2)


def test_a_body_that_breaks_off_is_asked_for_again(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted(breaks_off) as url:
        bucket = opened(kind, url, monkeypatch)
        with pytest.raises(errors.RETRIED):
            list(bucket.read("f", 10, 90))
        with pytest.raises(errors.RETRIED):
            bucket.get("f")
        bucket.close()


@pytest.mark.parametrize("translated", [of_google, of_swift, of_the_web])
@pytest.mark.parametrize(
    "error",
    [
        urllib3.exceptions.ReadTimeoutError(urllib3.HTTPConnectionPool("h"), "/", "stalled"),
        urllib3.exceptions.IncompleteRead(3, 5),
        urllib3.exceptions.ProtocolError("broken"),
        urllib3.exceptions.SSLError("bad record"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_body_that_stalls_is_asked_for_again(
    translated: Callable[..., AbstractContextManager[None]], error: Exception
) -> None:
    with pytest.raises(errors.RETRIED), translated("a", "k", "read"):
        raise error


def test_packed_content_is_given_as_it_is_stored(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = gzip.compress(os.urandom(50) * 100)

    def script(asked: Asked) -> Said:
        wanted = asked.headers.get("range", asked.headers.get("x-ms-range", ""))
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first or 0), min(int(last or len(packed) - 1), len(packed) - 1)
        where = {"Content-Range": f"bytes {start}-{end}/{len(packed)}"} if first else {}
        told = {**ABOUT, **where, "Content-Encoding": "gzip"}
        return Said(206 if first else 200, packed[start : end + 1], told)

    with scripted(script) as url:
        bucket = opened(kind, url, monkeypatch)
        assert b"".join(bucket.read("f", 0, len(packed))) == packed
        assert b"".join(bucket.read("f", 10, 60)) == packed[10:60]
        assert bucket.get("f") == packed
        bucket.close()


def item(kind: str, name: str) -> str:
    """An object of no bytes as a listing of a kind has it."""
    return {
        "s3": f"<Contents><Key>{name}</Key><Size>0</Size><ETag>e</ETag>"
        "<LastModified>2026-11-01T10:00:00Z</LastModified></Contents>",
        "s3 versions": f"<Version><Key>{name}</Key><VersionId>1</VersionId><Size>0</Size><ETag>e</ETag>"
        "<IsLatest>true</IsLatest><LastModified>2026-11-01T10:00:00Z</LastModified></Version>",
        "gcs": json.dumps(
            {"name": name, "generation": "1", "timeCreated": "2026-11-01T10:00:00.000000Z"}
        ),
        "azure": f"<Blob><Name>{name}</Name><Properties><Last-Modified>{WHEN}</Last-Modified><Etag>e</Etag>"
        "<Content-Length>0</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>",
        "swift": json.dumps(
            {
                "name": name,
                "bytes": 0,
                "hash": "e",
                "last_modified": "2026-11-01T10:00:00.000000",
                "content_type": "text/plain",
                "version_id": "1",
                "is_latest": True,
            }
        ),
    }[kind]


def listing(kind: str, asked: Asked, name: str, token: str) -> Said:
    """A page with one object, behind which there are more at `token`."""
    if kind == "s3" and "versions" in asked.query:
        body = (
            f"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>{token}</NextKeyMarker>"
            f"<NextVersionIdMarker>1</NextVersionIdMarker>{item('s3 versions', name)}</ListVersionsResult>"
        )
    elif kind == "s3":
        body = (
            "<ListBucketResult><IsTruncated>true</IsTruncated>"
            f"<NextContinuationToken>{token}</NextContinuationToken>{item(kind, name)}</ListBucketResult>"
        )
    elif kind == "azure":
        body = (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults>'
            f"<Blobs>{item(kind, name)}</Blobs><NextMarker>{token}</NextMarker></EnumerationResults>"
        )
    elif kind == "gcs":
        body = f'{{"nextPageToken": "{token}", "items": [{item(kind, name)}]}}'
    else:
        body = f"[{item(kind, name)}]"
    sort = "application/xml" if body.startswith("<") else "application/json"
    return Said(200, body.encode(), {"Content-Type": sort})


@pytest.mark.parametrize("length", [1, 2, 3])
@pytest.mark.parametrize("what", ["list", "by folder", "versions"])
def test_a_listing_that_goes_round_in_a_circle_ends(
    kind: str, what: str, length: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages repeat themselves after a while, with what they say of where the next begins."""
    pages = 0

    def script(asked: Asked) -> Said:
        nonlocal pages
        if asked.path == "/info":
            return Said(200, b'{"swift": {"container_listing_limit": 1}}')
        if asked.path == "/storage/v1/b/box":
            return Said(200, b"{}", {"Content-Type": "application/json"})
        pages += 1
        assert pages < 10
        number = pages % length
        return listing(kind, asked, f"f{number}", base64.b64encode(bytes([number])).decode())

    with scripted(script) as url:
        bucket = opened(kind, url, monkeypatch)
        with pytest.raises(errors.Corrupt, match="circle"):
            list(
                bucket.versions("")
                if what == "versions"
                else bucket.list("", by_folder=what == "by folder")
            )
        bucket.close()
    assert pages == length + 1
