"""Versions on a mount, on each kind of store: what the first promise means to a user."""

from __future__ import annotations

import contextlib
import errno
import json
import mmap
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.mounts import RECORD, Mount, host
from tests.support.processes import wait_until
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount


@pytest.fixture(params=["file", "s3"])
def mount(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mount]:
    if request.param == "file":
        with host(tmp_path / "host") as one:
            (tmp_path / "store").mkdir()
            yield one.mount((tmp_path / "store").as_uri())
    else:
        # Not moto: it goes on listing folders whose last key was deleted.
        server: S3Server = request.getfixturevalue("radosgw_server")
        bucket = f"b{os.urandom(6).hex()}"
        server.bucket(bucket)
        with host(tmp_path / "host", server.env) as one:
            yield one.mount(f"s3://{bucket}/some/prefix")


def test_overwrites_make_versions_and_a_deleted_file_comes_back(mount: Mount) -> None:
    for text in ("one", "two", "three"):
        (mount / "f.txt").write_text(text)
    assert mount.contents("f.txt") == [b"one", b"two", b"three"]
    (mount / "f.txt").unlink()
    assert not (mount / "f.txt").exists()
    assert mount.contents("f.txt") == [b"one", b"two", b"three", None]
    versions = mount / ".versions" / "f.txt"
    assert (versions / "latest").read_text() == "three"
    second = sorted(versions.iterdir())[1]
    subprocess.run(["cp", second, mount / "f.txt"], check=True)
    assert (mount / "f.txt").read_text() == "two"
    assert "f.txt" in os.listdir(mount / ".versions")
    assert ".versions" not in os.listdir(mount.path)
    assert "deleted" in (versions / "HISTORY").read_text()


def test_equal_content_makes_no_version(mount: Mount) -> None:
    (mount / "f").write_text("same")
    (mount / "f").write_text("same")
    assert mount.contents("f") == [b"same"]


@pytest.mark.parametrize(
    ("script", "content"),
    [
        ("for i in 1 2 3; do /bin/echo $i; done > f", b"1\n2\n3\n"),
        ("{ /bin/echo a; /bin/echo b; } > f", b"a\nb\n"),
        (
            'python3 -c \'import subprocess; f = open("f", "w"); subprocess.run(["/bin/echo", "x"], stdout=f); f.close()\'',
            b"x\n",
        ),
        ("echo tee | tee f > /dev/null", b"tee\n"),
        ("echo cp > /tmp/$$; cp /tmp/$$ f; rm /tmp/$$", b"cp\n"),
        ("(echo late > f &) ; while [ ! -s f ]; do :; done", b"late\n"),
    ],
)
def test_one_version_per_close(mount: Mount, script: str, content: bytes) -> None:
    subprocess.run(script, shell=True, cwd=mount.path, check=True)
    assert mount.contents("f") == [content]


def test_a_thread_may_close_what_another_opened(mount: Mount) -> None:
    file = (mount / "f").open("w")
    file.write("from two threads")
    thread = threading.Thread(target=file.close)
    thread.start()
    thread.join()
    assert mount.contents("f") == [b"from two threads"]


def test_a_reader_does_not_hold_up_the_version_of_a_writer(mount: Mount) -> None:
    (mount / "f").write_bytes(b"old")
    with (mount / "f").open("rb"):
        writer = (mount / "f").open("wb")
        writer.write(b"new")
        writer.close()
        assert mount.contents("f") == [b"old", b"new"]


def test_append_truncate_and_random_writes(mount: Mount) -> None:
    data = bytearray(os.urandom(3_000_000))
    path = mount / "f.bin"
    path.write_bytes(data)
    with path.open("ab") as file:
        file.write(b"tail")
    data += b"tail"
    with path.open("r+b") as file:
        file.seek(1_500_000)
        file.write(b"middle")
        file.flush()
        data[1_500_000:1_500_006] = b"middle"
        assert path.read_bytes() == data
    assert path.read_bytes() == data
    os.truncate(path, 2_000_000)
    os.truncate(path, 2_100_000)
    data = data[:2_000_000] + bytes(100_000)
    assert path.read_bytes() == data
    sizes = [item["size"] for item in mount.history("f.bin")]
    assert sizes == [3_000_000, 3_000_004, 3_000_004, 2_000_000, 2_100_000]


def test_names_move_and_go(mount: Mount) -> None:
    (mount / "d" / "e").mkdir(parents=True)
    (mount / "d" / "f").write_text("content")
    os.rename(mount / "d" / "f", mount / "d" / "e" / "g")
    assert os.listdir(mount / "d") == ["e"]
    assert (mount / "d" / "e" / "g").read_text() == "content"
    assert mount.contents("d/f") == [b"content", None]
    with pytest.raises(OSError, match="not empty"):
        os.rmdir(mount / "d")
    os.rename(mount / "d", mount / "moved")
    assert (mount / "moved" / "e" / "g").read_text() == "content"
    assert os.listdir(mount.path) == ["moved"]
    (mount / "moved" / "e" / "g").unlink()
    os.rmdir(mount / "moved" / "e")
    os.rmdir(mount / "moved")
    assert os.listdir(mount.path) == []
    mount.host.run("flush", mount.path)
    assert mount.status()["pending"] == []


def test_a_save_by_rename_is_one_version(mount: Mount) -> None:
    (mount / "f").write_text("first")
    (mount / "f.tmp").write_text("second")
    os.replace(mount / "f.tmp", mount / "f")
    assert mount.contents("f") == [b"first", b"second"]
    assert not (mount / "f.tmp").exists()
    assert mount.host.run("log", mount / "f.tmp", check=False).returncode == 1


def test_what_was_written_is_there_after_a_remount(mount: Mount, tmp_path: Path) -> None:
    (mount / "d").mkdir()
    (mount / "d" / "f").write_text("kept")
    what = mount.status()["stores"][0]["url"]
    mount.umount()
    again = mount.host.mount(what)
    assert (again / "d" / "f").read_text() == "kept"


def test_the_log_tells_what_was_read_first(mount: Mount) -> None:
    data = os.urandom(28_900)
    (mount / "train labels.gz").write_bytes(data)
    path = mount / "train labels.gz"
    assert path.read_bytes() == data
    sums = {
        tool: subprocess.run([tool], input=data, capture_output=True, check=True)
        .stdout.split()[0]
        .decode()
        for tool in ("md5sum", "sha1sum", "sha256sum")
    }
    mount.wait_for_log(sums["sha256sum"])
    records = [re.fullmatch(RECORD, line) for line in mount.log().splitlines()]
    assert None not in records
    told = [record.groups() for record in records if record and "labels.gz" in record["message"]]
    assert told[-4:] == [
        ("INFO", f"{path}: downloaded, 28.9 kB"),
        ("INFO", f"{path}: md5 sum: {sums['md5sum']}"),
        ("INFO", f"{path}: sha1 sum: {sums['sha1sum']}"),
        ("INFO", f"{path}: sha256 sum: {sums['sha256sum']}"),
    ]
    assert os.getxattr(path, "user.vstorefs.sha256").decode() == sums["sha256sum"]
    path.read_bytes()
    assert mount.log().count("downloaded") == 1


def test_a_name_breaks_no_record_of_the_log(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    name = "a\n2026-11-26T02:31:52.123+01:00 ERROR   \x1b[2Jforged\n\n"
    (tmp_path / "store" / name).write_text("content")
    # What was written just now is not known for good yet.
    os.utime(tmp_path / "store" / name, (1_700_000_000, 1_700_000_000))
    with host(tmp_path / "host") as one:
        mount = one.mount((tmp_path / "store").as_uri())
        assert (mount / name).read_text() == "content"
        mount.wait_for_log("sha256 sum")
        text = mount.log()
    assert text.endswith("\n")
    assert [line for line in text[:-1].split("\n") if not re.fullmatch(RECORD, line)] == []
    levels = [found["level"] for line in text.splitlines() if (found := re.fullmatch(RECORD, line))]
    assert levels
    assert "ERROR" not in levels
    assert "\x1b" not in text


def test_the_log_can_be_json(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "a\nb").write_text("content")
    # What was written just now is not known for good yet.
    os.utime(tmp_path / "store" / "a\nb", (1_700_000_000, 1_700_000_000))
    with host(tmp_path / "host") as one:
        mount = one.mount("--log-format", "json", (tmp_path / "store").as_uri())
        assert (mount / "a\nb").read_text() == "content"
        mount.wait_for_log("sha256 sum")
        records = [json.loads(line) for line in mount.log().splitlines()]
    assert {tuple(record) for record in records} == {("time", "level", "logger", "message")}
    told = [one for one in records if one["message"] == f"{mount / 'a'}\nb: downloaded, 7 B"]
    assert [(one["level"], one["logger"]) for one in told] == [
        ("INFO", "vstorefs.mount.reading.hashing")
    ]


def test_what_was_unlinked_goes_on_for_those_who_have_it_open(mount: Mount) -> None:
    (mount / "sent").write_text("sent")
    with (mount / "sent").open() as reader:
        (mount / "sent").unlink()
        assert reader.read() == "sent"
    writer = (mount / "unsent").open("w")
    writer.write("never closed with a name")
    writer.flush()
    with (mount / "unsent").open() as reader:
        (mount / "unsent").unlink()
        writer.close()
        assert reader.read() == "never closed with a name"
    assert mount.host.run("log", mount / "unsent", check=False).returncode == 1


def test_a_memory_map_is_written_back(mount: Mount) -> None:
    (mount / "f").write_bytes(b"a" * 10_000)
    with (mount / "f").open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[5000:5003] = b"xyz"
    data = b"a" * 5000 + b"xyz" + b"a" * 4997
    assert (mount / "f").read_bytes() == data
    wait_until(lambda: mount.contents("f")[-1] == data, "the version of the map")


def test_many_writers_and_readers_at_once(mount: Mount) -> None:
    def one(number: int) -> None:
        for turn in range(10):
            path = mount / f"d{number % 2}/f{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_text(f"{number} {turn}")
            assert path.read_text() == f"{number} {turn}"

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(8)))
    for number in range(8):
        assert mount.contents(f"d{number % 2}/f{number}") == [
            f"{number} {turn}".encode() for turn in range(10)
        ]


@pytest.mark.parametrize("date", ["2300-01-01", "1600-01-01"])
def test_a_time_that_cannot_be_kept_is_refused_at_once(mount: Mount, date: str) -> None:
    (mount / "f").write_text("content")
    before = (mount / "f").stat().st_mtime_ns
    found = subprocess.run(
        ["touch", "-d", date, mount / "f"], check=False, capture_output=True, text=True
    )
    assert "Invalid argument" in found.stderr
    assert (mount / "f").stat().st_mtime_ns == before
    assert mount.status()["pending"] == []


def test_a_path_that_is_too_long_for_its_store_is_refused_at_once(mount: Mount) -> None:
    """What could be made can be written to, all of it reaches the store, and nothing is left on its way."""
    with contextlib.ExitStack() as stack:
        here = os.open(mount.path, os.O_RDONLY)
        stack.callback(os.close, here)

        def make_deep_directories() -> None:
            nonlocal here
            for _ in range(25):
                os.mkdir("n" * 200, dir_fd=here)
                here = os.open("n" * 200, os.O_RDONLY, dir_fd=here)
                stack.callback(os.close, here)

        with pytest.raises(OSError, match="too long") as caught:
            make_deep_directories()
        assert caught.value.errno == errno.ENAMETOOLONG
        with pytest.raises(OSError, match="too long"):
            os.open("f" * 200, os.O_WRONLY | os.O_CREAT, dir_fd=here)
        os.close(os.open("../f", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    wait_until(lambda: mount.status()["pending"] == [], "end of the changes")
    assert "failed" not in mount.log()
