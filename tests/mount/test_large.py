"""Large files: right, downloaded once, within the cache's and the memory's bounds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.azureserver import AzureServer
from tests.support.mounts import Mount, host
from tests.support.radosgw import CountedServer, radosgw

pytestmark = [pytest.mark.mount, pytest.mark.stores]

_MIB = 1 << 20
_LIMIT_RSS = 400 * _MIB


def make_object(server: CountedServer, bucket: str, key: str, size: int) -> str:
    """Put random content in parts; gives its sha256."""
    client = server.bucket(bucket)
    digest = hashlib.sha256()
    upload = client.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
    parts = []
    for number in range(1, size // (64 * _MIB) + 1):
        block = os.urandom(64 * _MIB)
        digest.update(block)
        answer = client.upload_part(
            Bucket=bucket, Key=key, UploadId=upload, PartNumber=number, Body=block
        )
        parts.append({"PartNumber": number, "ETag": answer["ETag"]})
    client.complete_multipart_upload(
        Bucket=bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}
    )
    return digest.hexdigest()


def sha256sum(path: Path) -> str:
    return subprocess.run(
        ["sha256sum", path], check=True, capture_output=True, text=True
    ).stdout.split()[0]


def private_bytes(pid: int) -> int:
    """Memory of a process that is not the mapped cache."""
    about = Path(f"/proc/{pid}/status").read_text()
    return int(about.split("RssAnon:")[1].split()[0]) * 1024


def peak_memory_while(command: list[str], mount: Mount) -> tuple[str, int]:
    """What a command prints, and the most memory that the mount's processes had while it ran."""
    pids = [mount.pid, *mount.worker_pids]
    peak = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            peak = max(peak, sum(private_bytes(pid) for pid in pids))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(0.2)
        assert process.stdout is not None
        return process.stdout.read(), peak


@dataclass(frozen=True)
class Large:
    """An object of one GiB in a bucket of its own."""

    server: CountedServer
    bucket: str
    sha256: str


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Large]:
    """On a server of its own: what is in its memory goes with it."""
    with radosgw(tmp_path_factory.mktemp("large")) as server:
        yield Large(server, "large", make_object(server, "large", "large.bin", 1024 * _MIB))


def test_a_gibibyte_is_right_and_downloaded_once(large: Large, tmp_path: Path) -> None:
    server, url = large.server, f"s3://{large.bucket}"
    before = server.gets_of(f"{large.bucket}/large.bin")
    with host(tmp_path / "host", server.env) as one:
        mount = one.mount(url, cache_size="1300MiB")
        assert sha256sum(mount / "large.bin") == large.sha256
        mount.wait_for_log(large.sha256)
        gets = server.gets_of(f"{large.bucket}/large.bin")
        assert gets - before >= 1024 // 8
        assert sha256sum(mount / "large.bin") == large.sha256
        again = one.mount(url, name="second", cache_size="1300MiB")
        assert sha256sum(again / "large.bin") == large.sha256
        mount.umount()
        mount = one.mount(url, cache_size="1300MiB")
        assert sha256sum(mount / "large.bin") == large.sha256
        assert server.gets_of(f"{large.bucket}/large.bin") == gets


def test_a_file_much_larger_than_the_cache(large: Large, tmp_path: Path) -> None:
    with host(tmp_path / "host", large.server.env) as one:
        mount = one.mount(f"s3://{large.bucket}", cache_size="64MiB")
        output, peak = peak_memory_while(["sha256sum", str(mount / "large.bin")], mount)
        assert output.split()[0] == large.sha256
        assert peak < _LIMIT_RSS
        mount.wait_for_log(large.sha256)
        assert "read again" not in mount.log(), mount.log()
        status = mount.status()
        assert status["cache"]["file_bytes"] <= 1.05 * 64 * _MIB
        assert status["transfers"]["downloaded_bytes"] <= 1024 * _MIB


def test_a_large_file_goes_up_in_parts_and_little_memory(
    azure_server: AzureServer, tmp_path: Path
) -> None:
    azure_server.container("upward")
    source = tmp_path / "source"
    with source.open("wb") as out:
        for _ in range(8):
            out.write(os.urandom(64 * _MIB))
    with host(tmp_path / "host", azure_server.env) as one:
        mount = one.mount("az://upward")
        _, peak = peak_memory_while(["cp", str(source), str(mount / "large.bin")], mount)
        assert peak < _LIMIT_RSS
        blob = azure_server.client().get_blob_client("upward", "large.bin")
        digest = hashlib.sha256()
        for block in blob.download_blob().chunks():
            digest.update(block)
        assert digest.hexdigest() == sha256sum(source)
        assert len(blob.get_block_list("committed")[0]) == 512 // 16
