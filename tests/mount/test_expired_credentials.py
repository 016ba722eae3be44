"""Credentials that run out or are taken away during a mount, and come back: nothing is lost, and one line says what to do."""

from __future__ import annotations

import contextlib
import errno
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.azureserver import ACCOUNT, AzureServer
from tests.support.mounts import Host, Mount, error_of, host
from tests.support.processes import wait_until
from tests.support.radosgw import CountedServer
from tests.support.s3server import S3Server
from tests.support.secrets import assert_kept_secret

pytestmark = [pytest.mark.mount, pytest.mark.stores]

SECRET = "SecretThatRunsOut0123456789abcdef"


def named() -> str:
    return f"c{uuid.uuid4().hex[:12]}"


@dataclass(frozen=True)
class Interruption:
    """A mount with unread files `b` and `c`, whose credentials `end`, and are given back.

    `told`: what the log says meanwhile. `stored`: what the store has by a name, seen from outside.
    """

    mount: Mount
    end: Callable[[], None]
    told: str
    give_back: Callable[[], None]
    stored: Callable[[str], bytes]


def goes_on(case: Interruption) -> None:
    """Reads are refused until the credentials are back; what was written meanwhile arrives without a remount."""
    mount = case.mount
    assert (mount / "a").read_text() == "a"
    case.end()
    assert error_of((mount / "b").read_bytes) == errno.EACCES
    mount.wait_for_log(case.told)
    # The close may say that its upload was refused; its content is in the journal either way.
    with contextlib.suppress(PermissionError):
        (mount / "new").write_text("written meanwhile")
    assert [one["path"] for one in mount.status()["pending"]] == ["new"]
    assert mount.status()["stores"][0]["state"] != "down"
    assert error_of((mount / "c").read_bytes) == errno.EACCES
    case.give_back()
    # A worker looks for new ones some seconds after it did last; each finds out by itself.
    for name in "bc":
        wait_until(
            lambda: error_of((mount / name).read_bytes) == 0,  # noqa: B023 — called in the same turn
            "use of the new credentials",
            seconds=120,
        )
    wait_until(lambda: has_arrived(mount), "arrival of what was written", seconds=120)
    assert case.stored("new") == b"written meanwhile"
    assert [(mount / name).read_text() for name in "abc"] == ["a", "b", "c"]
    status = mount.status()
    assert (status["pending"], status["set_aside"]) == ([], [])
    assert "internal error" not in mount.log()


def has_arrived(mount: Mount) -> bool:
    """Whether nothing waits any more; what does is tried at once, not after its pause."""
    mount.host.run("flush", mount.path, check=False)
    return not mount.status()["pending"]


def aws_files(one: Host) -> Path:
    folder = one.folder / "home/.aws"
    folder.mkdir()
    return folder


def test_a_session_of_aws(moto_server: S3Server, tmp_path: Path) -> None:
    """A tool signs in for some hours, and writes new keys into the same file when somebody signs in again."""
    name, first, second = named(), f"first{named()}", f"second{named()}"
    client = moto_server.bucket(name)
    for key in "abc":
        client.put_object(Bucket=name, Key=key, Body=key.encode())
    reach = {"AWS_ENDPOINT_URL": moto_server.endpoint, "AWS_DEFAULT_REGION": "us-east-1"}
    with host(tmp_path / "host", reach) as one:
        file = aws_files(one) / "credentials"

        def sign_in(access: str) -> None:
            about = f"aws_access_key_id = {access}\naws_secret_access_key = {SECRET}\n"
            file.write_text(f"[default]\n{about}aws_session_token = {SECRET}-session\n")

        def end() -> None:
            moto_server.control(f"expired/{first}")

        def give_back() -> None:
            sign_in(second)

        def stored(key: str) -> bytes:
            return bytes(client.get_object(Bucket=name, Key=key)["Body"].read())

        sign_in(first)
        told = "credentials expired (ExpiredToken); renew them where they come from"
        goes_on(Interruption(one.mount(f"s3://{name}"), end, told, give_back, stored))
        assert_kept_secret(one, (SECRET,))


def test_a_mount_whose_session_has_run_out(moto_server: S3Server, tmp_path: Path) -> None:
    name, access = named(), f"ended{named()}"
    moto_server.bucket(name)
    moto_server.control(f"expired/{access}")
    own = {"AWS_ACCESS_KEY_ID": access, "AWS_SESSION_TOKEN": f"{SECRET}-session"}
    with host(tmp_path / "host", moto_server.env | own) as one:
        found = one.run("mount", f"s3://{name}", one.folder / "mnt", check=False)
        assert (found.returncode, found.stderr.count("\n")) == (1, 1), found.stderr
        assert (
            "credentials expired (ExpiredToken); they were set in the environment" in found.stderr
        )


def test_keys_that_are_revoked_and_given_back(
    radosgw_server: CountedServer, tmp_path: Path
) -> None:
    user, access = named(), f"access{named()}"
    radosgw_server.admin("user", "create", f"--uid={user}", f"--display-name={user}")
    about = [f"--uid={user}", f"--access-key={access}"]

    def give() -> None:
        radosgw_server.admin("key", "create", *about, "--key-type=s3", f"--secret-key={SECRET}")

    give()
    own = CountedServer(radosgw_server.endpoint, access, SECRET)
    name = named()
    client = own.bucket(name)
    for key in "abc":
        client.put_object(Bucket=name, Key=key, Body=key.encode())
    try:
        with host(tmp_path / "host", own.env) as one:

            def end() -> None:
                radosgw_server.admin("key", "rm", *about)

            def stored(key: str) -> bytes:
                return bytes(client.get_object(Bucket=name, Key=key)["Body"].read())

            goes_on(
                Interruption(one.mount(f"s3://{name}"), end, "check the credentials", give, stored)
            )
            assert_kept_secret(one, (SECRET,))
    finally:
        radosgw_server.admin("user", "rm", f"--uid={user}", "--purge-data")


def test_a_signature_of_azure(azure_server: AzureServer, tmp_path: Path) -> None:
    """It runs out by itself, and a new one is written where the command line keeps it."""
    name = named()
    azure_server.container(name)
    service = azure_server.client()
    for key in "abc":
        service.get_blob_client(name, key).upload_blob(key.encode())
    with host(tmp_path / "host", {"AZURE_STORAGE_ACCOUNT": ACCOUNT}) as one:
        file = one.folder / "home/.azure/config"
        file.parent.mkdir()

        def sign(seconds: float) -> float:
            signature = azure_server.signature(name, "racwdl", seconds)
            file.write_text(f"[cloud]\nname = AzureCloud\n\n[storage]\nsas_token = {signature}\n")
            return time.time() + seconds

        ends = sign(30)
        mount = one.project(
            f'[stores.x]\nurl = "az://{name}"\nendpoint = "{azure_server.endpoint}"\n'
        )
        one.urls.clear()

        def end() -> None:
            wait_until(lambda: time.time() > ends + 1, "end of the signature")

        def give_back() -> None:
            sign(3600)

        def stored(key: str) -> bytes:
            return bytes(service.get_blob_client(name, key).download_blob().readall())

        below = Mount(one, mount.path / "x", mount.log_file)
        told = "credentials expired (the signature ran out at "
        goes_on(Interruption(below, end, told, give_back, stored))
        assert "sig=" not in mount.log()
