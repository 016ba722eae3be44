"""Many at once: two machines on one store, many readers of large files; nothing is lost, and nobody waits for ever."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.mounts import Mount, host
from tests.support.s3server import S3Server

pytestmark = pytest.mark.mount

_WRITES = 50


def write_and_delete(mount: Mount, name: str, written: list[bytes], seed: int) -> None:
    chance = random.Random(seed)
    for number in range(_WRITES):
        content = f"{name} {number}".encode()
        (mount / "shared").write_bytes(content)
        written.append(content)
        if chance.random() < 0.15:
            with contextlib.suppress(FileNotFoundError):
                (mount / "shared").unlink()


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_two_hosts_write_and_delete_one_path(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    env: dict[str, str] = {}
    if kind == "file":
        (tmp_path / "store").mkdir()
        url = (tmp_path / "store").as_uri()
    else:
        server: S3Server = request.getfixturevalue("moto_server")
        env, url = server.env, f"s3://{request.getfixturevalue('bucket')}"
    with host(tmp_path / "a", env) as first, host(tmp_path / "b", env) as second:
        mounts = [first.mount(url), second.mount(url)]
        written: list[list[bytes]] = [[], []]
        threads = [
            threading.Thread(
                target=write_and_delete, args=(mount, f"host {index}", written[index], index)
            )
            for index, mount in enumerate(mounts)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for one in (first, second):
            one.run("flush")
        histories = [mount.history("shared") for mount in mounts]
        assert [item["id"] for item in histories[0]] == [item["id"] for item in histories[1]]
        contents = [one for one in mounts[0].contents("shared") if one is not None]
        assert sorted(contents) == sorted(written[0] + written[1])


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("readers", "size", "cache_size"),
    [(24, 12_000_000, "64MiB"), (64, 4_000_000, "8MiB")],
    ids=["24 of 12 MB in 64 MiB", "64 of 4 MB in 8 MiB"],
)
def test_many_read_large_files_in_a_cache_that_is_far_too_small(
    moto_server: S3Server, bucket: str, tmp_path: Path, readers: int, size: int, cache_size: str
) -> None:
    client, block = moto_server.client(), os.urandom(size)
    wanted = []
    for number in range(readers):
        data = b"%d" % number + block
        client.put_object(Bucket=bucket, Key=f"file{number}", Body=data)
        wanted.append(hashlib.sha256(data).hexdigest())
    with host(tmp_path, moto_server.env) as machine, ThreadPoolExecutor(readers) as programs:
        mount = machine.mount(f"s3://{bucket}", cache_size=cache_size)
        read = programs.map(
            lambda number: hashlib.sha256((mount / f"file{number}").read_bytes()).hexdigest(),
            range(readers),
        )
        assert list(read) == wanted
        for digest in wanted:
            mount.wait_for_log(f"sha256 sum: {digest}")
