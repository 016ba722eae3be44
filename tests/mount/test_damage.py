"""A byte flipped on its way from a store is noticed: what comes in one answer is never given so, nothing is recorded so."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.faultproxy import Fault, FaultProxy, Kind, faulty
from tests.support.mounts import Host, Mount, host
from tests.support.radosgw import CountedServer

pytestmark = [pytest.mark.mount, pytest.mark.stores, pytest.mark.faults]

SMALL, LARGE = 30_000, 20 << 20
LOUD = "what came is not its content"


@dataclass
class Behind:
    """A bucket behind the proxy of faults, on a host that has nothing cached."""

    host: Host
    proxy: FaultProxy
    client: Any
    bucket: str

    def mount(self) -> Mount:
        return self.host.mount(f"s3://{self.bucket}")

    def flip(self, name: str, *, times: int = 1, at: int = 12_345) -> None:
        """Another byte in the next answers with bytes of an object."""
        self.proxy.add(
            Fault("GET", f".*{self.bucket}/{name}(\\?|$)", Kind.FLIP, at=at, times=times)
        )


@pytest.fixture(params=[True, False], ids=["native", "portable"])
def behind(
    radosgw_server: CountedServer, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Behind]:
    bucket = f"damage{os.urandom(5).hex()}"
    client = radosgw_server.bucket(bucket, versioned=request.param)
    with faulty(int(radosgw_server.endpoint.rpartition(":")[2]), tmp_path) as proxy:
        env = radosgw_server.env | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}"}
        with host(tmp_path / "host", env) as one:
            yield Behind(one, proxy, client, bucket)


def read_whole(path: Path, size: int) -> None:
    """Read a file as a program does that looks at what each call says, the last one too."""
    number = os.open(path, os.O_RDONLY)
    try:
        left = size
        while left:
            left -= len(os.read(number, 1 << 20))
    finally:
        os.close(number)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("recorded", [True, False], ids=["with our record", "by another tool"])
def test_a_small_file_is_never_given_wrong(behind: Behind, *, recorded: bool) -> None:
    data = os.urandom(SMALL)
    about = {"vstorefs-write": "w"} | {
        f"vstorefs-{name}": hashlib.new(name, data).hexdigest()
        for name in ("md5", "sha1", "sha256")
    }
    behind.client.put_object(
        Bucket=behind.bucket, Key="f", Body=data, Metadata=about if recorded else {}
    )
    mount = behind.mount()
    behind.flip("f")
    assert (mount / "f").read_bytes() == data
    assert behind.proxy.happened() == 1
    assert LOUD in mount.log()
    mount.wait_for_log(f"f: sha256 sum: {sha256(data)}")


def test_a_large_file_is_told_to_its_reader_and_read_anew(behind: Behind) -> None:
    data = os.urandom(LARGE)
    behind.client.put_object(Bucket=behind.bucket, Key="f", Body=data)
    mount = behind.mount()
    behind.flip("f")
    # The wrong byte is known when all has come and was hashed: before its last read, or when it closes the file.
    with pytest.raises(OSError, match="Input/output error"):
        read_whole(mount / "f", LARGE)
    assert LOUD in mount.log()
    # Neither the cache nor the kernel has the wrong byte any more, and what is recorded is right.
    assert (mount / "f").read_bytes() == data
    wrong = data[:12_345] + bytes([data[12_345] ^ 0xFF]) + data[12_346:]
    mount.wait_for_log(f"f: sha256 sum: {sha256(data)}")
    assert f"f: sha256 sum: {sha256(wrong)}" not in mount.log()
    assert mount.history("f")[-1]["sha256"] == sha256(data)


@pytest.mark.parametrize("size", [SMALL, LARGE], ids=["small", "large"])
def test_what_is_appended_to_is_published_right(behind: Behind, size: int) -> None:
    data = os.urandom(size)
    behind.client.put_object(Bucket=behind.bucket, Key="f", Body=data)
    mount = behind.mount()
    # The first answer is the one byte by which the store is asked what it knows.
    behind.proxy.add(Fault("GET", f".*{behind.bucket}/f(\\?|$)", Kind.FLIP, after=1, at=12_345))
    with (mount / "f").open("ab") as file:
        file.write(b"more")
    assert behind.proxy.happened() == 1
    assert mount.history("f")[-1]["sha256"] == sha256(data + b"more")
    assert (mount / "f").read_bytes() == data + b"more"


def test_verify_does_not_accuse_what_was_damaged_on_the_way(behind: Behind) -> None:
    data = os.urandom(SMALL)
    behind.client.put_object(Bucket=behind.bucket, Key="f", Body=data)
    mount = behind.mount()
    behind.flip("f")
    said = behind.host.run("verify", mount.path)
    assert behind.proxy.happened() == 1
    assert said.stdout.endswith("no errors were found\n")
    assert mount.history("f")[-1]["sha256"] == sha256(data)


def test_an_export_is_right(behind: Behind, tmp_path: Path) -> None:
    data = os.urandom(SMALL)
    behind.client.put_object(Bucket=behind.bucket, Key="f", Body=data)
    behind.flip("f")
    behind.host.run("export", f"s3://{behind.bucket}", tmp_path / "out")
    assert behind.proxy.happened() == 1
    assert (tmp_path / "out/f").read_bytes() == data
