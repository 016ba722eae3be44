"""What clouds do to objects by themselves, and what is said of it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import boto3
import pytest
from azure.core.exceptions import HttpResponseError
from botocore.config import Config
from google.api_core.exceptions import BadRequest as GoogleBadRequest

from tests.support.azureserver import ACCOUNT, KEY, AzureServer
from tests.support.gcsserver import GcsServer
from tests.support.mounts import host
from tests.support.processes import ROOT
from tests.support.s3server import S3Server
from vstorefs import errors
from vstorefs.model import Capabilities, Key, Mark, VersionId, VersionKind, Write, WriteId
from vstorefs.stores.azure.errors import translated as azure_translated
from vstorefs.stores.bucket import Bucket, Versioning
from vstorefs.stores.gcs.errors import translated as gcs_translated
from vstorefs.stores.registry import Settings, open_bucket, resolve
from vstorefs.versions.layouts.native import NativeStore

pytestmark = pytest.mark.stores


def named() -> str:
    return f"c{uuid.uuid4().hex[:12]}"


def bucket_of(url: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for key, value in env.items():
        monkeypatch.setenv(key, value)
    return open_bucket(resolve("test", url, environ=env))


@pytest.mark.mount
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_an_archived_object_says_how_to_get_it_back(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    name = named()
    if kind == "s3":
        s3: S3Server = request.getfixturevalue("moto_server")
        s3.bucket(name, versioned=False).put_object(
            Bucket=name, Key="cold", Body=b"x" * 100, StorageClass="GLACIER"
        )
        url, env = f"s3://{name}", s3.env
    else:
        azure: AzureServer = request.getfixturevalue("azure_server")
        azure.container(name)
        blob = azure.client().get_blob_client(name, "cold")
        blob.upload_blob(b"x" * 100)
        blob.set_standard_blob_tier("Archive")
        url, env = f"az://{name}", azure.env
    with host(tmp_path / "host", env) as one:
        mount = one.mount(url)
        assert (mount / "cold").stat().st_size == 100
        with pytest.raises(OSError, match="Input/output error"):
            (mount / "cold").read_bytes()
        mount.wait_for_log("restore the object from its archive class first")


@pytest.mark.mount
@pytest.mark.parametrize(
    ("prefix", "told", "number"),
    [
        ("bycustomer", "encrypted with a key that has to be sent", errno.EOPNOTSUPP),
        ("bykms", "KMS.DisabledException; see that its key exists", errno.EACCES),
    ],
)
def test_a_key_that_is_not_to_be_had(
    prefix: str, told: str, number: int, moto_server: S3Server, tmp_path: Path
) -> None:
    name = f"{prefix}-{named()}"
    moto_server.bucket(name).put_object(Bucket=name, Key="f", Body=b"x" * 100)
    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{name}")
        assert (mount / "f").stat().st_size == 100
        with pytest.raises(OSError) as caught:
            (mount / "f").read_bytes()
        assert caught.value.errno == number
        mount.wait_for_log(told)


def test_customers_keys_at_other_providers() -> None:
    """Their test servers encrypt nothing: the errors are made as their libraries make them."""
    azure = HttpResponseError("x")
    azure.status_code, azure.error_code = 409, "BlobUsesCustomerSpecifiedEncryption"  # type: ignore[attr-defined]
    google = GoogleBadRequest(
        "The target object is encrypted by a customer-supplied encryption key."
    )
    borders = ((azure_translated, azure), (gcs_translated, google))
    for translated, error in borders:
        with (
            pytest.raises(errors.NotSupported, match="a key that has to be sent"),
            translated("a", "k", "read"),
        ):
            raise error


@pytest.mark.mount
def test_object_lock_and_legal_hold_do_no_harm(moto_server: S3Server, tmp_path: Path) -> None:
    name = f"locked-{named()}"
    client = moto_server.client()
    client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=True)
    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{name}")
        (mount / "d").mkdir()
        (mount / "d/f").write_text("first")
        client.put_object_legal_hold(Bucket=name, Key="d/f", LegalHold={"Status": "ON"})
        until = datetime.now(UTC) + timedelta(days=1)
        client.put_object_retention(
            Bucket=name, Key="d/f", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
        )
        (mount / "d/f").write_text("second")
        (mount / "d/empty").touch()
        os.rename(mount / "d/f", mount / "d/g")
        (mount / "d/g").unlink()
        one.run("flush")
        assert mount.contents("d/f")[:2] == [b"first", b"second"]
        assert mount.contents("d/g")[0] == b"second"
        assert os.listdir(mount / "d") == ["empty"]
        assert "upload failed" not in mount.log()


@pytest.mark.mount
@pytest.mark.parametrize("region", ["", 'region = "eu-north-1"\n'])
def test_a_bucket_in_another_region(region: str, moto_server: S3Server, tmp_path: Path) -> None:
    name = f"elsewhere-{named()}"
    env = moto_server.env | {"AWS_DEFAULT_REGION": "eu-north-1"}
    client = boto3.session.Session().client(
        "s3",
        endpoint_url=moto_server.endpoint,
        aws_access_key_id="x",
        aws_secret_access_key="x",
        region_name="eu-north-1",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-north-1"}
    )
    with host(tmp_path / "host", env | {"AWS_DEFAULT_REGION": "us-east-1"}) as one:
        mount = one.project(f'[stores.x]\nurl = "s3://{name}"\n{region}')
        (mount / "x/f").write_text("one")
        (mount / "x/f").write_text("two")
        assert mount.contents("x/f") == [b"one", b"two"]
    with host(tmp_path / "named", env) as one:
        assert (one.mount(f"s3://{name}") / "f").read_text() == "two"


def doctor(url: str, env: dict[str, str], home: Path, *more: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "vstorefs.cli.main", "doctor", url, *more],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "PYTHONPATH": str(ROOT),
            **env,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_doctor_warns_of_rules_that_remove_versions(
    moto_server: S3Server, gcs_server: GcsServer, tmp_path: Path
) -> None:
    name = named()
    client = moto_server.bucket(name)
    assert "warning" not in doctor(f"s3://{name}", moto_server.env, tmp_path)
    client.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "tidy",
                    "Status": "Enabled",
                    "Filter": {"Prefix": ""},
                    "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
                },
                {
                    "ID": "asleep",
                    "Status": "Disabled",
                    "Filter": {"Prefix": ""},
                    "Expiration": {"Days": 1},
                },
            ]
        },
    )
    said = doctor(f"s3://{name}", moto_server.env, tmp_path)
    assert (
        "rule tidy removes versions 30 days after they were superseded: versions will be lost"
        in said
    )
    assert "asleep" not in said
    made = gcs_server.bucket(name)
    made.add_lifecycle_delete_rule(number_of_newer_versions=3)
    made.patch()
    assert "numNewerVersions = 3" in doctor(f"gs://{name}", gcs_server.env, tmp_path)
    found = json.loads(doctor(f"gs://{name}", gcs_server.env, tmp_path, "--json"))
    assert len(found["warnings"]) == 1


def test_doctor_takes_back_uploads_that_nobody_finished(
    moto_server: S3Server, radosgw_server: S3Server, tmp_path: Path
) -> None:
    name = named()
    client = moto_server.bucket(name)
    for key in ("mine/large", "other/large"):
        client.create_multipart_upload(Bucket=name, Key=key)
    # moto says of every upload that it was begun in 2010.
    url, env = f"s3://{name}/mine", moto_server.env
    assert "1 unfinished upload over a week old" in doctor(url, env, tmp_path)
    assert "aborted 1 unfinished upload\n" in doctor(url, env, tmp_path, "--abort-uploads")
    left = client.list_multipart_uploads(Bucket=name)["Uploads"]
    assert [one["Key"] for one in left] == ["other/large"]
    young = radosgw_server.bucket(name)
    young.create_multipart_upload(Bucket=name, Key="mine/large")
    assert "unfinished" not in doctor(url, radosgw_server.env, tmp_path)
    assert "aborted 0 unfinished uploads" in doctor(
        url, radosgw_server.env, tmp_path, "--abort-uploads"
    )
    assert len(young.list_multipart_uploads(Bucket=name)["Uploads"]) == 1


def test_who_asks_pays_where_the_owner_does_not(
    moto_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = named()
    moto_server.bucket(name)
    for key, value in moto_server.env.items():
        monkeypatch.setenv(key, value)
    spec = resolve("x", f"s3://{name}", Settings(requester_pays=True), environ=moto_server.env)
    bucket: Any = open_bucket(spec)
    said: list[bool] = []
    bucket._client.meta.events.register(
        "before-send.s3.*",
        lambda request, **_: said.append("x-amz-request-payer" in request.headers),
    )
    bucket.put("f", b"x", metadata={}, content_type="text/plain")
    bucket.stat("f")
    list(bucket.list(""))
    assert said == [True, True, True]


# --- Azure's own versions: its test server has none, so recorded answers stand for them


class Azure(BaseHTTPRequestHandler):
    """Answers in the words of Azure's documentation for Blob versioning (version 2021-12-02 of the interface)."""

    protocol_version = "HTTP/1.1"
    versions: ClassVar[list[tuple[str, bytes, dict[str, str]]]] = []
    deleted = False

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        query = self.path.partition("?")[2]
        if "comp=list" in query:
            blobs = "".join(
                f"<Blob><Name>f</Name><VersionId>{version}</VersionId>"
                + (
                    "<IsCurrentVersion>true</IsCurrentVersion>"
                    if at == len(self.versions) - 1 and not self.deleted
                    else ""
                )
                + f"<Properties><Last-Modified>{_when(version)}</Last-Modified><Etag>0x{at}</Etag>"
                f"<Content-Length>{len(data)}</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
                for at, (version, data, _) in enumerate(self.versions)
                if "versions" in query or (at == len(self.versions) - 1 and not self.deleted)
            )
            body = f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs>{blobs}</Blobs><NextMarker /></EnumerationResults>'
            return self._say(200, {"Content-Type": "application/xml"}, body.encode())
        return self._blob(with_body=True)

    def do_HEAD(self) -> None:
        self._blob(with_body=False)

    def _blob(self, *, with_body: bool) -> None:
        asked = [part for part in self.path.partition("?")[2].split("&") if "versionid" in part]
        wanted = asked[0].partition("=")[2].replace("%3A", ":") if asked else None
        if (
            not self.path.partition("?")[0].endswith("/f")
            or not self.versions
            or (self.deleted and wanted is None)
        ):
            return self._say(404, {"x-ms-error-code": "BlobNotFound"})
        at = (
            len(self.versions) - 1
            if wanted is None
            else [one[0] for one in self.versions].index(wanted)
        )
        version, data, metadata = self.versions[at]
        headers = {
            "ETag": f'"0x{at}"',
            "Last-Modified": _when(version),
            "x-ms-version-id": version,
            "x-ms-blob-type": "BlockBlob",
            **metadata,
        }
        if not with_body:
            return self._say(200, headers | {"Content-Length": str(len(data))})
        return self._say(
            206, headers | {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}, data
        )

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        about = {
            name: value for name, value in self.headers.items() if name.startswith("x-ms-meta-")
        }
        if ".vstorefs" in self.path:
            return self._say(201, {"ETag": '"0x9"', "Last-Modified": _when("")})
        version = f"2026-11-01T10:00:0{len(self.versions)}.0000000Z"
        type(self).versions = [*self.versions, (version, body, about)]
        type(self).deleted = False
        return self._say(
            201, {"ETag": '"0x1"', "Last-Modified": _when(version), "x-ms-version-id": version}
        )

    def do_DELETE(self) -> None:
        type(self).deleted = True
        self._say(202, {})

    def _say(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _when(version: str) -> str:
    moment = datetime.fromisoformat(version[:19] or "2026-11-01T10:00:00").replace(tzinfo=UTC)
    return format_datetime(moment, usegmt=True)


def test_azures_own_versions_in_recorded_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = "2026-11-01T10:00:00.0000000Z"
    Azure.versions, Azure.deleted = [(first, b"made by another tool", {})], False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Azure)
    Thread(target=server.serve_forever, daemon=True).start()
    string = f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint=http://127.0.0.1:{server.server_port}/{ACCOUNT};"
    bucket = bucket_of("az://box", {"AZURE_STORAGE_CONNECTION_STRING": string}, monkeypatch)
    try:
        assert bucket.versioning() is Versioning.ENABLED
        store = NativeStore(bucket, Capabilities(writable=True))
        monkeypatch.setattr(store, "ready", lambda: None)
        monkeypatch.setattr(store._records, "all_of_path", lambda _: [])
        source = tmp_path / "source"
        source.write_bytes(b"ours")
        head = store.stat(Key("f"))
        write = Write(WriteId("w1"), VersionId("v1"), 1, head.token, size=4)
        store.put(Key("f"), source, write)
        found = store.history(Key("f"))
        assert [(one.size, one.is_head) for one in found] == [(20, False), (4, True)]
        assert (found[0].marks, found[1].write_id) == ((Mark.OUTSIDE,), "w1")
        assert (
            b"".join(bucket.read("f", 0, 20, version=VersionId(first))) == b"made by another tool"
        )
        store.remove(Key("f"), Write(WriteId("w2"), VersionId("v2"), 2, found[1].token))
        kinds = [one.kind for one in store.history(Key("f"))]
        assert kinds == [VersionKind.CONTENT, VersionKind.CONTENT, VersionKind.TOMBSTONE]
        with pytest.raises(errors.NotFound):
            store.stat(Key("f"))
    finally:
        bucket.close()
        server.shutdown()
        server.server_close()
