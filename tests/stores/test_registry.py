"""From a URL to a store: what is the same store, and what is none."""

from __future__ import annotations

import pytest

from vstorefs import errors
from vstorefs.stores.registry import Settings, resolve


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


def test_how_long_a_listing_lives() -> None:
    assert resolve("a", "s3://b", environ={}).listing_seconds == 60
    assert resolve("a", "file:///b", environ={}).listing_seconds == 1
    assert resolve("a", "s3://b", Settings(listing_seconds=5), environ={}).listing_seconds == 5


@pytest.mark.parametrize(
    "url",
    ["bucket", "ftp://x", "s3://", "file://host/x", "s3://user:secret@bucket", "gs://", "https://"],
)
def test_what_names_no_store(url: str) -> None:
    with pytest.raises(errors.UsageError) as caught:
        resolve("a", url, environ={})
    assert "secret" not in str(caught.value) or "credentials" in str(caught.value)
