"""Purge: the only tests in which content disappears from a store."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.mount.kinds import WRITABLE, Place
from tests.support import stored
from tests.support.mounts import Mount, host
from tests.support.processes import ROOT, wait_until
from tests.support.radosgw import CountedServer, counted

pytestmark = [pytest.mark.mount, pytest.mark.stores]

KINDS = ("file", "s3-native", "s3-portable", "gcs-native", "gcs-portable")


def contents(count: int, size: int = 20_000) -> list[bytes]:
    """Contents that are found nowhere else."""
    return [b"%d " % number + os.urandom(size) for number in range(count)]


def write(mount: Mount, name: str, versions: list[bytes]) -> None:
    for content in versions:
        (mount / name).write_bytes(content)


def purge(mount: Mount, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    return mount.host.run("purge", mount / name, "--yes", *options)


def marks(mount: Mount, name: str) -> list[bool]:
    return ["purged" in one["marks"] for one in mount.history(name)]


def sha256s(mount: Mount, name: str) -> list[str | None]:
    return [one["sha256"] for one in mount.history(name)]


def hashes(versions: list[bytes]) -> list[str]:
    return [hashlib.sha256(content).hexdigest() for content in versions]


def listed(mount: Mount) -> list[str]:
    """The versions of `f` that have content, by name."""
    return [item for item in os.listdir(mount / ".versions/f") if item[0] == "2"]


@pytest.mark.parametrize("kind", KINDS)
def test_bytes_go_and_hashes_stay(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    versions = [*contents(3), b"a small one \x00\xff", *contents(1)]
    with host(tmp_path / "one", place.env) as one, host(tmp_path / "two", place.env) as two:
        mount, other = one.mount(place.url), two.mount(place.url)
        write(mount, "f", versions)
        (mount / "beside").write_bytes(versions[0][:-1])
        assert other.contents("f") == versions
        before = stored.size(place)
        history = mount.history("f")
        names = sorted(item for item in os.listdir(mount / ".versions/f") if item[0] == "2")
        said = purge(mount, "f", "--versions", "keep:1").stdout
        assert "purged 4 versions" in said
        gone = sum(map(len, versions[:4]))
        assert before - gone - 100 < stored.size(place) < before - gone + 10_000
        for content in versions[:3]:
            assert not stored.holds(place, content[10:])
        assert not stored.holds(place, versions[3])
        assert stored.holds(place, versions[4])
        for shown in (mount, other):
            assert (shown / "f").read_bytes() == versions[4]
            assert marks(shown, "f") == [True] * 4 + [False]
            assert sha256s(shown, "f") == hashes(versions)
            assert [item["time"] for item in shown.history("f")] == [
                item["time"] for item in history
            ]
            if shown is other:
                # Another host's listing is as young as the project wants it, no younger.
                wait_until(lambda: listed(other) == names[4:], "a new listing of the versions")
            assert listed(shown) == names[4:]
            assert "purged" in (shown / ".versions/f/HISTORY").read_text()
        assert os.listdir(mount.path) == os.listdir(other.path)
        # Nothing is left of it in this mount, whatever the kernel and the cache had of it.
        with pytest.raises(OSError) as caught:
            (mount / f".versions/f/{names[0]}").read_bytes()
        assert caught.value.errno in {errno.ENOENT, errno.ESTALE}
        (mount / "f").write_bytes(b"and on")
        assert other.contents("f") == [None] * 4 + [versions[4], b"and on"]
        assert "nothing to purge" in purge(mount, "f", "--versions", "keep:2").stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_goes_as_a_whole(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = WRITABLE[kind](request)
    versions, deleted, kept = contents(2), contents(1), contents(1)
    with host(tmp_path / "one", place.env) as one:
        mount = one.mount(place.url)
        (mount / "d/e").mkdir(parents=True)
        write(mount, "d/f", versions)
        write(mount, "d/e/deleted", deleted)
        (mount / "d/e/deleted").unlink()
        write(mount, "kept", kept)
        said = purge(mount, "d").stdout
        assert "purged 3 versions" in said
        assert "deleted first" in said
        assert [stored.holds(place, one[10:]) for one in (*versions, *deleted, *kept)] == [
            *[False] * 3,
            True,
        ]
        assert not (mount / "d/f").exists()
        assert marks(mount, "d/f") == [True, True, False]
        assert [item["kind"] for item in mount.history("d/f")] == ["content"] * 2 + ["tombstone"]
        assert sha256s(mount, "d/e/deleted") == [*hashes(deleted), None]
        assert "f" in os.listdir(mount / "d/.versions")
        # The name is free again, and what was there before stays in its history.
        (mount / "d/f").write_bytes(b"anew")
        assert mount.contents("d/f") == [None, None, None, b"anew"]
        assert (mount / "kept").read_bytes() == kept[0]


@pytest.mark.parametrize("kind", ["file", "s3-native", "s3-portable"])
def test_what_others_share_stays(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """A renamed file has the bytes of the old name's version."""
    place = WRITABLE[kind](request)
    versions = contents(2)
    with host(tmp_path / "one", place.env) as one:
        mount = one.mount(place.url)
        write(mount, "f", versions)
        write(mount, "g", [b"there was one of this name"])
        os.rename(mount / "f", mount / "g")
        one.run("flush")
        purge(mount, "f")
        assert marks(mount, "f") == [True, True, False]
        assert (mount / "g").read_bytes() == versions[1]
        purge(mount, "g")
        assert not stored.holds(place, versions[1][10:])
        assert sha256s(mount, "g")[1] == hashes(versions)[1]


def test_a_dry_run_and_a_refusal_remove_nothing(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE["file"](request)
    with host(tmp_path / "one") as one:
        mount = one.mount(place.url)
        write(mount, "f", contents(3))
        before = list(stored.objects(place))
        dry = one.run("purge", mount / "f", "--dry-run")
        assert "3 versions of 1 file" in dry.stdout
        assert dry.stdout.count("\nf  20") + dry.stdout.startswith("f  20") == 3
        for arguments, status, said in (
            ((), 2, "pass --yes"),
            (("--yes", "--versions", "keep:0"), 2, "keep:0 names no versions"),
            (("--yes", "--versions", "older-than:90"), 2, "older-than:90 names no versions"),
            (
                ("--yes", "--versions", "zzzzzzzz"),
                2,
                "no version with an id that begins with zzzzzzzz",
            ),
        ):
            refused = one.run("purge", mount / "f", *arguments, check=False)
            assert (refused.returncode, said in refused.stderr) == (status, True), refused.stderr
        assert list(stored.objects(place)) == before
        assert one.run("purge", mount / "no", "--yes", check=False).returncode == 1


def test_versions_by_id_and_by_age(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = WRITABLE["file"](request)
    with host(tmp_path / "one") as one:
        mount = one.mount(place.url)
        write(mount, "f", contents(4))
        assert "nothing to purge" in purge(mount, "f", "--versions", "older-than:1h").stdout
        ids = [item["id"] for item in mount.history("f")]
        purge(mount, "f", "--versions", ids[1][:12])
        assert marks(mount, "f") == [False, True, False, False]
        wait_until(
            lambda: "2 versions" in _dry(mount, "older-than:1s"), "age of the versions", seconds=20
        )
        purge(mount, "f", "--versions", "older-than:1s")
        assert marks(mount, "f") == [True, True, True, False]
        purge(mount, "f", "--versions", ids[3])
        assert not (mount / "f").exists()


def _dry(mount: Mount, which: str) -> str:
    return mount.host.run("purge", mount / "f", "--dry-run", "--versions", which).stdout


@pytest.mark.faults
@pytest.mark.parametrize("versioned", [True, False])
def test_killed_half_way_it_goes_on(
    radosgw_server: CountedServer, tmp_path: Path, *, versioned: bool
) -> None:
    bucket = f"purge{os.urandom(5).hex()}"
    radosgw_server.bucket(bucket, versioned=versioned)
    place = Place(f"s3://{bucket}", radosgw_server.env)
    versions = contents(12)
    port = int(radosgw_server.endpoint.rpartition(":")[2])
    with (
        counted(port, tmp_path, radosgw_server, delay_ms=100) as slow,
        host(tmp_path / "one", slow.env) as one,
    ):
        mount = one.mount(place.url)
        write(mount, "f", versions)
        before, pids = slow.deletes(), [mount.pid, *mount.worker_pids]
        command = [
            sys.executable,
            "-m",
            "vstorefs.cli.main",
            "purge",
            str(mount / "f"),
            "--yes",
        ]
        with subprocess.Popen(
            [*command, "--versions", "keep:2"], env={**one.env, "PYTHONPATH": str(ROOT)}
        ) as process:
            wait_until(lambda: slow.deletes() - before >= 3, "deletions", process=process)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            process.kill()
        subprocess.run(["fusermount3", "-u", "-z", mount.path], check=False)
        left = [stored.holds(place, content[10:]) for content in versions]
        assert True in left[:10]
        mount = one.mount(place.url)
        assert sha256s(mount, "f") == hashes(versions)
        assert (mount / "f").read_bytes() == versions[-1]
        purge(mount, "f", "--versions", "keep:2")
        assert marks(mount, "f") == [True] * 10 + [False] * 2
        assert sha256s(mount, "f") == hashes(versions)
        assert [stored.holds(place, content[10:]) for content in versions] == [
            *[False] * 10,
            True,
            True,
        ]


def test_what_is_locked_stays_and_the_rest_goes(moto_server: Any, tmp_path: Path) -> None:
    bucket = f"lock{os.urandom(5).hex()}"
    client = moto_server.client()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    versions = contents(3)
    with host(tmp_path / "one", moto_server.env) as one:
        mount = one.mount(f"s3://{bucket}")
        write(mount, "f", versions)
        locked = mount.history("f")[0]["id"]
        client.put_object_legal_hold(
            Bucket=bucket, Key="f", VersionId=locked, LegalHold={"Status": "ON"}
        )
        result = one.run("purge", mount / "f", "--yes", "--versions", "keep:1", check=False)
        assert result.returncode == 1
        assert "not purged: the store keeps it" in result.stderr
        assert "purged 1 version" in result.stdout
        assert marks(mount, "f") == [False, True, False]
        assert mount.contents("f") == [versions[0], None, versions[2]]


def test_what_a_kept_run_needs_stays(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    place = WRITABLE["file"](request)
    versions = contents(3)
    with host(tmp_path / "one") as one:
        mount = one.mount(place.url)
        write(mount, "f", versions[:1])
        one.run("run", "--mount", mount.path, "--name", "base", "--", "sha256sum", mount / "f")
        write(mount, "f", versions[1:])
        one.run("keep", "base", "--mount", mount.path)
        refused = one.run("purge", mount / "f", "--yes", "--versions", "keep:1", check=False)
        assert refused.returncode == 1
        assert "(base) is protected" in refused.stderr
        assert "--even-if-needed" in refused.stderr
        assert mount.contents("f") == versions
        needed, free = (item["id"] for item in mount.history("f")[:2])
        purge(mount, "f", "--versions", free)
        assert mount.contents("f") == [versions[0], None, versions[2]]
        purge(mount, "f", "--versions", needed, "--even-if-needed")
        assert not stored.holds(place, versions[0])
