"""What every kind of bucket does, before any layout is built on it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.stores.kinds import SERVERS
from vstorefs import errors
from vstorefs.digests import hash_file
from vstorefs.model import Key, Token
from vstorefs.state.env import State
from vstorefs.state.probes import Probes
from vstorefs.stores.bucket import Bucket, Source, Unfinishing
from vstorefs.stores.registry import open_bucket, resolve
from vstorefs.versions.layouts.opening import open_store

pytestmark = pytest.mark.stores

BYTES = "application/octet-stream"
RACY = "Swift looks at a condition when a request begins, so several may win; first versions get names of their own here"
CARELESS = (
    "this server ignores conditions; that is found out, and first versions get names of their own"
)

PARTS = {
    "gcs": ("gcs.store._SMALLEST_CHUNK", 256 << 10),
    "azure": ("azure.store._PART", 5 << 20),
    "swift": ("swift.store._SEGMENT", 5 << 20),
}
SHARED = "segments are named by their content and may be another object's too, so they stay for the next try"

Make = Callable[[], Bucket]


@pytest.fixture(params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    request.node.user_properties.append(("kind", request.param))
    return str(request.param)


@pytest.fixture
def url(kind: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    url, env = SERVERS[kind].bucket(request, versioned=False)
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    return f"{url}/some/prefix"


@pytest.fixture
def bucket(url: str) -> Iterator[Bucket]:
    opened = open_bucket(resolve("test", url, environ=os.environ))
    yield opened
    opened.close()


@pytest.fixture
def cannot(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Says why a provider cannot have a property; the table shows it."""
    return lambda why: request.node.user_properties.append(("cannot", why))


def put(bucket: Bucket, name: str, source: Source = b"content", **options: object) -> None:
    bucket.put(name, source, metadata={}, content_type=BYTES, **options)  # type: ignore[arg-type]


def test_objects_of_every_size(bucket: Bucket, tmp_path: Path) -> None:
    for size in (0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1):
        data = os.urandom(size)
        put(bucket, "d/f", data)
        assert bucket.get("d/f") == data
        assert bucket.stat("d/f").size == size


def test_objects_at_the_border_of_a_part(
    bucket: Bucket, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module, part = PARTS.get(kind, ("s3.upload._PART", 5 << 20))
    monkeypatch.setattr(f"vstorefs.stores.{module}", part)
    file = tmp_path / "content"
    for size in (1, part - 1, part, part + 1, 2 * part):
        file.write_bytes(os.urandom(size))
        put(bucket, "f", file, md5=hash_file(file).md5, in_parts=True)
        assert bucket.stat("f").size == size
        assert b"".join(bucket.read("f", 0, size)) == file.read_bytes()


def test_metadata_come_back(bucket: Bucket) -> None:
    metadata = {"vstorefs-write": "abc123", "vstorefs-marks": '["late"]', "vstorefs-mode": "644"}
    bucket.put("f", b"x", metadata=metadata, content_type="text/csv")
    assert dict(bucket.stat("f").metadata) == metadata
    bucket.copy(
        "f",
        "g",
        source=bucket.stat("f"),
        metadata={"vstorefs-write": "new"},
        content_type="text/csv",
    )
    assert dict(bucket.stat("g").metadata) == {"vstorefs-write": "new"}


def test_ranges_at_every_border(bucket: Bucket) -> None:
    data = os.urandom((9 << 20) + 5)
    put(bucket, "f", data)
    size, token = len(data), bucket.stat("f").token
    for start, end in [(0, 1), (0, size), (size - 1, size), ((8 << 20) - 1, (8 << 20) + 1), (3, 3)]:
        assert b"".join(bucket.read("f", start, end, token=token)) == data[start:end]
    with pytest.raises(errors.StoreError):
        list(bucket.read("f", size, size + 1, token=token))


def test_a_token_names_one_content(bucket: Bucket) -> None:
    put(bucket, "f", b"first!")
    before = bucket.stat("f")
    (listed,) = (one for page in bucket.list("f") for one in page.objects)
    assert (listed.token, listed.size, listed.modified_ns) == (
        before.token,
        before.size,
        before.modified_ns,
    )
    put(bucket, "f", b"second")
    with pytest.raises((errors.Changed, errors.NotFound)):
        list(bucket.read("f", 0, 6, token=before.token))
    with pytest.raises(errors.Changed):
        list(bucket.read("f", 0, 6, size=7))
    with pytest.raises((errors.Changed, errors.NotFound)):
        list(bucket.read("none", 0, 6, token=before.token))


def test_only_if_absent(bucket: Bucket, kind: str, cannot: Callable[[str], None]) -> None:
    put(bucket, "f", b"first", absent=True)
    for in_parts in (False, True):
        put(bucket, f"new-{in_parts}", os.urandom(6 << 20), absent=True, in_parts=in_parts)
    if kind == "careless":
        cannot(CARELESS)
        return
    with pytest.raises(errors.AlreadyExists):
        put(bucket, "f", b"second", absent=True)
    assert bucket.get("f") == b"first"


def test_one_of_twenty_creators_wins(
    bucket: Bucket, kind: str, cannot: Callable[[str], None]
) -> None:
    if not bucket.atomic:
        return cannot(RACY)
    if kind == "careless":
        return cannot(CARELESS)
    for turn in range(5):
        winners, losers = [], []
        barrier = threading.Barrier(20)

        def create(number: int) -> None:
            barrier.wait()  # noqa: B023
            try:
                put(bucket, f"f{turn}", f"{number}".encode(), absent=True)  # noqa: B023
                winners.append(number)  # noqa: B023
            except (errors.AlreadyExists, errors.Throttled):
                losers.append(number)  # noqa: B023

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(create, range(20)))
        assert (len(winners), len(losers)) == (1, 19)
        assert bucket.get(f"f{turn}") == str(winners[0]).encode()
    return None


def test_a_copy_is_of_what_was_seen(bucket: Bucket) -> None:
    put(bucket, "f", b"first!")
    seen = bucket.stat("f")
    bucket.copy("f", "g", source=seen, metadata={}, content_type=BYTES)
    assert bucket.get("g") == b"first!"
    put(bucket, "f", b"second")
    with pytest.raises((errors.Changed, errors.NotFound)):
        bucket.copy("f", "h", source=seen, metadata={}, content_type=BYTES)


def test_several_hundred_megabytes_in_parts(
    bucket: Bucket, kind: str, cannot: Callable[[str], None], tmp_path: Path
) -> None:
    if kind in {"s3", "careless", "memory"}:
        return cannot(
            "this server keeps objects in memory, several times over; radosgw shows it for S3"
        )
    file = tmp_path / "large"
    block = os.urandom(1 << 20)
    with file.open("wb") as out:
        for number in range(300):
            out.write(block[number:] + block[:number])
    bucket.put(
        "large",
        file,
        metadata={},
        content_type=BYTES,
        md5=hash_file(file).md5,
        absent=bucket.atomic,
        in_parts=True,
    )
    found = bucket.stat("large")
    assert found.size == 300 << 20
    for start in (0, 17 << 20, (299 << 20) + 5):
        wanted = file.read_bytes()[start : start + 100]
        assert b"".join(bucket.read("large", start, start + 100, token=found.token)) == wanted
    return None


def test_listings_longer_than_a_page(bucket: Bucket, kind: str) -> None:
    page = SERVERS[kind].page
    names = [f"d{number % 7}/{number:06d}" for number in range(page + 50)]
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(lambda name: put(bucket, name, b""), names))
    pages = list(bucket.list(""))
    found = [one.name for page in pages for one in page.objects]
    assert found == sorted(names)
    assert len(pages) >= 2
    folders = [name for page in bucket.list("", by_folder=True) for name in page.prefixes]
    assert folders == [f"d{number}/" for number in range(7)]
    (first,) = bucket.list("", limit=1)
    assert len(first.objects) == 1


def test_what_arrives_wrong_is_refused(
    bucket: Bucket, kind: str, cannot: Callable[[str], None]
) -> None:
    if kind in {"s3", "careless"}:
        return cannot("this server does not look at Content-MD5; radosgw shows it for S3")
    if kind == "gcs":
        return cannot(
            "Google's library sends a crc32c of what it reads itself, and Google checks that"
        )
    with pytest.raises(errors.StoreError):
        put(bucket, "f", b"content", md5="0" * 32)
    with pytest.raises(errors.NotFound):
        bucket.stat("f")
    return None


def test_a_failed_upload_leaves_nothing(
    bucket: Bucket, kind: str, cannot: Callable[[str], None], tmp_path: Path
) -> None:
    """Refused at its very end, when all parts are there."""
    if kind in {"careless", "radosgw"}:
        return cannot("this server refuses no upload in parts at its end; moto shows it for S3")
    if kind == "swift":
        return cannot(SHARED)
    put(bucket, "f", b"first")
    file = tmp_path / "large"
    file.write_bytes(os.urandom(11 << 20))
    with pytest.raises(errors.AlreadyExists):
        put(bucket, "f", file, absent=True, in_parts=True)
    assert [one.name for page in bucket.list("") for one in page.objects] == ["f"]
    assert bucket.get("f") == b"first"
    if isinstance(bucket, Unfinishing):
        assert list(bucket.unfinished()) == []
    return None


ODD = [
    "plain",
    "plain/below",
    "two//slashes",
    "/leading",
    "trailing/",
    "dots/./here",
    "dots/../there",
    "..",
    "control\x01\x1f",
    "caf\u00e9",
    "cafe\u0301",
    "a b+c%20&d",
    "long/" + "x" * 300,
    "k" * 200 + "/" + "l" * 200 + "/" + "m" * 200 + "/" + "n" * 200 + "/" + "o" * 200,
]


def test_odd_keys_are_shown_or_named(  # noqa: C901
    url: str, kind: str, bucket: Bucket, tmp_path: Path
) -> None:
    taken = []
    for name in ODD:
        if kind == "azure" and "\x01" in name:
            # Azurite answers 500 to every listing with such a name in it.
            continue
        try:
            put(bucket, name, name.encode())
            bucket.stat(name)
            taken.append(name)
        except errors.StoreError:
            continue
    assert {"plain", "plain/below", "caf\u00e9", "cafe\u0301", "a b+c%20&d"} <= set(taken)
    state = State.open(tmp_path / "state")
    store = open_store(resolve("test", url, environ=os.environ), Probes(state))
    shown, unshown = {}, set()
    folders = [""]
    while folders:
        folder = folders.pop()
        for page in store.list(Key(folder)):
            unshown |= {one.key for one in page.unshown}
            for entry in page.entries:
                if entry.kind.value == "directory":
                    folders.append(entry.key)
                else:
                    shown[entry.key] = entry
    for key, entry in shown.items():
        data = b"".join(store.read(entry.key, Token(entry.token), 0, entry.size))
        assert data == key.encode()
    stored = {one.name for page in bucket.list("") for one in page.objects}
    for name in stored - set(shown):
        if not (name.endswith("/") or name.startswith(".vstorefs/")):
            assert any(name.startswith(one) or one.startswith(name) for one in unshown), name
    store.close()
    state.close()


@pytest.mark.parametrize("sent", [0, 3])
def test_a_large_upload_goes_on_where_it_stopped(
    bucket: Bucket,
    kind: str,
    sent: int,
    cannot: Callable[[str], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The connection breaks after a few parts; the next try sends only the others."""
    if kind == "memory":
        return cannot("what goes in parts elsewhere is one request here")
    if kind == "gcs":
        return cannot(
            "the address by which Google goes on is as good as a secret, so it is not kept"
        )
    module = {"azure": "azure.store", "swift": "swift.store"}.get(kind, "s3.upload")
    size = {"azure": "_PART", "swift": "_SEGMENT"}.get(kind, "_PART")
    monkeypatch.setattr(f"vstorefs.stores.{module}.{size}", 5 << 20)
    monkeypatch.setattr(f"vstorefs.stores.{module}._AT_ONCE", 1)
    file = tmp_path / "large"
    file.write_bytes(os.urandom(23 << 20))
    md5 = hash_file(file).md5
    reads: list[int] = []
    sends = {"azure": "stage_block", "swift": "_put"}.get(kind, "upload_part")

    def breaking(real: Callable[..., object], limit: int) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            if len(reads) >= limit:
                raise OSError("the connection broke")
            reads.append(1)
            return real(*arguments, **options)

        return call

    owner = {
        "azure": "azure.storage.blob.BlobClient",
        "swift": "vstorefs.stores.swift.store.SwiftBucket",
    }.get(kind)

    def send(limit: int) -> None:
        with monkeypatch.context() as patch:
            if owner is not None:
                module_name, _, class_name = owner.rpartition(".")
                cls = getattr(__import__(module_name, fromlist=[class_name]), class_name)
                patch.setattr(cls, sends, breaking(getattr(cls, sends), limit))
            else:
                client: Any = bucket._client  # type: ignore[attr-defined]
                patch.setattr(client, sends, breaking(getattr(client, sends), limit))
            bucket.put("large", file, metadata={}, content_type=BYTES, md5=md5, in_parts=True)

    with pytest.raises(errors.Unavailable):
        send(sent)
    assert len(reads) == sent
    reads.clear()
    send(100)
    # Swift's list of segments is sent by the same function as they are.
    assert len(reads) == 5 - sent + (kind == "swift")
    assert b"".join(bucket.read("large", 0, 23 << 20)) == file.read_bytes()
    return None
