"""The place that a store was opened on: a share that goes away, another disk in its place, a bucket made anew."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount, error_of, host
from tests.support.processes import wait_until
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount


class Share:
    """A disk that is mounted on a directory, and can be taken away and given back."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.point = folder / "disk", folder / "share"
        self.disk.mkdir()
        self.point.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", self.disk], check=True)
        self.give()

    def give(self) -> None:
        subprocess.run(["mount", "--bind", self.disk, self.point], check=True)

    def take(self, *how: str) -> None:
        subprocess.run(["umount", *how, self.point], check=True)

    def close(self) -> None:
        for point in (self.point, self.disk):
            subprocess.run(["umount", "-l", point], check=False, capture_output=True)


@pytest.fixture
def share(tmp_path: Path) -> Iterator[Share]:
    one = Share(tmp_path)
    yield one
    one.close()


def is_down(mount: Mount) -> bool:
    return bool(mount.status()["stores"][0]["state"] == "down")


@pytest.mark.parametrize("how", [(), ("-l",)], ids=["umount", "umount -l"])
def test_nothing_is_made_under_a_bare_mount_point(
    one_host: Host, share: Share, how: tuple[str, ...]
) -> None:
    mount = one_host.mount(share.point.as_uri())
    (mount / "d").mkdir()
    (mount / "d/f").write_text("before")
    one_host.run("flush", mount.path)
    number = os.open(mount / "d/open", os.O_WRONLY | os.O_CREAT)
    os.write(number, b"written while it was away")
    share.take(*how)
    assert error_of(lambda: os.close(number)) == errno.EIO
    wait_until(lambda: is_down(mount), "that the share is missed")
    assert error_of((mount / "d/new").mkdir) == errno.EIO
    assert error_of(lambda: (mount / "d/g").write_text("x")) == errno.EIO
    assert error_of(lambda: os.rename(mount / "d/f", mount / "d/h")) == errno.EIO
    assert error_of((mount / "d/f").unlink) == errno.EIO
    assert list(share.point.iterdir()) == []
    assert "is its share or disk mounted?" in mount.log()
    share.give()
    wait_until(lambda: not is_down(mount), "that the share is found again")
    one_host.run("flush", mount.path)
    assert (share.point / "d/open").read_bytes() == b"written while it was away"
    assert sorted(os.listdir(share.point / "d")) == ["f", "open"]
    (mount / "d/new").mkdir()
    mount.umount()


def test_what_waits_for_a_share_is_sent_by_the_mount_that_finds_it(
    one_host: Host, share: Share
) -> None:
    mount = one_host.mount(share.point.as_uri())
    (mount / "f").write_text("before")
    number = os.open(mount / "f", os.O_WRONLY)
    os.write(number, b"after!")
    share.take()
    assert error_of(lambda: os.close(number)) == errno.EIO
    one_host.run("umount", mount.path, "--wait", "1", check=False)
    found = one_host.run("mount", share.point.as_uri(), one_host.folder / "again", check=False)
    assert found.returncode == 1
    assert "is its share mounted?" in found.stderr
    assert list(share.point.iterdir()) == []
    share.give()
    again = one_host.mount(share.point.as_uri(), name="again")
    one_host.run("flush", again.path)
    assert (share.point / "f").read_bytes() == b"after!"
    again.umount()


def test_another_disk_in_its_place_is_not_written_to(
    one_host: Host, share: Share, tmp_path: Path
) -> None:
    mount = one_host.mount(share.point.as_uri())
    (mount / "f").write_text("content")
    share.take()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", share.point], check=True)
    (share.point / "other").write_text("of another disk")
    wait_until(lambda: is_down(mount), "that the disk is missed")
    assert error_of(lambda: (mount / "g").write_text("x")) == errno.EIO
    assert os.listdir(share.point) == ["other"]
    share.take()
    share.give()
    wait_until(lambda: not is_down(mount), "that the disk is found again")
    (mount / "g").write_text("x")
    assert (share.point / "g").read_text() == "x"
    mount.umount()


def test_a_directory_that_was_made_anew_is_not_written_to(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.project(f'[stores.s]\nurl = "{store.as_uri()}"\nlisting-seconds = 0\n')
    (mount / "s/f").write_text("content")
    shutil.rmtree(store)
    store.mkdir()
    assert error_of(lambda: (mount / "s/f").write_text("more")) == errno.EIO
    assert list(store.iterdir()) == []
    assert is_down(mount)
    one_host.run("umount", mount.path, "--wait", "1", check=False)
    one_host.urls.clear()


def test_versioning_that_is_suspended_under_a_mount_loses_nothing(
    radosgw_server: S3Server, tmp_path: Path
) -> None:
    bucket = f"suspended-{os.urandom(5).hex()}"
    client = radosgw_server.bucket(bucket)
    names = ("a", "b", "c")
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        kept: dict[str, list[bytes]] = {name: [f"{name} before".encode()] for name in names}
        for name in names:
            (mount / name).write_bytes(kept[name][0])
        suspended = {"Status": "Suspended"}
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=suspended)
        refused = {}
        for number in range(2):
            for name in names:
                data = f"{name} after {number}".encode()
                found = error_of(partial((mount / name).write_bytes, data))
                assert found in {0, errno.EROFS}
                if found:
                    refused[name] = data
                    break
                kept[name].append(data)
        assert refused, "the second write of a name would overwrite the first"
        mount.wait_for_log("versioning is suspended")
        for name in set(names) - set(refused):
            assert [one for one in mount.contents(name) if one] == kept[name]
        enabled = {"Status": "Enabled"}
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration=enabled)
        one.run("umount", mount.path, "--wait", "1", check=False)
        again = one.mount(f"s3://{bucket}", name="again")
        one.run("flush", again.path)
        for name in names:
            wanted = kept[name] + ([refused[name]] if name in refused else [])
            assert again.contents(name) == wanted
        again.umount()


def test_a_bucket_that_is_deleted_and_made_anew_under_a_mount(
    radosgw_server: S3Server, tmp_path: Path
) -> None:
    bucket = f"anew-{os.urandom(5).hex()}"
    client = radosgw_server.bucket(bucket)
    one = Host(tmp_path / "host", radosgw_server.env)
    try:
        mount = one.project(f'[stores.s]\nurl = "s3://{bucket}"\nlisting-seconds = 0\n')
        (mount / "s/f").write_text("one")
        found = client.list_object_versions(Bucket=bucket)["Versions"]
        for item in found:
            client.delete_object(Bucket=bucket, Key=item["Key"], VersionId=item["VersionId"])
        client.delete_bucket(Bucket=bucket)
        assert error_of(lambda: (mount / "s/f").write_text("two")) == errno.EIO
        wait_until(lambda: is_down(mount), "that the bucket is missed")
        radosgw_server.bucket(bucket)
        wait_until(lambda: not is_down(mount), "that there is a bucket")

        def is_refused() -> bool:
            # What each worker agreed upon is asked again some seconds later.
            found = error_of(lambda: (mount / "s/g").write_text("to another bucket"))
            return found == errno.EIO and "was made anew; mount it again" in mount.log()

        wait_until(is_refused, "that it is another bucket")
        listed = client.list_objects_v2(Bucket=bucket).get("Contents", [])
        assert ".vstorefs/format" not in [item["Key"] for item in listed]
        one.run("umount", mount.path, "--wait", "1", check=False)
    finally:
        one.close()
