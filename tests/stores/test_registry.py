"""From a URL to a store: what is the same store, and what is none."""

from __future__ import annotations

import json

import pytest

from tests.support.memory.server import MemoryServer
from vstorefs import errors, projectfile
from vstorefs.stores.registry import SCHEMES, Settings, kind_of, open_bucket, resolve


def test_one_store_has_one_identity() -> None:
    first = resolve("a", "s3://bucket/some/prefix/", environ={})
    assert first.id == resolve("b", "s3://bucket/some/prefix", environ={}).id
    assert first.id != resolve("a", "s3://bucket/some", environ={}).id
    elsewhere = resolve(
        "a", "s3://bucket/some/prefix", environ={"AWS_ENDPOINT_URL": "https://other"}
    )
    assert first.id != elsewhere.id
    assert elsewhere.endpoint == "https://other"
    folders = [
        resolve("a", url, environ={}).id
        for url in ("file:///x/y", "file:///x//y/", "file://localhost/x/y")
    ]
    assert len(set(folders)) == 1


@pytest.mark.parametrize(
    ("url", "environ", "identity"),
    [
        ("s3://b/p", {"AWS_ENDPOINT_URL": "https://other"}, "f96fed59d8d796c4de1365d54fbfbf16"),
        ("gs://b", {"STORAGE_EMULATOR_HOST": "http://x"}, "2cb303c4f966ef6f22270b0296d8aa95"),
        (
            "az://c/p",
            {"AZURE_STORAGE_CONNECTION_STRING": "AccountName=a;AccountKey=k"},
            "eaf49691a26b907b67a06b14626801ef",
        ),
        (
            "swift://c",
            {"OS_AUTH_URL": "https://k", "OS_PROJECT_NAME": "p"},
            "390654f893a37e2636a4f2c65e22baf9",
        ),
        ("file:///srv/a b", {}, "4c2f09cb514020cac71e3a1644244924"),
        ("https://h/x", {}, "8def83ca14d5c901db222bf50be44d62"),
    ],
)
def test_an_identity_is_for_ever(url: str, environ: dict[str, str], identity: str) -> None:
    """Caches, journals and histories at hand are found by it."""
    assert resolve("a", url, environ=environ).id == identity


@pytest.mark.parametrize("url", ["s3://b/p", "gs://b", "az://c", "swift://c", "https://h/x"])
def test_who_reaches_a_store_by_another_way_shares_nothing_with_it(url: str) -> None:
    """Its cache, its journal and its ledger are found by the identity."""
    ways = [
        Settings(),
        Settings(proxy="http://p:1"),
        Settings(proxy="http://p:2"),
        Settings(ca_bundle="/a.pem"),
        Settings(ca_bundle="/b.pem"),
        Settings(proxy="http://p:1", ca_bundle="/a.pem"),
    ]
    found = [resolve("a", url, way, environ={}).id for way in ways]
    assert len(set(found)) == len(ways)
    assert found == [resolve("b", url, way, environ={}).id for way in ways]


def test_how_a_store_is_asked_is_no_other_way_to_it() -> None:
    plain = resolve("a", "s3://b/p", environ={}).id
    asked = Settings(
        read_only=True, listing_seconds=1, anonymous=True, requester_pays=True, concurrency=2
    )
    assert resolve("a", "s3://b/p", asked, environ={}).id == plain
    assert resolve("a", "s3://b/p", Settings(proxy="http://p/"), environ={}).id == (
        resolve("a", "s3://b/p", Settings(proxy="http://p"), environ={}).id
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_url_that_shouts_is_of_the_same_kind(scheme: str) -> None:
    assert kind_of(f"{scheme.upper()}://x") is kind_of(f"{scheme}://x")


def test_how_long_a_listing_lives() -> None:
    assert resolve("a", "s3://b", environ={}).listing_seconds == 60
    assert resolve("a", "file:///b", environ={}).listing_seconds == 1
    assert resolve("a", "s3://b", Settings(listing_seconds=5), environ={}).listing_seconds == 5


@pytest.mark.parametrize(
    "url",
    [
        "bucket",
        "ftp://x",
        "s3://",
        "file://host/x",
        "s3://user:secret@bucket",
        "gs://",
        "https://",
        "https://[x",
        "s3://[b",
        "memory://x",
    ],
)
def test_what_names_no_store(url: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        resolve("a", url, environ={})
    assert "secret" not in str(caught.value) or "credentials" in str(caught.value)


def test_a_kind_of_the_tests_own_is_told_to_nobody(memory_server: MemoryServer) -> None:
    memory_server.bucket("b")
    bucket = open_bucket(resolve("a", "memory://b/p", environ={}))
    bucket.put("f", b"content", metadata={}, content_type="text/plain")
    assert list(memory_server.shelves["b"].objects) == ["p/f"]
    with pytest.raises(errors.UsageError, match="begins with one of file://") as caught:
        resolve("a", "ftp://x", environ={})
    assert "memory" not in str(caught.value)
    assert "memory" not in json.dumps(projectfile.schema())
