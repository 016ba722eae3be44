"""Other programs change what lies in the store: new versions show, and no old one changes."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.mounts import Host
from tests.support.processes import wait_until
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount


def test_another_tool_overwrites_an_s3_key(
    moto_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    one = Host(tmp_path / "host", moto_server.env)
    try:
        mount = one.project(f'[stores.data]\nurl = "s3://{bucket}"\nlisting-seconds = 0\n')
        (mount / "data/f").write_text("ours")
        client = moto_server.client()
        client.put_object(Bucket=bucket, Key="f", Body=b"theirs")
        wait_until(lambda: (mount / "data/f").read_text() == "theirs", "the other tool's content")
        assert mount.contents("data/f") == [b"ours", b"theirs"]
        assert "made by another program" in mount.history("data/f")[1]["marks"]
        (mount / "data/f").write_text("ours again")
        client.delete_object(Bucket=bucket, Key="f")
        wait_until(lambda: not (mount / "data/f").exists(), "the other tool's deletion")
        assert mount.contents("data/f") == [b"ours", b"theirs", b"ours again", None]
    finally:
        one.close()


def test_a_bucket_without_versioning_says_what_other_tools_see(
    moto_server: S3Server, tmp_path: Path
) -> None:
    client = moto_server.bucket("plain", versioned=False)
    client.put_object(Bucket="plain", Key="f", Body=b"content")
    one = Host(tmp_path / "host", moto_server.env)
    try:
        result = one.run("mount", "s3://plain", tmp_path / "host" / "mnt", "--cache-size", "64MiB")
        one.points.append(tmp_path / "host" / "mnt")
        assert "doctor --enable-versioning" in result.stdout
        (tmp_path / "host/mnt/f").write_text("x")
        (tmp_path / "host/mnt/new").write_text("first")
        assert client.get_object(Bucket="plain", Key="f")["Body"].read() == b"content"
        assert client.get_object(Bucket="plain", Key="new")["Body"].read() == b"first"
        assert (tmp_path / "host/mnt/f").read_text() == "x"
    finally:
        one.close()


def test_a_bucket_with_suspended_versioning_is_read_only_and_says_why(
    moto_server: S3Server, tmp_path: Path
) -> None:
    client = moto_server.bucket("suspended")
    client.put_object(Bucket="suspended", Key="f", Body=b"content")
    client.put_bucket_versioning(
        Bucket="suspended", VersioningConfiguration={"Status": "Suspended"}
    )
    one = Host(tmp_path / "host", moto_server.env)
    try:
        result = one.run("mount", "s3://suspended", tmp_path / "host" / "mnt")
        one.points.append(tmp_path / "host" / "mnt")
        assert "suspended" in result.stdout
        assert (tmp_path / "host/mnt/f").read_bytes() == b"content"
        with pytest.raises(OSError, match="Read-only"):
            (tmp_path / "host/mnt/f").write_text("x")
    finally:
        one.close()


def test_another_program_replaces_the_plain_file(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.project(f'[stores.data]\nurl = "{store.as_uri()}"\nlisting-seconds = 0\n')
    (mount / "data/f").write_text("ours")
    kept = {path: path.read_bytes() for path in (store / ".vstorefs").rglob("*") if path.is_file()}
    (store / "other").write_text("theirs")
    os.replace(store / "other", store / "f")
    wait_until(lambda: (mount / "data/f").read_text() == "theirs", "the other program's content")
    assert mount.contents("data/f")[-1] == b"theirs"
    assert "made by another program" in mount.history("data/f")[-1]["marks"]
    (mount / "data/f").write_text("ours again")
    assert mount.contents("data/f")[-2:] == [b"theirs", b"ours again"]
    for path, content in kept.items():
        assert path.read_bytes() == content


def test_another_program_appends_to_the_plain_file(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.project(f'[stores.data]\nurl = "{store.as_uri()}"\nlisting-seconds = 0\n')
    (mount / "data/f").write_text("first")
    (mount / "data/f").write_text("second")
    first = mount.history("data/f")[0]
    subprocess.run(f"echo ' and more' >> {store}/f", shell=True, check=True)
    wait_until(
        lambda: (mount / "data/f").read_text() == "second and more\n", "the other program's content"
    )
    history = mount.history("data/f")
    assert history[0] == first
    assert [item["size"] for item in history] == [5, 6, 16]
    assert "replaced outside" in history[1]["marks"]
    assert history[1]["sha256"] is not None
    assert (mount / "data/.versions/f" / first["name"]).read_text() == "first"


def test_names_that_are_not_utf_8(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    (store / "good").write_text("content")
    (store / os.fsdecode(b"bad\xff")).write_text("theirs")
    (store / "link").symlink_to(os.fsdecode(b"to\xff"))
    mount = one_host.mount(store.as_uri())
    assert os.listdir(mount.path) == ["good"]
    assert (mount / "good").read_text() == "content"
    mount.wait_for_log("bad\\xff cannot be shown: its name is not UTF-8")
    with pytest.raises(OSError) as caught:
        (mount / os.fsdecode(b"new\xff")).write_text("x")
    assert caught.value.errno == errno.EILSEQ


def test_several_stores_are_folders(one_host: Host, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    mount = one_host.project(
        f'[stores.first]\nurl = "{(tmp_path / "one").as_uri()}"\n'
        f'[stores.second]\nurl = "{(tmp_path / "two").as_uri()}"\n'
        f'[stores.third]\nurl = "{(tmp_path / "two").as_uri()}/"\nread-only = true\n'
    )
    assert sorted(os.listdir(mount.path)) == ["first", "second", "third"]
    assert (mount / "first/f").read_text() == "one"
    assert (mount / "second/f").read_text() == "two"
    (mount / "first/g").write_text("new")
    with pytest.raises(OSError, match="Read-only"):
        (mount / "third/g").write_text("new")
    with pytest.raises(OSError, match="cross-device"):
        os.rename(mount / "first/g", mount / "second/g")


def test_a_share_that_goes_away_is_no_empty_folder(one_host: Host, tmp_path: Path) -> None:
    """A share is unmounted under a mount, comes back, and is away when the next mount looks for it."""
    volume, share = tmp_path / "volume", tmp_path / "share"
    volume.mkdir()
    share.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", volume], check=True)
    try:
        subprocess.run(["mount", "--bind", volume, share], check=True)
        mount = one_host.project(f'[stores.share]\nurl = "{share.as_uri()}"\n')
        (mount / "share/f").write_text("content")
        subprocess.run(["umount", "-l", share], check=True)
        wait_until(lambda: errno_of_listing(mount / "share") == errno.EIO, "end of the listing")
        mount.wait_for_log("is its share or disk mounted?")
        subprocess.run(["mount", "--bind", volume, share], check=True)
        mount.wait_for_log("share: the store answers again")
        assert (mount / "share/f").read_text() == "content"
        mount.umount()
        subprocess.run(["umount", "-l", share], check=True)
        found = one_host.run("mount", share.as_uri(), one_host.folder / "again", check=False)
        assert found.returncode == 1
        assert "is its share mounted?" in found.stderr
        one_host.urls.clear()
    finally:
        subprocess.run(["umount", "-l", share], check=False, capture_output=True)
        subprocess.run(["umount", "-l", volume], check=True)


def test_a_directory_that_is_full_says_so_and_goes_on_being_read(
    one_host: Host, tmp_path: Path
) -> None:
    volume = tmp_path / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", volume], check=True)
    try:
        mount = one_host.project(
            f'[stores.share]\nurl = "{volume.as_uri()}"\nlisting-seconds = 0\n'
        )
        (mount / "share/f").write_text("content")
        (volume / "filler").write_bytes(bytes(1 << 20))
        with pytest.raises(OSError, match="No space left") as caught:
            (mount / "share/large").write_bytes(os.urandom(3 << 20))
        assert caught.value.errno == errno.ENOSPC
        for _ in range(20):
            assert (mount / "share/f").read_text() == "content"
            assert not (mount / "share/never-seen").exists()
        assert mount.status()["stores"][0]["state"] == "ok"
        subprocess.run(["mount", "-o", "remount,size=20m", volume], check=True)
        (mount / "share/g").write_text("there is room")
        assert mount.contents("share/g") == [b"there is room"]
        mount.umount()
    finally:
        subprocess.run(["umount", "-l", volume], check=True)


def errno_of_listing(folder: Path) -> int:
    try:
        os.listdir(folder)
    except OSError as error:
        return error.errno or 0
    return 0
