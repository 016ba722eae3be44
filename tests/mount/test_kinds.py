"""The same promises on every kind of store, alone and side by side in one mount."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.mount.kinds import WRITABLE, Place, folder, web_root
from tests.support.mounts import Mount, host
from tests.support.paused import Gate, paused
from tests.support.processes import wait_until

pytestmark = [pytest.mark.mount, pytest.mark.stores]


@pytest.mark.parametrize("kind", WRITABLE)
def test_the_main_job(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Read with the right hashes, overwrite three times, delete, and bring it back."""
    place = WRITABLE[kind](request)
    contents = [os.urandom(3_000_000), b"second\n", b"third\n", b"fourth\n"]
    with host(tmp_path / "writer", place.env) as writer:
        mount = writer.mount(place.url)
        (mount / "d").mkdir()
        for content in contents:
            (mount / "d/train.bin").write_bytes(content)
        assert mount.contents("d/train.bin") == contents
        (mount / "d/train.bin").unlink()
        assert os.listdir(mount / "d") == []
        assert mount.contents("d/train.bin") == [*contents, None]
        versions = sorted(
            one for one in os.listdir(mount / "d/.versions/train.bin") if one[0].isdigit()
        )
        subprocess.run(
            ["cp", mount / "d/.versions/train.bin" / versions[0], mount / "d/train.bin"], check=True
        )
        mount.umount()
    with host(tmp_path / "reader", place.env) as reader:
        mount = reader.mount(place.url)
        assert (mount / "d/train.bin").read_bytes() == contents[0]
        mount.wait_for_log(f"sha256 sum: {hashlib.sha256(contents[0]).hexdigest()}")
        log = mount.log()
        assert f"md5 sum: {hashlib.md5(contents[0]).hexdigest()}" in log
        assert f"sha1 sum: {hashlib.sha1(contents[0]).hexdigest()}" in log
        assert log.count("downloaded, ") == 1
        assert mount.contents("d/train.bin") == [*contents, None, contents[0]]


@pytest.mark.parametrize("kind", ["s3-native", "gcs-native", "swift-native"])
def test_versions_that_other_tools_made(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Before, between and after ours, by the provider's own library alone; deletions too."""
    place = WRITABLE[kind](request)
    tool = OtherTool(kind, place, request)
    tool.put("data/f", b"theirs 1")
    tool.put("data/f", b"theirs 2")
    with host(tmp_path / "host", place.env) as one:
        mount = one.project(f'[stores.x]\nurl = "{place.url}"\nlisting-seconds = 0\n')
        assert (mount / "x/f").read_bytes() == b"theirs 2"
        (mount / "x/f").write_bytes(b"ours")
        tool.put("data/f", b"theirs 3")
        wait_until(lambda: (mount / "x/f").read_bytes() == b"theirs 3", "the other tool's content")
        tool.delete("data/f")
        wait_until(lambda: not (mount / "x/f").exists(), "the other tool's deletion")
        contents = [b"theirs 1", b"theirs 2", b"ours", b"theirs 3", None]
        assert mount.contents("x/f") == contents
        marks = [item["marks"] for item in mount.history("x/f") if item["kind"] == "content"]
        theirs = ["made by another program"]
        assert marks == [theirs, theirs, [], theirs]


class OtherTool:
    """A program that knows nothing of vstorefs, and uses the provider's library."""

    def __init__(self, kind: str, place: Place, request: pytest.FixtureRequest) -> None:
        self._bucket = place.url.split("/")[2]
        fixture = {"s3": "radosgw_server", "gcs": "gcs_server", "swift": "swift_server"}
        self._kind = kind.partition("-")[0]
        self._client: Any = request.getfixturevalue(fixture[self._kind]).client()

    def put(self, name: str, data: bytes) -> None:
        match self._kind:
            case "s3":
                self._client.put_object(Bucket=self._bucket, Key=name, Body=data)
            case "gcs":
                self._client.bucket(self._bucket).blob(name).upload_from_string(data)
            case _:
                self._client.put_object(self._bucket, name, data)

    def delete(self, name: str) -> None:
        match self._kind:
            case "s3":
                self._client.delete_object(Bucket=self._bucket, Key=name)
            case "gcs":
                self._client.bucket(self._bucket).blob(name).delete()
            case _:
                self._client.delete_object(self._bucket, name)


def test_reading_the_web(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "d e").mkdir(parents=True)
    content = os.urandom(3_000_000)
    (root / "d e/train.bin").write_bytes(content)
    place = web_root(request, root)
    with host(tmp_path / "host", place.env) as one:
        mount = one.mount(place.url)
        assert subprocess.run(["diff", "-r", root, mount.path], check=False).returncode == 0
        mount.wait_for_log(f"sha256 sum: {hashlib.sha256(content).hexdigest()}")
        assert mount.contents("d e/train.bin") == [content]
        with pytest.raises(OSError) as caught:
            (mount / "new").write_bytes(b"x")
        assert caught.value.errno == errno.EROFS
        mount.umount()
        by_name = one.mount(f"{place.url}noindex/", name="by-name")
        assert (by_name / "d e/train.bin").read_bytes() == content
        assert not (by_name / "nothing").exists()


@pytest.fixture
def six(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Place]:
    """One store of each kind; the web root has something in it."""
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.csv").write_text("a,b\n1,2\n")
    (root / "sub/b.bin").write_bytes(os.urandom(2_500_000))
    (root / "sub/empty").touch()
    return {
        "share": folder(request),
        "s3": WRITABLE["s3-native"](request),
        "google": WRITABLE["gcs-portable"](request),
        "azure": WRITABLE["azure-portable"](request),
        "swift": WRITABLE["swift-native"](request),
        "web": web_root(request, root),
    }


def project(places: dict[str, Place]) -> tuple[str, dict[str, str]]:
    env: dict[str, str] = {}
    for place in places.values():
        env |= place.env
    tables = "".join(
        f'[stores.{name}]\nurl = "{place.url}"\nlisting-seconds = 1\n'
        for name, place in places.items()
    )
    return f'project = "six"\ndefault = "share"\n{tables}', env


@pytest.mark.timeout(1200)
def test_six_kinds_in_one_mount(
    six: dict[str, Place], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    gates = {
        name: Gate(tmp_path, place.port) for name, place in six.items() if place.port is not None
    }
    for name, gate in gates.items():
        gate.open()
        request.addfinalizer(gate.shut)
        six[name] = six[name].through(gate.port)
    text, env = project(six)
    with host(tmp_path / "host", env) as one:
        mount = one.project(text)
        assert sorted(os.listdir(mount.path)) == sorted(six)
        writable = [name for name in six if name != "web"]
        before = "web"
        for name in writable:
            subprocess.run(["cp", "-r", mount / before, mount / name / "copy"], check=True)
            before = f"{name}/copy"
        for name in writable:
            found = subprocess.run(
                ["diff", "-r", mount / "web", mount / name / "copy"], check=False
            )
            assert found.returncode == 0, name
        for name, gate in gates.items():
            stop_and_go(mount, list(six), name, gate)


def stop_and_go(mount: Mount, stores: list[str], name: str, gate: Gate) -> None:
    """One server stops: the others go on; its folder stays and tells, and comes back by itself."""
    inner = "" if name == "web" else "copy/"
    gate.shut()
    # While the last listing is young, it is known that there is no such file.
    new = mount / name / f"{inner}sub/never-seen"
    wait_until(lambda: errno_of(new) == errno.EIO, "end of the listing's life")
    for other in set(stores) - {name}:
        place = mount / other / ("" if other == "web" else "copy")
        assert (place / "a.csv").read_text() == "a,b\n1,2\n"
        if other != "web":
            (place / "more").write_text(name)
    assert name in os.listdir(mount.path)
    (told,) = [store for store in mount.status()["stores"] if store["alias"] == name]
    assert told["state"] == "down"
    assert told["why"]
    gate.open()
    mount.wait_for_log(f"{name}: the store answers again")
    assert {"b.bin", "empty"} <= set(os.listdir(mount / name / f"{inner}sub"))


def port_of(place: Place) -> int:
    assert place.port is not None
    return place.port


def errno_of(path: Path) -> int:
    with pytest.raises(OSError) as caught:
        path.read_bytes()
    assert caught.value.errno is not None
    return caught.value.errno


def test_a_store_that_is_away_from_the_start(six: dict[str, Place], tmp_path: Path) -> None:
    text, env = project({name: six[name] for name in ("share", "google")})
    with host(tmp_path / "host", env) as one, paused(port_of(six["google"])):
        mount = one.project(text)
        (mount / "share/f").write_text("there")
        with pytest.raises(OSError) as caught:
            os.listdir(mount / "google")
        assert caught.value.errno == errno.EIO
        assert sorted(os.listdir(mount.path)) == ["google", "share"]
        one.urls.discard(six["google"].url)
        mount.wait_for_log("google: the store does not answer")
        text = one.run("status", mount.path).stdout
        assert "google" in text
        assert "down: " in text


def test_it_comes_back_by_itself(six: dict[str, Place], tmp_path: Path) -> None:
    text, env = project({name: six[name] for name in ("share", "google")})
    with host(tmp_path / "host", env) as one:
        with paused(port_of(six["google"])):
            mount = one.project(text)
        mount.wait_for_log("google: the store answers again")
        (mount / "google/f").write_text("there")
        assert (mount / "google/f").read_text() == "there"


def test_readers_that_hang_do_not_hold_up_other_stores(
    six: dict[str, Place], tmp_path: Path
) -> None:
    text, env = project({name: six[name] for name in ("share", "google")})
    with host(tmp_path / "host", env) as one:
        mount = one.project(text.replace("listing-seconds = 1", "listing-seconds = 600"))
        (mount / "share/d").mkdir()
        for number in range(50):
            (mount / f"share/d/{number}").write_bytes(b"x" * 200_000)
        names = [mount / f"google/{number}" for number in range(200)]
        for name in names:
            name.write_bytes(b"y" * 1000)
        mount.umount()
        one.run("cache", "clear")
        mount = one.project(text.replace("listing-seconds = 1", "listing-seconds = 600"))
        assert len(os.listdir(mount / "google")) == 200
        with paused(port_of(six["google"])):
            readers = [
                subprocess.Popen(
                    ["cat", mount / f"google/{number}"],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                for number in range(200)
            ]
            with ThreadPoolExecutor(4) as pool:
                read = list(
                    pool.map(
                        lambda number: len((mount / f"share/d/{number}").read_bytes()), range(50)
                    )
                )
            assert read == [200_000] * 50
            assert len(os.listdir(mount / "share/d")) == 50
            still = [one for one in readers if one.poll() is None]
            assert len(still) > 100, "the readers were to hang while the other store was read"
            for reader in readers:
                reader.kill()
        for reader in readers:
            reader.wait()
        wait_until(lambda: mount.status()["stores"][1]["state"] != "down", "return of the store")
