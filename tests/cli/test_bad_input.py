"""What a user gets for bad input: one clear line, the right status, nothing half-mounted."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mounts import Host
from tests.support.processes import ROOT, free_port
from tests.support.s3server import S3Server


def refused(host: Host, *arguments: str | Path, status: int, says: str) -> None:
    result = host.run(*arguments, check=False)
    assert result.returncode == status, result.stdout + result.stderr
    lines = result.stderr.strip().splitlines()
    assert lines[-1].startswith("vstorefs: ")
    assert says in lines[-1]
    assert "Traceback" not in result.stderr
    point = Path(arguments[-1])
    assert not os.path.ismount(point)


@pytest.fixture
def point(tmp_path: Path) -> Path:
    folder = tmp_path / "point"
    folder.mkdir()
    return folder


def test_unknown_scheme(one_host: Host, point: Path) -> None:
    refused(one_host, "mount", "ftp://host/x", point, status=2, says="file://, s3://")


def test_a_url_without_a_mount_point(one_host: Host) -> None:
    url = "s3://bucket/prefix"
    line = f"DIR is missing, the directory to mount on; type: vstorefs mount {url} ~/data"
    refused(one_host, "mount", url, status=2, says=line)
    refused(one_host, "mount", url, "file:///srv", status=2, says="file:///srv is a URL")
    refused(one_host, "mount", "-c", "some.toml", url, status=2, says="mount -c some.toml DIR")


def test_missing_folder(one_host: Host, point: Path) -> None:
    refused(
        one_host,
        "mount",
        "file:///no/such/folder",
        point,
        status=1,
        says="there is no directory /no/such/folder",
    )


def test_missing_bucket(one_host: Host, point: Path, moto_server: S3Server) -> None:
    one_host.env.update(moto_server.env)
    refused(
        one_host,
        "mount",
        "s3://no-such-bucket",
        point,
        status=1,
        says="there is no bucket no-such-bucket",
    )


def test_no_credentials(one_host: Host, point: Path, moto_server: S3Server) -> None:
    one_host.env.update(
        {"AWS_ENDPOINT_URL": moto_server.endpoint, "AWS_EC2_METADATA_DISABLED": "true"}
    )
    refused(
        one_host,
        "mount",
        "s3://bucket",
        point,
        status=1,
        says="cannot mount s3://bucket: no credentials found",
    )


def test_unreachable_endpoint(one_host: Host, point: Path) -> None:
    one_host.env.update(
        {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
            "AWS_ACCESS_KEY_ID": "some-key",
            "AWS_SECRET_ACCESS_KEY": "very-secret-value",
        }
    )
    refused(one_host, "mount", "s3://bucket", point, status=1, says="no answer from the server")


def test_missing_parent_of_the_mount_point(one_host: Host, tmp_path: Path) -> None:
    refused(
        one_host, "mount", tmp_path / "a" / "b", status=2, says="no such directory; create it first"
    )


def test_a_mount_point_that_is_a_file(one_host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(one_host, "mount", tmp_path / "file", status=2, says="is not a directory")


def test_a_mount_point_that_is_not_empty(one_host: Host, point: Path) -> None:
    (point / "mine").touch()
    refused(one_host, "mount", point, status=2, says="is not empty")


@pytest.mark.mount
def test_a_mount_point_that_is_taken(one_host: Host) -> None:
    mount = one_host.mount()
    result = one_host.run("mount", mount.path, check=False)
    assert result.returncode == 2
    assert "is a vstorefs mount already" in result.stderr
    (mount / "still").write_text("works")


def test_a_mount_point_that_something_else_took(one_host: Host, point: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        result = one_host.run("mount", point, check=False)
        assert result.returncode == 2
        assert "something is mounted" in result.stderr
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("stores = [", "is not a project file"),
        ("", "no store is named"),
        ('[stores.a]\nurll = "s3://x"', "did you mean stores.a.url?"),
        ('wriite = "back"\n[stores.a]\nurl = "s3://x"', "did you mean write?"),
        ('write = "never"\n[stores.a]\nurl = "s3://x"', '"through" or "back"'),
        ('default = "b"\n[stores.a]\nurl = "s3://x"', "names no store"),
        ('[stores.a]\nurl = "s3://x"\nread-only = "yes"', "true or false"),
        ('[stores.a]\nurl = "s3://x"\n[cache]\nsize = "lots"', "is not a size"),
        ('[stores.a]\nurl = "s3://key:secret@x"', "no credentials"),
        ('[stores.a]\nurl = "file://x/y"', "not an absolute directory"),
    ],
)
def test_bad_project_files(
    one_host: Host, point: Path, tmp_path: Path, text: str, says: str
) -> None:
    (tmp_path / "vstorefs.toml").write_text(text)
    refused(one_host, "mount", "-c", tmp_path / "vstorefs.toml", point, status=2, says=says)


def test_no_project_file(one_host: Host, point: Path) -> None:
    refused(one_host, "mount", "-c", "/no/such.toml", point, status=2, says="/no/such.toml")


@pytest.mark.parametrize(
    ("size", "says"),
    [
        ("1MiB", "a cache of 1.0 MB is too small; give --cache-size at least 9MB"),
        ("huge", "is not a size"),
        ("900 TB", "does not fit"),
    ],
)
def test_impossible_cache_sizes(one_host: Host, point: Path, size: str, says: str) -> None:
    refused(one_host, "mount", "--cache-size", size, point, status=2, says=says)


def test_an_unusable_cache_folder(one_host: Host, point: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(
        one_host,
        "mount",
        "--cache-dir",
        tmp_path / "file" / "x",
        point,
        status=2,
        says="--cache-dir",
    )


def test_a_cache_or_state_inside_the_mount(one_host: Host, point: Path) -> None:
    refused(
        one_host, "mount", "--state-dir", point / "state", point, status=2, says="inside the mount"
    )


@pytest.mark.mount
@pytest.mark.parametrize("option", ["--cache-dir", "--state-dir"])
def test_cache_and_state_refuse_network_file_systems(
    one_host: Host, point: Path, option: str
) -> None:
    # A FUSE mount stands for any file system whose other end may be elsewhere.
    mount = one_host.mount()
    (mount / "folder").mkdir()
    refused(
        one_host,
        "mount",
        option,
        mount / "folder",
        point,
        status=2,
        says="network file system (fuse",
    )


@pytest.mark.parametrize("command", ["umount", "status", "flush"])
def test_commands_on_what_is_no_mount(one_host: Host, point: Path, command: str) -> None:
    refused(one_host, command, point, status=1, says="vstorefs mount of yours")


def test_log_of_what_is_no_mount(one_host: Host, point: Path) -> None:
    refused(one_host, "log", point / "f", status=1, says="vstorefs mount of yours")


def test_no_cache_yet(one_host: Host) -> None:
    refused(
        one_host,
        "cache",
        "show",
        "--cache-dir",
        "/no/such/cache",
        status=1,
        says="the first mount makes it",
    )


def test_credentials_stay_out_of_sight(one_host: Host, moto_server: S3Server, bucket: str) -> None:
    secret = "a-very-secret-value-indeed"
    one_host.env.update(moto_server.env | {"AWS_SECRET_ACCESS_KEY": secret})
    mount = one_host.mount(f"s3://{bucket}", "-v")
    (mount / "f").write_text("content")
    assert (mount / "f").read_text() == "content"
    for pid in [mount.pid, *mount.worker_pids]:
        assert secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    mount.umount()
    for file in one_host.folder.rglob("*"):
        if file.is_file():
            assert secret.encode() not in file.read_bytes(), file


def test_no_fuse_in_the_kernel(one_host: Host, point: Path) -> None:
    script = (
        f"mount -t tmpfs none /dev && exec '{sys.executable}' -m vstorefs.cli.main mount '{point}'"
    )
    result = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],
        env={**one_host.env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "there is no /dev/fuse" in result.stderr


def test_a_damaged_state_is_told_at_once(one_host: Host, point: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    with one_host.mount("--state-dir", state, name="first").path.joinpath("f").open("w") as file:
        file.write("x")
    one_host.run("umount", one_host.points.pop())
    os.truncate(state / "lmdb/data.mdb", 12_288)
    refused(
        one_host,
        *("mount", "--state-dir", state, point),
        status=2,
        says=f"mv {state}/lmdb {state}/lmdb.damaged",
    )
    (state / "lmdb").rename(state / "lmdb.damaged")
    again = one_host.mount("--state-dir", state, name="again")
    assert (again / "f").read_text() == "x"


def test_a_cache_that_was_cut_short_is_begun_anew(one_host: Host, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    mount = one_host.mount("--cache-dir", cache, name="first")
    content = os.urandom(5 << 20)
    (mount / "f").write_bytes(content)
    assert (mount / "f").read_bytes() == content
    one_host.run("umount", one_host.points.pop())
    os.truncate(cache / "data.mdb", 1 << 20)
    again = one_host.mount("--cache-dir", cache, name="again")
    assert (again / "f").read_bytes() == content
    assert again.log().count("starting it anew") == 1
