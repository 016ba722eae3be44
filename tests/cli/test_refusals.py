"""Wrong secrets, denied requests, missing buckets and servers of the wrong kind: one clear line, and no secret anywhere."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.azureserver import ACCOUNT, AzureServer
from tests.support.gcsserver import GcsServer, gcs
from tests.support.mounts import Host, Mount, host
from tests.support.radosgw import LISTER, READER, CountedServer
from tests.support.secrets import assert_kept_secret
from tests.support.swiftserver import EVERYBODY, OUTSIDER, SwiftServer
from tests.support.swiftserver import READER as SWIFT_READER
from tests.support.webservers import nginx

pytestmark = [pytest.mark.mount, pytest.mark.stores]

WRONG = "WrongSecretOfNobody0123456789abcdefghijklmnopq"
WRONG_KEY = "V3JvbmdTZWNyZXRPZk5vYm9keTAxMjM0NTY3ODlhYmNkZWZnaGlqa2xtbm9wcQ=="
TOKEN = "TokenOfTheRightHolder0123456789"
KINDS = ["s3", "gs", "az", "swift", "https"]


@dataclass
class Way:
    """How a host comes to a store of one kind: a good way, one with a wrong secret, and the secrets used."""

    url: str
    missing: str
    good: dict[str, str]
    wrong: dict[str, str]
    secrets: tuple[str, ...]


@pytest.fixture(scope="module")
def strict_gcs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GcsServer]:
    with gcs(tmp_path_factory.mktemp("strict"), TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    root = tmp_path_factory.mktemp("pages")
    (root / "f").write_text("content")
    with nginx(tmp_path_factory.mktemp("nginx"), root) as url:
        yield url


def account_of_google(folder: Path, server: GcsServer, token: str) -> dict[str, str]:
    """Application default credentials of a service account whose token is `token`."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file = folder / f"adc-{token[-6:]}.json"
    file.write_text(
        json.dumps(
            {
                "type": "service_account",
                "project_id": "test",
                "client_email": "x@example.org",
                "private_key_id": "x",
                "private_key": private.decode(),
                "token_uri": f"{server.endpoint}/token?token={token}",
            }
        )
    )
    return {**server.env, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}


def way_of(kind: str, request: pytest.FixtureRequest, folder: Path) -> Way:
    name = f"r{uuid.uuid4().hex[:12]}"
    none = f"r{uuid.uuid4().hex[:12]}"
    match kind:
        case "s3":
            s3: CountedServer = request.getfixturevalue("radosgw_server")
            s3.bucket(name)
            wrong = {**s3.env, "AWS_SECRET_ACCESS_KEY": WRONG}
            return Way(f"s3://{name}", f"s3://{none}", s3.env, wrong, (WRONG, s3.secret_key))
        case "gs":
            server: GcsServer = request.getfixturevalue("strict_gcs")
            server.bucket(name)
            good = account_of_google(folder, server, TOKEN)
            wrong = account_of_google(folder, server, WRONG)
            return Way(f"gs://{name}", f"gs://{none}", good, wrong, (WRONG, TOKEN))
        case "az":
            azure: AzureServer = request.getfixturevalue("azure_server")
            azure.container(name)
            wrong = {"AZURE_STORAGE_CONNECTION_STRING": azure.connection_string(WRONG_KEY)}
            return Way(f"az://{name}", f"az://{none}", azure.env, wrong, (WRONG_KEY,))
        case "swift":
            swift: SwiftServer = request.getfixturevalue("swift_server")
            swift.container(name)
            wrong = {**swift.env, "ST_KEY": WRONG}
            return Way(f"swift://{name}", f"swift://{none}", swift.env, wrong, (WRONG,))
        case _:
            url: str = request.getfixturevalue("pages")
            netrc = folder / "netrc"
            netrc.write_text(f"machine 127.0.0.1 login reader password {WRONG}\n")
            return Way(f"{url}secret/", f"{url}down/", {}, {"NETRC": str(netrc)}, (WRONG,))


def refused(one: Host, url: str) -> str:
    """The one line that a mount is refused with."""
    found = one.run("mount", url, one.folder / "mnt", check=False)
    assert found.returncode == 1, found.stdout
    assert found.stdout == ""
    lines = found.stderr.strip().split("\n")
    assert len(lines) == 1, found.stderr
    return lines[0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_secret(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    way = way_of(kind, request, tmp_path)
    with host(tmp_path / "host", way.wrong) as one:
        line = refused(one, way.url)
        assert "credentials" in line or "netrc" in line
        assert way.secrets[0] not in line
    with host(tmp_path / "both", way.wrong) as one:
        good = tmp_path / "good"
        good.mkdir()
        mount = one.project(
            f'[stores.good]\nurl = "{good.as_uri()}"\n[stores.bad]\nurl = "{way.url}"\n'
        )
        (mount / "good/f").write_text("x")
        with pytest.raises(OSError):
            list((mount / "bad").iterdir())
        (told,) = [store for store in mount.status()["stores"] if store["alias"] == "bad"]
        assert told["state"] == "down"
        mount.wait_for_log("bad: ")
        assert_kept_secret(one, way.secrets)
        one.urls.discard(way.url)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_bucket(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    way = way_of(kind, request, tmp_path)
    with host(tmp_path / "host", way.good) as one:
        line = refused(one, way.missing)
        if kind != "https":
            assert "there is no " in line
            assert "make it first" in line
        if way.good:
            mount = one.mount(way.url)
            (mount / "f").write_text("x")
            assert_kept_secret(one, way.secrets)


@pytest.mark.parametrize("kind", ["s3", "gs", "az", "swift"])
def test_a_server_of_the_wrong_kind(kind: str, pages: str, tmp_path: Path) -> None:
    env = {
        "s3": {"AWS_ENDPOINT_URL": pages, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": WRONG},
        "gs": {"STORAGE_EMULATOR_HOST": pages.rstrip("/")},
        "az": {
            "AZURE_STORAGE_CONNECTION_STRING": f"AccountName={ACCOUNT};AccountKey={WRONG_KEY};BlobEndpoint={pages}x"
        },
        "swift": {"ST_AUTH": f"{pages}auth", "ST_USER": "x", "ST_KEY": WRONG},
    }[kind]
    with host(tmp_path / "host", env) as one:
        line = refused(one, f"{kind}://bucket")
        assert WRONG not in line
        assert WRONG_KEY not in line


@pytest.mark.parametrize(
    ("kind", "name"),
    [("s3", "AWS_ACCESS_KEY_ID"), ("az", "AZURE_STORAGE_CONNECTION_STRING"), ("swift", "ST_AUTH")],
)
def test_no_credentials_at_all(kind: str, name: str, tmp_path: Path) -> None:
    env = {"AWS_EC2_METADATA_DISABLED": "true"}
    with host(tmp_path / "host", env) as one:
        assert name in refused(one, f"{kind}://bucket")


@dataclass
class Limited:
    """A store with a file `f` in it, and what two users with fewer rights need; the secrets used."""

    url: str
    reader: dict[str, str]
    lister: dict[str, str]
    secrets: tuple[str, ...]


def limited(kind: str, request: pytest.FixtureRequest, folder: Path) -> Limited:
    name = f"r{uuid.uuid4().hex[:12]}"
    match kind:
        case "s3":
            s3: CountedServer = request.getfixturevalue("radosgw_server")
            s3.bucket(name).put_object(Bucket=name, Key="f", Body=b"content")
            s3.let_in(name)
            reader, lister = s3.env_of(READER), s3.env_of(LISTER)
            secrets = tuple(env["AWS_SECRET_ACCESS_KEY"] for env in (reader, lister))
            return Limited(f"s3://{name}", reader, lister, secrets)
        case "gs":
            server: GcsServer = request.getfixturevalue("strict_gcs")
            server.bucket(name).blob("f").upload_from_string(b"content")
            reader = account_of_google(folder, server, f"{TOKEN}-readonly")
            lister = account_of_google(folder, server, f"{TOKEN}-listonly")
            return Limited(f"gs://{name}", reader, lister, (TOKEN,))
        case "az":
            azure: AzureServer = request.getfixturevalue("azure_server")
            azure.container(name)
            azure.client().get_blob_client(name, "f").upload_blob(b"content")
            signed = [azure.signature(name, rights) for rights in ("rl", "l")]
            reader, lister = (
                {
                    "AZURE_STORAGE_CONNECTION_STRING": f"BlobEndpoint={azure.endpoint};SharedAccessSignature={one}"
                }
                for one in signed
            )
            return Limited(f"az://{name}", reader, lister, tuple(signed))
        case _:
            swift: SwiftServer = request.getfixturevalue("swift_server")
            swift.container(name, readers=f"{SWIFT_READER},.rlistings")
            client = swift.client()
            client.put_object(name, "f", b"content")
            client.close()
            reader, outsider = swift.env_of(SWIFT_READER), swift.env_of(OUTSIDER)
            secrets = (reader["ST_KEY"], outsider["ST_KEY"])
            return Limited(f"swift://{name}", reader, outsider, secrets)


@pytest.mark.parametrize("kind", ["s3", "gs", "az", "swift"])
def test_a_denied_write(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    way = limited(kind, request, tmp_path)
    with host(tmp_path / "host", way.reader) as one:
        mount = one.mount(way.url)
        one.urls.clear()
        assert (mount / "f").read_bytes() == b"content"
        with pytest.raises(PermissionError):
            (mount / "new").write_text("x")
        mount.wait_for_log("new: upload failed")
        assert_one_line(mount, "store:new: upload failed")
        assert_kept_secret(one, way.secrets)


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_denied_read(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    way = limited(kind, request, tmp_path)
    with host(tmp_path / "host", way.lister) as one:
        mount = one.mount(way.url)
        one.urls.clear()
        assert [path.name for path in mount.path.iterdir()] == ["f"]
        with pytest.raises(PermissionError):
            (mount / "f").read_bytes()
        mount.wait_for_log("not read to its end")
        assert_one_line(mount, "read store:f: ")
        assert_kept_secret(one, way.secrets)


@pytest.mark.parametrize("kind", ["az", "swift"])
def test_a_container_that_one_may_not_read(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Rights are for whole containers here, so nobody gets so far as to be denied a file."""
    way = limited(kind, request, tmp_path)
    with host(tmp_path / "host", way.lister) as one:
        line = refused(one, way.url)
        assert "the server says" in line
        assert "check the credentials" in line
        assert_kept_secret(one, way.secrets)


def test_an_address_that_one_may_not_read(pages: str, tmp_path: Path) -> None:
    with host(tmp_path / "host") as one:
        mount = one.mount(f"{pages}closed/")
        with pytest.raises(PermissionError):
            (mount / "f").stat()
        mount.wait_for_log("f cannot be shown: the server says 403")
        assert_one_line(mount, ".*f cannot be shown: the server says 403")


def assert_one_line(mount: Mount, begins: str) -> None:
    """One line of the log says what the server said and what to do; the kernel may ask for a read twice."""
    lines = {line.split(maxsplit=2)[2] for line in mount.log().splitlines()}
    (line,) = (line for line in lines if re.match(begins, line))
    assert "the server says" in line
    assert "credentials" in line or "netrc" in line


def test_public_buckets_need_no_credentials(
    strict_gcs: GcsServer,
    azure_server: AzureServer,
    swift_server: SwiftServer,
    tmp_path: Path,
) -> None:
    name = f"public-{uuid.uuid4().hex[:8]}"
    strict_gcs.bucket(name).blob("f").upload_from_string(b"google")
    azure_server.container(name, public=True)
    azure_server.client().get_blob_client(name, "f").upload_blob(b"azure")
    swift_server.container(name, readers=EVERYBODY)
    client = swift_server.client()
    client.put_object(name, "f", b"swift")
    storage = client.get_auth()[0]
    client.close()
    text = "".join(
        f'[stores.{kind}]\nurl = "{scheme}://{name}"\nanonymous = true\nendpoint = "{endpoint}"\nread-only = true\n'
        for kind, scheme, endpoint in [
            ("google", "gs", strict_gcs.endpoint),
            ("azure", "az", azure_server.endpoint),
            ("swift", "swift", storage),
        ]
    )
    with host(tmp_path / "host") as one:
        mount = one.project(text)
        for kind in ("google", "azure", "swift"):
            assert (mount / f"{kind}/f").read_text() == kind
        one.urls.clear()
