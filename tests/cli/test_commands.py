"""Each command does what its page says, as text and as JSON."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mounts import Host, host
from tests.support.processes import ROOT, wait_until
from tests.support.s3server import moto

pytestmark = pytest.mark.mount


def test_a_mount_says_what_to_try(one_host: Host) -> None:
    point = one_host.folder / "data"
    one_host.points.append(point)
    result = one_host.run("mount", point)
    assert f"is mounted on {point}" in result.stdout
    assert f"vstorefs umount {point}" in result.stdout


def test_a_runtime_folder_with_a_long_path(tmp_path: Path) -> None:
    with host(tmp_path / ("long" * 30)) as one:
        mount = one.mount()
        (mount / "f").write_text("content")
        assert mount.status()["ok"]
        assert [version["kind"] for version in mount.history("f")] == ["content"]


def test_status_flush_and_cache(one_host: Host) -> None:
    mount = one_host.mount()
    (mount / "f").write_text("content")
    one_host.run("flush", mount.path)
    (mount / "f").read_text()
    status = mount.status()
    assert status["ok"]
    assert status["mount_point"] == str(mount.path)
    assert status["stores"][0]["state"] == "ok"
    assert status["pending"] == []
    assert str(mount.path) in one_host.run("status").stdout
    shown = json.loads(one_host.run("cache", "show", "--json").stdout)
    assert shown["limit_bytes"] == 256 << 20
    assert "cleared" in one_host.run("cache", "clear").stdout
    assert json.loads(one_host.run("cache", "show", "--json").stdout)["chunks"] == 0
    assert (mount / "f").read_text() == "content"


def test_log_of_a_deleted_file(one_host: Host) -> None:
    mount = one_host.mount()
    (mount / "f").write_text("content")
    (mount / "f").unlink()
    text = one_host.run("log", mount / "f").stdout
    assert text.splitlines()[0].startswith("TIME (UTC)")
    assert "deleted" in text
    items = json.loads(one_host.run("log", mount / "f", "--json").stdout)
    assert [item["kind"] for item in items] == ["content", "tombstone"]


def test_a_read_only_mount(one_host: Host) -> None:
    mount = one_host.mount("--read-only")
    with pytest.raises(OSError, match="Read-only"):
        (mount / "f").write_text("content")


def test_foreground_ends_with_a_signal(one_host: Host, tmp_path: Path) -> None:
    point = tmp_path / "point"
    with subprocess.Popen(
        [sys.executable, "-m", "vstorefs.cli.main", "mount", "--foreground", point],
        env={**one_host.env, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: os.path.ismount(point), "mount", process=process)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    assert not os.path.ismount(point)


def test_umount_of_a_busy_mount(one_host: Host) -> None:
    mount = one_host.mount()
    (mount / "f").write_text("content")
    with (mount / "f").open():
        result = one_host.run("umount", mount.path, check=False)
        assert result.returncode == 1
        assert "still uses it" in result.stderr
    mount.umount()


def test_changes_that_cannot_be_sent_wait_for_the_next_mount(
    one_host: Host, tmp_path: Path
) -> None:
    with moto(tmp_path) as server:
        server.bucket("away")
        one_host.env.update(server.env)
        mount = one_host.project('write = "back"\n[stores.s]\nurl = "s3://away"\n')
        (mount / "s/f").write_text("first")
        one_host.run("flush")
        server.control("stall")
        (mount / "s/f").write_text("second")
        assert [change["path"] for change in mount.status()["pending"]] == ["f"]
        result = one_host.run("umount", mount.path, "--wait", "1")
        assert "the next mount uploads them" in result.stderr
        server.control("stall", method="DELETE")
        again = one_host.project('[stores.s]\nurl = "s3://away"\n')
        one_host.run("flush")
        assert again.contents("s/f") == [b"first", b"second"]
        one_host.verify()
    one_host.urls.clear()
