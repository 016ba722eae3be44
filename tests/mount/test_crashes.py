"""Processes die at the worst moment: what was promised is there, once."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount, host
from tests.support.processes import ROOT, wait_until
from tests.support.radosgw import CountedServer, counted
from tests.support.s3server import S3Server, moto

pytestmark = [pytest.mark.mount, pytest.mark.faults]

_MIB = 1 << 20


def kill_workers(pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def test_a_worker_dies_during_a_read(radosgw_server: CountedServer, tmp_path: Path) -> None:
    client = radosgw_server.bucket("killread")
    data = os.urandom(64 * _MIB)
    client.put_object(Bucket="killread", Key="f", Body=data)
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount("s3://killread")
        victims = mount.worker_pids
        with (mount / "f").open("rb", buffering=0) as file:
            got = file.read(4 * _MIB)
            kill_workers(victims)
            while block := file.read(4 * _MIB):
                got += block
        assert got == data
        mount.wait_for_log("sha256 sum:")
        assert not set(victims) & set(mount.worker_pids)


def test_no_worker_dies_of_a_reader_who_has_seen_enough(tmp_path: Path) -> None:
    """As in `vstorefs log MOUNT | head -1`."""
    (tmp_path / "store").mkdir()
    for number in range(4000):
        (tmp_path / f"store/a file with a name of some length {number}").write_bytes(b"1")
    with host(tmp_path / "host") as one:
        mount = one.mount((tmp_path / "store").as_uri())
        workers = mount.worker_pids
        command = [sys.executable, "-m", "vstorefs.cli.main", "log", str(mount.path)]
        env = {**one.env, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as log:
            assert log.stdout is not None
            assert log.stdout.readline()
            log.stdout.close()
        whole = one.run("log", mount.path).stdout
        assert len({line for line in whole.splitlines() if "a file with" in line}) == 4000
        assert mount.worker_pids == workers
        assert "ended unexpectedly" not in mount.log()


def test_workers_die_during_an_upload(radosgw_server: CountedServer, tmp_path: Path) -> None:
    radosgw_server.bucket("killwrite")
    data = os.urandom(96 * _MIB)
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount("s3://killwrite")
        victims = mount.worker_pids
        writer = threading.Thread(target=lambda: (mount / "f").write_bytes(data))
        writer.start()
        wait_until(lambda: mount.status()["transfers"]["uploads"] > 0, "upload")
        kill_workers(victims)
        writer.join()
        assert mount.contents("f") == [data]


def test_a_large_upload_goes_on_after_a_crash(
    radosgw_server: CountedServer, tmp_path: Path
) -> None:
    """The next mount sends the parts that the store does not have yet."""
    radosgw_server.bucket("killlarge")
    parts, at_once = 12, 4
    data = os.urandom(parts * 16 * _MIB)
    port = int(radosgw_server.endpoint.rpartition(":")[2])
    with (
        counted(port, tmp_path, radosgw_server, delay_ms=300) as slow,
        host(tmp_path / "host", slow.env) as one,
    ):
        text = 'write = "back"\n[stores.data]\nurl = "s3://killlarge"\n'
        mount = one.project(text)
        (mount / "data/f").write_bytes(data)
        sent_before = 8
        mount.kill(
            after=lambda: wait_until(
                lambda: slow.puts_of("killlarge/f") >= sent_before, "parts at the store"
            )
        )
        sent = slow.puts_of("killlarge/f")
        assert sent < parts, "it was to be killed before the last part"
        again = one.project(text)
        one.run("flush", again.path)
        assert slow.puts_of("killlarge/f") <= parts + at_once
        assert again.contents("data/f") == [data]


def test_the_front_dies_and_the_next_mount_carries_on(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.project(f'write = "back"\n[stores.data]\nurl = "{store.as_uri()}"\n')
    for number in range(30):
        (mount / f"data/f{number % 10}").write_text(f"content {number}")
    mount.kill()
    with pytest.raises(OSError):
        os.listdir(mount.path)
    again = one_host.project(f'[stores.data]\nurl = "{store.as_uri()}"\n')
    one_host.run("flush", again.path)
    for number in range(10):
        assert again.contents(f"data/f{number}") == [
            f"content {number + tens}".encode() for tens in (0, 10, 20)
        ]


def test_what_was_synced_and_never_closed_is_marked(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    synced = (mount / "synced").open("wb")
    synced.write(b"kept")
    synced.flush()
    os.fsync(synced.fileno())
    unpromised = (mount / "unpromised").open("wb")
    unpromised.write(b"promised to nobody")
    unpromised.flush()
    mount.kill()
    for file in (synced, unpromised):
        with contextlib.suppress(OSError):
            file.close()
    again = one_host.mount(store.as_uri())
    one_host.run("flush", again.path)
    assert again.contents("synced") == [b"kept"]
    assert "interrupted" in again.history("synced")[0]["marks"]
    assert not (again / "unpromised").exists()
    kept = one_host.folder / "home/.local/state/vstorefs/unpromised"
    assert [file.read_bytes() for file in kept.iterdir()] == [b"promised to nobody"]


@pytest.mark.parametrize("way", ["unlink", "rename over"])
def test_what_was_synced_and_then_removed_stays_removed(
    one_host: Host, tmp_path: Path, way: str
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.mount(store.as_uri())
    (mount / "f").write_text("first")
    (mount / "other").write_text("other")
    file = (mount / "f").open("r+b")
    file.write(b"synced")
    file.flush()
    os.fsync(file.fileno())
    if way == "unlink":
        (mount / "f").unlink()
    else:
        os.rename(mount / "other", mount / "f")
    one_host.run("flush", mount.path)
    mount.kill()
    with contextlib.suppress(OSError):
        file.close()
    again = one_host.mount(store.as_uri())
    one_host.run("flush", again.path)
    wanted = [b"first", None] if way == "unlink" else [b"first", b"other"]
    assert again.contents("f") == wanted


def test_a_lost_answer_makes_no_second_version(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        (mount / "f").write_text("first")
        moto_server.control("lose", n=1)
        (mount / "f").write_text("second")
        assert mount.contents("f") == [b"first", b"second"]


def test_a_busy_store_is_tried_again(moto_server: S3Server, bucket: str, tmp_path: Path) -> None:
    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        moto_server.control("fail", n=3)
        (mount / "f").write_text("content")
        moto_server.control("fail", n=3)
        assert (mount / "f").read_text() == "content"
        assert mount.contents("f") == [b"content"]


def test_a_key_that_cannot_be_written_is_nobody_elses_trouble(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    """Its writer gets an error; other files are read and written all the while, by the next mount too."""
    client, names = moto_server.client(), [f"uncached-{number}" for number in range(300)]
    for name in names:
        client.put_object(Bucket=bucket, Key=name, Body=name.encode())
    unread = iter(names)

    def work(mount: Mount) -> None:
        name = next(unread)
        assert (mount / name).read_text() == name
        (mount / f"new-{name}").write_text(name)
        assert mount.status()["stores"][0]["state"] == "ok"

    with host(tmp_path / "host", moto_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        moto_server.control(f"busy/{bucket}/bad")
        writer = subprocess.Popen(
            ["cp", "/etc/hostname", mount / "bad"], stderr=subprocess.PIPE, text=True
        )
        mount.wait_for_log("bad: upload failed")
        for _ in range(50):
            work(mount)
        assert "Input/output error" in writer.communicate(timeout=100)[1]
        work(mount)
        one.run("umount", "--wait", "1", mount.path, check=False)
        mount = one.mount(f"s3://{bucket}", name="again")
        mount.wait_for_log("bad: upload failed")
        for _ in range(50):
            work(mount)
        moto_server.control(f"busy/{bucket}/bad", method="DELETE")
        wait_until(lambda: mount.status()["pending"] == [], "upload")
        assert mount.contents("bad") == [Path("/etc/hostname").read_bytes()]
        assert "the store does not answer" not in mount.log()


def test_a_store_that_hangs_gives_an_error_and_lets_go(tmp_path: Path) -> None:
    with moto(tmp_path) as server:
        server.bucket("stalled").put_object(Bucket="stalled", Key="f", Body=b"content")
        with host(tmp_path / "host", server.env) as one:
            mount = one.mount("s3://stalled")
            assert os.listdir(mount.path) == ["f"]
            server.control("stall")
            with pytest.raises(OSError, match="Input/output"):
                (mount / "f").read_bytes()
            assert mount.status()["stores"][0]["state"] == "down"
            result = subprocess.run(
                ["ls", mount.path], check=False, capture_output=True, timeout=60
            )
            assert result.returncode == 0
            one.run("umount", mount.path)
            assert not os.path.ismount(mount.path)
            server.control("stall", method="DELETE")
