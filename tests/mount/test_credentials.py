"""Credentials come from where each provider's own tools look, and those that run out are renewed during a mount."""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.azureserver import ACCOUNT, KEY, AzureServer, azurite
from tests.support.certificates import make_certificate
from tests.support.gcsserver import GcsServer, gcs
from tests.support.givers import (
    Said,
    giver,
    identity_of_azure,
    keys_of_aws,
    keystone,
    machine_of_google,
)
from tests.support.mounts import host
from tests.support.processes import wait_until
from tests.support.radosgw import CountedServer
from tests.support.secrets import assert_kept_secret
from tests.support.swiftserver import SwiftServer
from tests.support.webservers import nginx

pytestmark = [pytest.mark.mount, pytest.mark.stores]

SECRET = "SecretThatIsGivenOut0123456789abcdef"


def named() -> str:
    return f"c{uuid.uuid4().hex[:12]}"


def text_of(path: Path) -> str:
    """What a file holds; an empty text while that is refused."""
    try:
        return path.read_text()
    except OSError:
        return ""


def wrote(path: Path, text: str) -> bool:
    """Whether a file could be written."""
    try:
        path.write_text(text)
    except OSError:
        return False
    return True


# --- S3: files below ~/.aws, a process, a role


@pytest.fixture
def keys(radosgw_server: CountedServer) -> Iterator[Any]:
    """Gives a bucket to a user of its own, and the user new keys in the place of its old ones."""
    user = named()
    radosgw_server.admin("user", "create", f"--uid={user}", f"--display-name={user}")
    held: list[tuple[str, str]] = []

    def renew() -> tuple[str, str]:
        made = (f"access{uuid.uuid4().hex[:12]}", f"{SECRET}{uuid.uuid4().hex[:8]}")
        about = [f"--access-key={made[0]}", f"--secret-key={made[1]}"]
        radosgw_server.admin("key", "create", f"--uid={user}", "--key-type=s3", *about)
        while held:
            old = held.pop()
            radosgw_server.admin("key", "rm", f"--uid={user}", f"--access-key={old[0]}")
        held.append(made)
        return made

    yield renew
    radosgw_server.admin("user", "rm", f"--uid={user}", "--purge-data")


def own_bucket(server: CountedServer, keys: tuple[str, str]) -> tuple[str, Any]:
    name = named()
    own = CountedServer(server.endpoint, *keys)
    client = own.bucket(name)
    for key in ("a", "b", "c"):
        client.put_object(Bucket=name, Key=key, Body=key.encode())
    return name, client


def reach(server: CountedServer) -> dict[str, str]:
    """All but the keys."""
    return {
        name: value
        for name, value in server.env.items()
        if name in {"AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION"}
    }


def aws_file(name: str, pair: tuple[str, str]) -> str:
    return f"[{name}]\naws_access_key_id = {pair[0]}\naws_secret_access_key = {pair[1]}\n"


def test_keys_in_a_profile_that_are_renewed(
    radosgw_server: CountedServer, keys: Any, tmp_path: Path
) -> None:
    """As the tools write them that sign in for some hours: the same file, with new keys in it."""
    pair = keys()
    bucket, _ = own_bucket(radosgw_server, pair)
    with host(tmp_path / "host", reach(radosgw_server) | {"AWS_PROFILE": "work"}) as one:
        file = one.folder / "home/.aws/credentials"
        file.parent.mkdir()
        file.write_text(aws_file("work", pair))
        mount = one.mount(f"s3://{bucket}")
        assert (mount / "a").read_text() == "a"
        new = keys()
        assert text_of(mount / "b") == ""
        file.write_text(aws_file("work", new))
        wait_until(lambda: text_of(mount / "b") == "b", "use of the new keys")
        # Each worker finds out by itself.
        wait_until(lambda: wrote(mount / "new", "x"), "use of the new keys", seconds=120)
        wait_until(lambda: text_of(mount / "new") == "x", "use of the new keys")
        assert_kept_secret(one, (pair[1], new[1]))


@pytest.mark.parametrize("way", ["process", "role"])
def test_keys_of_aws_that_run_out(
    way: str, radosgw_server: CountedServer, keys: Any, tmp_path: Path
) -> None:
    """They are renewed before anything is refused, by what gave them out."""
    held = [keys()]
    bucket, _ = own_bucket(radosgw_server, held[0])
    given = tmp_path / "given.json"
    with contextlib.ExitStack() as stack:
        env = reach(radosgw_server)
        if way == "role":
            role = stack.enter_context(giver(lambda _: Said(json.loads(given.read_text()))))
            env["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = f"{role.url}/role"
        given.write_text(json.dumps(keys_of_aws(*held[0])))
        one = stack.enter_context(host(tmp_path / "host", env))
        if way == "process":
            config = one.folder / "home/.aws/config"
            config.parent.mkdir()
            config.write_text(f"[default]\ncredential_process = cat {given}\n")
        mount = one.mount(f"s3://{bucket}")
        assert (mount / "a").read_text() == "a"
        held.append(keys())
        given.write_text(json.dumps(keys_of_aws(*held[1])))
        assert (mount / "b").read_text() == "b"
        (mount / "new").write_text("x")
        assert (mount / "new").read_text() == "x"
        assert "denied" not in mount.log().lower()
        assert_kept_secret(one, tuple(pair[1] for pair in held))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (
            "sso_start_url = https://x.awsapps.com/start\nsso_region = us-east-1\n"
            "sso_account_id = 123456789012\nsso_role_name = r\n",
            "run: aws sso login",
        ),
        ("credential_process = false\n", "credential_process"),
    ],
)
def test_keys_of_aws_that_cannot_be_had(config: str, told: str, tmp_path: Path) -> None:
    with host(tmp_path / "host", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}) as one:
        file = one.folder / "home/.aws/config"
        file.parent.mkdir()
        file.write_text(f"[default]\n{config}")
        found = one.run("mount", "s3://bucket", one.folder / "mnt", check=False)
        assert (found.returncode, found.stderr.count("\n")) == (1, 1), found.stderr
        assert told in found.stderr


# --- Google


@pytest.fixture
def strict(tmp_path: Path) -> Iterator[GcsServer]:
    with gcs(tmp_path, SECRET) as server:
        yield server


def test_a_token_of_google_that_runs_out(strict: GcsServer, tmp_path: Path) -> None:
    """A machine's own account, as in Google's cloud; the endpoint is named in the project file."""
    name = named()
    bucket = strict.bucket(name)
    for key in ("a", "b"):
        bucket.blob(key).upload_from_string(key)
    with giver(machine_of_google(lambda: strict.token or "")) as machine:
        where = f"127.0.0.1:{machine.port}"
        env = {"GCE_METADATA_HOST": where, "GCE_METADATA_IP": where, "NO_GCE_CHECK": "false"}
        with host(tmp_path / "host", env) as one:
            mount = one.project(
                f'[stores.x]\nurl = "gs://{name}"\nendpoint = "{strict.endpoint}"\n'
            )
            one.urls.clear()
            assert (mount / "x/a").read_text() == "a"
            before = machine.given
            strict.renew(f"{SECRET}2")
            assert (mount / "x/b").read_text() == "b"
            (mount / "x/new").write_text("x" * 100_000)
            assert (mount / "x/new").read_text() == "x" * 100_000
            assert machine.given > before
            assert_kept_secret(one, (SECRET,))


# --- Azure


def blob_container(server: AzureServer) -> str:
    name = named()
    server.container(name)
    for key in ("a", "b"):
        server.client().get_blob_client(name, key).upload_blob(key.encode())
    return name


def test_a_managed_identity_whose_tokens_run_out(tmp_path: Path) -> None:
    """And a server whose certificate only the project file trusts."""
    certificate = make_certificate(tmp_path)
    with (
        azurite(tmp_path, certificate) as server,
        giver(identity_of_azure(SECRET, 3)) as identity,
    ):
        name = blob_container(server)
        env = {
            "IDENTITY_ENDPOINT": f"{identity.url}/token",
            "IDENTITY_HEADER": SECRET,
            "AZURE_STORAGE_ACCOUNT": ACCOUNT,
        }
        store = f'[stores.x]\nurl = "az://{name}"\nendpoint = "{server.endpoint}"\n'
        with host(tmp_path / "host", env) as one:
            mount = one.project(f'{store}ca-bundle = "{certificate.chain}"\n')
            one.urls.clear()
            assert (mount / "x/a").read_text() == "a"
            ran_out = time.time() + 4
            wait_until(lambda: time.time() > ran_out, "end of the first token")
            assert (mount / "x/b").read_text() == "b"
            (mount / "x/new").write_text("x")
            assert identity.given > 1
            assert_kept_secret(one, (SECRET,))
            mount.umount()
            nobody = one.project(store, name="nobody")
            assert nobody.status()["stores"][0]["state"] == "down"
            nobody.wait_for_log("certificate is not trusted")
            one.urls.clear()


@pytest.mark.parametrize("way", ["key", "signature"])
def test_names_of_the_azure_command_line(
    way: str, azure_server: AzureServer, tmp_path: Path
) -> None:
    name = blob_container(azure_server)
    signature = azure_server.signature(name, "racwdl")
    env = {"AZURE_STORAGE_ACCOUNT": ACCOUNT}
    env |= {"AZURE_STORAGE_KEY": KEY} if way == "key" else {"AZURE_STORAGE_SAS_TOKEN": signature}
    with host(tmp_path / "host", env) as one:
        mount = one.project(
            f'[stores.x]\nurl = "az://{name}"\nendpoint = "{azure_server.endpoint}"\n'
        )
        one.urls.clear()
        assert (mount / "x/a").read_text() == "a"
        (mount / "x/new").write_text("x")
        assert_kept_secret(one, (KEY, signature))


# --- Swift


def container(server: SwiftServer, *, versioned: bool = True) -> str:
    name = named()
    server.container(name, versioned=versioned)
    client = server.client()
    for key in ("a", "b"):
        client.put_object(name, key, key.encode())
    client.close()
    return name


@pytest.mark.parametrize("versioned", [True, False])
def test_a_token_of_swift_that_runs_out(
    versioned: bool, swift_server: SwiftServer, tmp_path: Path
) -> None:
    name = container(swift_server, versioned=versioned)
    with host(tmp_path / "host", swift_server.env) as one:
        mount = one.mount(f"swift://{name}")
        assert (mount / "a").read_text() == "a"
        (mount / "first").write_bytes(b"1" * 3_000_000)
        swift_server.forget_tokens()
        (mount / "second").write_bytes(b"2" * 3_000_000)
        swift_server.forget_tokens()
        assert (mount / "b").read_text() == "b"
        for path, content in (("first", b"1"), ("second", b"2")):
            assert (mount / path).read_bytes() == content * 3_000_000
        assert "upload failed" not in mount.log()
        assert_kept_secret(one, (swift_server.key + "-", name + "-secret"))


@pytest.mark.parametrize("way", ["password", "application"])
def test_keystone(way: str, swift_server: SwiftServer, tmp_path: Path) -> None:
    name = container(swift_server)
    with giver(keystone(swift_server, SECRET)) as door:
        env = {"OS_AUTH_URL": f"{door.url}/v3", "OS_IDENTITY_API_VERSION": "3"}
        if way == "password":
            env |= {
                "OS_USERNAME": "analyst",
                "OS_PASSWORD": SECRET,
                "OS_PROJECT_NAME": "mnist",
                "OS_USER_DOMAIN_NAME": "Default",
                "OS_PROJECT_DOMAIN_NAME": "Default",
            }
        else:
            env |= {
                "OS_AUTH_TYPE": "v3applicationcredential",
                "OS_APPLICATION_CREDENTIAL_ID": "app-1",
                "OS_APPLICATION_CREDENTIAL_SECRET": SECRET,
            }
        with host(tmp_path / "host", env) as one:
            mount = one.mount(f"swift://{name}")
            assert (mount / "a").read_text() == "a"
            before = door.given
            swift_server.forget_tokens()
            (mount / "new").write_text("x")
            assert (mount / "b").read_text() == "b"
            assert door.given > before
            assert_kept_secret(one, (SECRET,))
            mount.umount()
        wrong = {key: value.replace(SECRET, f"{SECRET}-wrong") for key, value in env.items()}
        with host(tmp_path / "wrong", wrong) as one:
            found = one.run("mount", f"swift://{name}", one.folder / "mnt", check=False)
            assert (found.returncode, found.stderr.count("\n")) == (1, 1), found.stderr
            assert "check the credentials" in found.stderr
            assert SECRET not in found.stderr


# --- the web


def test_a_password_for_the_web_that_changes(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in ("a", "b"):
        (root / name).write_text(name)
    netrc = tmp_path / "netrc"

    def give(folder: Path, password: str) -> None:
        command = ["openssl", "passwd", "-apr1", password]
        made = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        (folder / "users").write_text(f"reader:{made}\n")
        netrc.write_text(f"machine 127.0.0.1 login reader password {password}\n")
        netrc.chmod(0o600)

    server = tmp_path / "nginx"
    server.mkdir()
    with nginx(server, root) as url, host(tmp_path / "host", {"NETRC": str(netrc)}) as one:
        give(server, SECRET)
        mount = one.mount(f"{url}secret/")
        assert (mount / "a").read_text() == "a"
        give(server, f"{SECRET}2")
        assert (mount / "b").read_text() == "b"
        assert_kept_secret(one, (SECRET,))
