"""Two machines on one store: nothing that a close returned for is lost, and both see the same history."""

from __future__ import annotations

import contextlib
import random
import threading
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
