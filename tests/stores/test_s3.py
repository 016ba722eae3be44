"""What is special about S3: paging, credentials, other tools."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.stores.kinds import opened
from tests.support.faultproxy import Fault, Kind, faulty
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


@pytest.mark.parametrize(
    "fault",
    [
        Fault("GET", ".*/f$", Kind.LENGTH, at=5),
        Fault("GET", ".*/f$", Kind.LENGTH, at=-5),
        Fault("GET", ".*/f$", Kind.CUT_ANSWER, at=7, times=3),
        Fault("GET", ".*/f$", Kind.LOST, times=3),
        Fault("GET", ".*/f$", Kind.REFUSE, times=3),
        Fault("GET", ".*/f$", Kind.ANSWER, status=429, retry_after_s=1),
        Fault("GET", ".*/f$", Kind.ANSWER, status=500, times=3),
    ],
    ids=lambda fault: f"{fault.kind.name} {fault.at or fault.status}",
)
@pytest.mark.parametrize("versioned", [True, False])
def test_what_a_network_does_to_a_read_is_no_other_content(
    moto_server: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    fault: Fault,
    versioned: bool,
) -> None:
    bucket = f"b{uuid.uuid4().hex[:12]}"
    client = moto_server.bucket(bucket, versioned=versioned)
    client.put_object(Bucket=bucket, Key="f", Body=b"0123456789")
    with faulty(int(moto_server.endpoint.rpartition(":")[2]), tmp_path) as proxy:
        env = moto_server.env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        store = opened(f"s3://{bucket}", env, request)
        [entry] = [entry for page in store.list(Key("")) for entry in page.entries]
        proxy.add(fault)
        before = proxy.hits("GET", f"{bucket}/f")
        assert b"".join(store.read(entry.key, entry.token, 0, 10)) == b"0123456789"
        assert proxy.hits("GET", f"{bucket}/f") - before == fault.times + 1
