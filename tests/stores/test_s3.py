"""What is special about S3: paging, credentials, other tools."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.stores.kinds import opened
from tests.support.radosgw import CountedServer
from tests.support.s3server import S3Server
from vstorefs import errors
from vstorefs.model import Key

pytestmark = pytest.mark.stores


def test_more_names_than_a_page(
    moto_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    client = moto_server.client()
    with ThreadPoolExecutor(8) as pool:
        list(
            pool.map(
                lambda n: client.put_object(Bucket=bucket, Key=f"d/{n:04d}", Body=b""), range(1100)
            )
        )
    for name, value in moto_server.env.items():
        monkeypatch.setenv(name, value)
    store = opened(f"s3://{bucket}", moto_server.env, request)
    assert len([entry for page in store.list(Key("d")) for entry in page.entries]) == 1100
    assert len(list(store.versions(Key("d")))) == 1100


def test_a_wrong_secret_is_denied_and_not_shown(
    radosgw_server: CountedServer, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    radosgw_server.bucket("denied")
    for name, value in (
        radosgw_server.env | {"AWS_SECRET_ACCESS_KEY": "wrong-secret-value"}
    ).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(errors.Denied) as caught:
        opened("s3://denied", radosgw_server.env, request)
    assert "check the credentials" in str(caught.value)
    assert "wrong-secret-value" not in str(caught.value)


def test_names_that_cannot_be_files_are_left_out(
    moto_server: S3Server,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    client = moto_server.client()
    for key in ("good", "d//twice", "d/", "x" * 300, "d/good"):
        client.put_object(Bucket=bucket, Key=key, Body=b"")
    for name, value in moto_server.env.items():
        monkeypatch.setenv(name, value)
    store = opened(f"s3://{bucket}", moto_server.env, request)
    assert sorted(entry.key for page in store.list(Key("")) for entry in page.entries) == [
        "d",
        "good",
    ]
    assert [entry.key for page in store.list(Key("d")) for entry in page.entries] == ["d/good"]
