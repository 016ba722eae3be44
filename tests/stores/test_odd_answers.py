"""What no store should answer: a bucket of any kind takes it for an error of one of the known sorts."""

from __future__ import annotations

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
