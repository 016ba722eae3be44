"""Credentials go to whom they are meant for, and nowhere that a server says."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from tests.support.scripted import Asked, Said, scripted
from vstorefs import errors
from vstorefs.model import Key
from vstorefs.stores.registry import Settings, open_bucket, open_plain, resolve

pytestmark = pytest.mark.stores

LOGIN = {"basic": ("reader", "Basic "), "bearer": ("bearer", "Bearer ")}


def write_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    file = tmp_path / "netrc"
    file.write_text(text)
    file.chmod(0o600)
    monkeypatch.setenv("NETRC", str(file))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("anonymous", [False, True])
@pytest.mark.parametrize("way", LOGIN)
def test_a_redirect_to_another_host_loses_them(
    way: str, anonymous: bool, status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, begins = LOGIN[way]
    text = "".join(
        f"machine {host} login {name} password s\n" for host in ("127.0.0.1", "localhost")
    )
    write_netrc(tmp_path, monkeypatch, text)
    first: list[Asked] = []
    second: list[Asked] = []

    def other(one: Asked) -> Said:
        second.append(one)
        return Said(body=b"x", headers={"ETag": '"e"'})

    with scripted(other) as there:
        elsewhere = there.replace("127.0.0.1", "localhost")

        def here(one: Asked) -> Said:
            first.append(one)
            return Said(status, headers={"Location": f"{elsewhere}{one.path}"})

        with scripted(here) as url:
            spec = resolve("x", f"{url}/", Settings(anonymous=anonymous), environ={})
            assert open_plain(spec).stat(Key("f")).size == 1
    assert first
    for one in first:
        sent = one.headers.get("authorization", "")
        assert sent == "" if anonymous else sent.startswith(begins)
    assert [one.headers.get("authorization") for one in second] == [None] * len(second) != []


def test_a_redirect_on_the_same_host_keeps_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, monkeypatch, "machine 127.0.0.1 login reader password s\n")

    def here(one: Asked) -> Said:
        if "authorization" not in one.headers:
            return Said(401)
        if one.path == "/f":
            return Said(302, headers={"Location": "/g"})
        return Said(body=b"x", headers={"ETag": '"e"'})

    with scripted(here) as url:
        assert open_plain(resolve("x", f"{url}/", environ={})).stat(Key("f")).size == 1


@pytest.mark.parametrize("url", ["s3://box", "gs://box", "az://box", "swift://box"])
def test_who_asks_as_nobody_sends_nothing(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_netrc(tmp_path, monkeypatch, "default login reader password s\n")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    asked: list[Asked] = []

    def script(one: Asked) -> Said:
        asked.append(one)
        return Said(404)

    with scripted(script) as endpoint:
        settings = Settings(anonymous=True, endpoint=endpoint)
        bucket = open_bucket(resolve("x", url, settings, environ=os.environ))
        with contextlib.suppress(errors.StoreError):
            bucket.stat("f")
        bucket.close()
    assert asked
    for one in asked:
        for name in ("authorization", "x-auth-token", "x-amz-security-token"):
            assert not one.headers.get(name)


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_token_of_swift_does_not_follow_a_redirect(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Asked] = []
    redirected: list[Asked] = []

    def other(one: Asked) -> Said:
        redirected.append(one)
        return Said(404)

    with scripted(other) as there:

        def here(one: Asked) -> Said:
            if one.path == "/auth":
                host = one.headers["host"]
                return Said(headers={"X-Storage-Url": f"http://{host}/v1/a", "X-Auth-Token": "t"})
            asked.append(one)
            elsewhere = there.replace("127.0.0.1", "localhost")
            return Said(status, headers={"Location": f"{elsewhere}{one.path}"})

        with scripted(here) as url:
            for name, value in {"ST_AUTH": f"{url}/auth", "ST_USER": "u", "ST_KEY": "k"}.items():
                monkeypatch.setenv(name, value)
            bucket = open_bucket(resolve("x", "swift://box", environ=os.environ))
            with pytest.raises(errors.StoreError):
                bucket.stat("f")
            bucket.close()
    assert [one.headers.get("x-auth-token") for one in asked] == ["t"] * len(asked) != []
    assert redirected == []
