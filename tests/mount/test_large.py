"""Large files: right, downloaded once, within the cache's and the memory's bounds."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.azureserver import AzureServer
from tests.support.mounts import Mount, host
from tests.support.radosgw import CountedServer

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


def test_a_gibibyte_is_right_and_downloaded_once(
    radosgw_server: CountedServer, tmp_path: Path
) -> None:
    bucket = "once"
    expected = make_object(radosgw_server, bucket, "large.bin", 1024 * _MIB)
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(f"s3://{bucket}", cache_size="1300MiB")
        assert sha256sum(mount / "large.bin") == expected
        mount.wait_for_log(expected)
        gets = radosgw_server.gets_of(f"{bucket}/large.bin")
        assert gets >= 1024 // 8
        assert sha256sum(mount / "large.bin") == expected
        again = one.mount(f"s3://{bucket}", name="second", cache_size="1300MiB")
        assert sha256sum(again / "large.bin") == expected
        mount.umount()
        mount = one.mount(f"s3://{bucket}", cache_size="1300MiB")
        assert sha256sum(mount / "large.bin") == expected
        assert radosgw_server.gets_of(f"{bucket}/large.bin") == gets


def test_a_file_of_four_times_the_cache(radosgw_server: CountedServer, tmp_path: Path) -> None:
    bucket = "larger"
    expected = make_object(radosgw_server, bucket, "huge.bin", 4096 * _MIB)
    with host(tmp_path / "host", radosgw_server.env) as one:
        mount = one.mount(f"s3://{bucket}", cache_size="1GiB")
        output, peak = peak_memory_while(["sha256sum", str(mount / "huge.bin")], mount)
        assert output.split()[0] == expected
        assert peak < _LIMIT_RSS
        mount.wait_for_log(expected)
        assert "read again" not in mount.log()
        status = mount.status()
        assert status["transfers"]["downloaded_bytes"] <= 4096 * _MIB
        assert status["cache"]["file_bytes"] <= 1.05 * 1024 * _MIB


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
