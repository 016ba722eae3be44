"""What each kind of store says of a content that it gives bytes of: never anything that is not so."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.stores.kinds import SERVERS
from tests.support.scripted import Asked, Said, Script, scripted
from vstorefs.checksums import Claim, Claimant, Claims, Comparison
from vstorefs.model import Key, Token
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.registry import Settings, open_bucket, resolve
from vstorefs.stores.web.store import WebStore

pytestmark = pytest.mark.stores

CONTENT = os.urandom(100_000)
MD5 = hashlib.md5(CONTENT, usedforsecurity=False)
SHA256 = hashlib.sha256(CONTENT)
SAYS = {
    "s3": Claimant.ETAG,
    "radosgw": Claimant.ETAG,
    "careless": Claimant.ETAG,
    "gcs": Claimant.STORE,
    "azure": Claimant.STORE,
    "swift": Claimant.STORE,
}
WHEN = "Sun, 01 Nov 2026 10:00:00 GMT"


@pytest.fixture(params=SAYS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def bucket(
    kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    url, env = SERVERS[kind].bucket(request, versioned=False)
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    opened = open_bucket(resolve("test", url, environ=os.environ))
    yield opened
    opened.close()


def said_of(bucket: Bucket, start: int, end: int) -> tuple[Claims, dict[str, str]]:
    told: list[tuple[Claims, Mapping[str, str]]] = []
    list(bucket.read("f", start, end, said=lambda *what: told.append(what)))
    ((claims, about),) = told
    return claims, dict(about)


@pytest.mark.parametrize("part", [(0, len(CONTENT)), (0, 1), (50_000, 60_000)])
def test_the_whole_is_what_is_spoken_of_whatever_part_is_read(
    bucket: Bucket, kind: str, part: tuple[int, int]
) -> None:
    own = {"vstorefs-write": "w", "vstorefs-md5": MD5.hexdigest()}
    bucket.put("f", CONTENT, metadata=own, content_type="text/csv", md5=MD5.hexdigest())
    claims, about = said_of(bucket, *part)
    assert Claim(SAYS[kind], "md5", MD5.hexdigest()) in claims
    # Google tells an object's metadata only where they are asked for.
    assert about == ({} if kind == "gcs" else own)


def test_what_was_sent_in_parts_is_not_contradicted(
    bucket: Bucket, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = {"gcs": "gcs.store._SMALLEST_CHUNK", "azure": "azure.store._PART"}
    module = {**modules, "swift": "swift.store._SEGMENT"}.get(kind, "s3.upload._PART")
    monkeypatch.setattr(f"vstorefs.stores.{module}", 5 << 20)
    data = os.urandom((5 << 20) + 7)
    file = tmp_path / "content"
    file.write_bytes(data)
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    bucket.put("f", file, metadata={}, content_type="text/csv", md5=md5, in_parts=True)
    comparison = Comparison()
    blocks = bucket.read("f", 0, len(data), said=lambda claims, _: comparison.told(claims))
    assert b"".join(comparison.through(blocks)) == data
    assert not comparison.judged().against


def answering(headers: Mapping[str, str]) -> Script:
    """A server that gives ranges of the content, with these headers."""

    def answer(asked: Asked) -> Said:
        text = asked.headers.get("x-ms-range", asked.headers.get("range", "bytes=0-99999"))
        first, _, last = text.removeprefix("bytes=").partition("-")
        start, end = int(first), min(int(last) + 1, len(CONTENT))
        where = f"bytes {start}-{end - 1}/{len(CONTENT)}"
        told = {"Last-Modified": WHEN, "ETag": '"e1"', "Content-Range": where, **headers}
        return Said(206, CONTENT[start:end], told)

    return answer


def in_base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode()


CRC = zlib.crc32(CONTENT).to_bytes(4, "big")
BY_S3: dict[str, tuple[dict[str, str], list[str]]] = {
    "sha256": ({"x-amz-checksum-sha256": in_base64(SHA256.digest())}, ["sha256"]),
    "crc32": (
        {"x-amz-checksum-crc32": in_base64(CRC), "x-amz-checksum-type": "FULL_OBJECT"},
        ["crc32"],
    ),
    "of its parts": (
        {
            "x-amz-checksum-sha256": in_base64(SHA256.digest()),
            "x-amz-checksum-type": "COMPOSITE",
        },
        [],
    ),
    "of so many parts": ({"x-amz-checksum-sha256": in_base64(SHA256.digest()) + "-3"}, []),
    "one that we do not compute": ({"x-amz-checksum-crc64nvme": in_base64(bytes(8))}, []),
    "an MD5": ({"ETag": f'"{MD5.hexdigest()}"'}, ["md5"]),
    "of parts": ({"ETag": f'"{MD5.hexdigest()}-2"'}, []),
    "with SSE-S3": (
        {"ETag": f'"{MD5.hexdigest()}"', "x-amz-server-side-encryption": "AES256"},
        ["md5"],
    ),
    "with KMS": (
        {"ETag": f'"{MD5.hexdigest()}"', "x-amz-server-side-encryption": "aws:kms"},
        [],
    ),
    "with a customer's key": (
        {
            "ETag": f'"{MD5.hexdigest()}"',
            "x-amz-server-side-encryption-customer-algorithm": "AES256",
        },
        [],
    ),
}


@pytest.mark.parametrize("case", BY_S3)
def test_s3(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    headers, wanted = BY_S3[case]
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with scripted(answering(headers)) as url:
        settings = Settings(anonymous=True, endpoint=url)
        bucket = open_bucket(resolve("test", "s3://box", settings, environ=os.environ))
        claims, _ = said_of(bucket, 0, len(CONTENT))
        ranged, _ = said_of(bucket, 10, 20)
        bucket.close()
    assert [one.algorithm for one in claims] == wanted
    # What stands beside a range may be of the range.
    assert [one.algorithm for one in ranged] == [one for one in wanted if one == "md5"]


def test_s3_is_asked_for_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Asked] = []
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    answer = answering({})

    def script(one: Asked) -> Said:
        asked.append(one)
        return answer(one)

    with scripted(script) as url:
        settings = Settings(anonymous=True, endpoint=url)
        bucket = open_bucket(resolve("test", "s3://box", settings, environ=os.environ))
        list(bucket.read("f", 0, 10))
        bucket.close()
    assert asked[0].headers["x-amz-checksum-mode"] == "ENABLED"


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"ETag": MD5.hexdigest()}, ["md5"]),
        ({"ETag": f'"{MD5.hexdigest()}"', "X-Static-Large-Object": "True"}, []),
        ({"ETag": f'"{MD5.hexdigest()}"', "X-Object-Manifest": "box/parts"}, []),
    ],
)
def test_swift(headers: dict[str, str], wanted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    with scripted(answering({"X-Timestamp": "1793527200.00000", **headers})) as url:
        settings = Settings(anonymous=True, endpoint=url)
        bucket = open_bucket(resolve("test", "swift://box", settings, environ=os.environ))
        claims, _ = said_of(bucket, 0, len(CONTENT))
        bucket.close()
    assert [one.algorithm for one in claims] == wanted


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"x-goog-hash": f"crc32c=AAAAAA==,md5={in_base64(MD5.digest())}"}, ["md5"]),
        ({"x-ms-blob-content-md5": in_base64(MD5.digest())}, ["md5"]),
        ({"Repr-Digest": f"sha-256=:{in_base64(SHA256.digest())}:"}, ["sha256"]),
        ({"Content-MD5": in_base64(MD5.digest())}, []),
        ({"x-goog-hash": "md5="}, []),
    ],
)
def test_web_addresses(headers: dict[str, str], wanted: list[str]) -> None:
    with scripted(answering(headers)) as url:
        settings = Settings(files=(("f", url + "/f"),))
        store = WebStore(resolve("web", f"{url}/", settings, environ={}))
        told: list[Claims] = []
        list(store.read(Key("f"), Token("e1"), 10, 20, told=told.append))
        store.close()
    assert [[one.algorithm for one in claims] for claims in told] == [wanted]
