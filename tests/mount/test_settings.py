"""Settings of a store that change the way to it: a proxy, and certificates of one's own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.azureserver import ACCOUNT, KEY, AzureServer
from tests.support.certificates import make_certificate
from tests.support.forwarding import forwarder
from tests.support.gcsserver import GcsServer
from tests.support.mounts import Host, Mount, host
from tests.support.s3server import S3Server
from tests.support.swiftserver import SwiftServer
from tests.support.webservers import nginx, tls_front

pytestmark = [pytest.mark.mount, pytest.mark.stores]

KINDS = ["s3", "gs", "az", "swift", "https"]


@dataclass
class Way:
    """A store with a file `f`: its URL, its server, and what lies behind that server's address."""

    url: str
    endpoint: str
    path: str
    env: dict[str, str]


@pytest.fixture(params=KINDS)
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Way]:
    name = f"s{uuid.uuid4().hex[:12]}"
    match request.param:
        case "s3":
            s3: S3Server = request.getfixturevalue("moto_server")
            s3.bucket(name).put_object(Bucket=name, Key="f", Body=b"content")
            yield Way(f"s3://{name}", s3.endpoint, "", s3.env)
        case "gs":
            google: GcsServer = request.getfixturevalue("gcs_server")
            google.bucket(name).blob("f").upload_from_string(b"content")
            yield Way(f"gs://{name}", google.endpoint, "", google.env)
        case "az":
            azure: AzureServer = request.getfixturevalue("azure_server")
            azure.container(name)
            azure.client().get_blob_client(name, "f").upload_blob(b"content")
            env = {"AZURE_STORAGE_ACCOUNT": ACCOUNT, "AZURE_STORAGE_KEY": KEY}
            yield Way(
                f"az://{name}", azure.endpoint.removesuffix(f"/{ACCOUNT}"), f"/{ACCOUNT}", env
            )
        case "swift":
            swift: SwiftServer = request.getfixturevalue("swift_server")
            swift.container(name)
            client = swift.client()
            client.put_object(name, "f", b"content")
            storage = client.get_auth()[0]
            client.close()
            address = f"http://127.0.0.1:{swift.port}"
            yield Way(f"swift://{name}", address, storage.removeprefix(address), swift.env)
        case _:
            root, folder = tmp_path / "root", tmp_path / "nginx"
            root.mkdir()
            folder.mkdir()
            (root / "f").write_bytes(b"content")
            with nginx(folder, root) as url:
                yield Way("", url.rstrip("/"), "/", {})


def mounted(one: Host, way: Way, endpoint: str, more: str, name: str = "mnt") -> Mount:
    """A project whose one store is reached at an endpoint."""
    where = (
        f'url = "{way.url}"\nendpoint = "{endpoint}{way.path}"\n'
        if way.url
        else f'url = "{endpoint}/"\n'
    )
    mount = one.project(f"[stores.x]\n{where}{more}", name=name)
    one.urls.clear()
    return mount


def is_down(mount: Mount) -> bool:
    return bool(mount.status()["stores"][0]["state"] == "down")


def test_a_proxy_for_one_store(way: Way, tmp_path: Path) -> None:
    with forwarder() as proxy, host(tmp_path / "host", way.env) as one:
        port = way.endpoint.rpartition(":")[2]
        mount = mounted(one, way, way.endpoint, f'proxy = "{proxy.url}"\n')
        assert (mount / "x/f").read_bytes() == b"content"
        assert proxy.passed_on[f"127.0.0.1:{port}"] >= 2
        mount.umount()
        nowhere = mounted(one, way, way.endpoint, 'proxy = "http://127.0.0.1:9"\n', "nowhere")
        assert is_down(nowhere)


def test_certificates_of_ones_own(way: Way, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path)
    with (
        tls_front(tmp_path, way.endpoint, certificate) as address,
        host(tmp_path / "host", way.env) as one,
    ):
        mount = mounted(one, way, address, f'ca-bundle = "{certificate.chain}"\n')
        assert os.listdir(mount / "x") == ["f"]
        assert (mount / "x/f").read_bytes() == b"content"
        mount.umount()
        untrusting = mounted(one, way, address, "", "untrusting")
        assert is_down(untrusting)
        untrusting.wait_for_log("certificate is not trusted (self-signed certificate)")
        untrusting.wait_for_log("in the project file (ca-bundle)")
