"""Eight machines on one bucket without versioning: clocks minutes apart, replies lost, processes killed.

Every content whose close returned is in the history of its path exactly once, and all machines show
the same heads and the same order.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import threading
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount, host
from tests.support.processes import ROOT, wait_until
from tests.support.s3server import S3Server

pytestmark = [pytest.mark.mount, pytest.mark.faults]

_HOSTS = 8
_OPERATIONS = 75
_PATHS = [f"p{number}" for number in range(10)]


class Player:
    """One machine and the program that runs on it."""

    def __init__(self, number: int, one: Host, url: str) -> None:
        self.number = number
        self.host = one
        self.url = url
        self.mount: Mount = one.mount(url)
        self.returned: dict[str, list[bytes]] = {path: [] for path in _PATHS}
        self.tried: dict[str, set[bytes]] = {path: set() for path in _PATHS}
        self.failure: BaseException | None = None
        self.hold = threading.Lock()

    def run(self) -> None:
        chance = random.Random(self.number)
        try:
            for number in range(_OPERATIONS):
                with self.hold:
                    self.operation(chance, number)
        except BaseException as error:  # noqa: BLE001 — told by the test's own thread
            self.failure = error

    def operation(self, chance: random.Random, number: int) -> None:
        path = chance.choice(_PATHS)
        kind = chance.random()
        # What a machine was just told may have been changed by another one: any of these may fail.
        with contextlib.suppress(OSError):
            if kind < 0.5:
                self.write(path, path, number)
            elif kind < 0.65:
                self.write(f"new-{self.number}-{number}", path, number)
                os.rename(self.mount / f"new-{self.number}-{number}", self.mount / path)
            elif kind < 0.75:
                source, target = chance.choice(_PATHS[:5]), chance.choice(_PATHS[5:])
                os.rename(self.mount / source, self.mount / target)
            elif kind < 0.9:
                (self.mount / path).unlink()
            else:
                (self.mount / path).read_bytes()

    def write(self, name: str, path: str, number: int) -> None:
        content = f"{self.number} {number} ".encode() * (1 if number % 3 else 5000)
        self.tried[path].add(content)
        (self.mount / name).write_bytes(content)
        if name == path:
            self.returned[path].append(content)


def _disturb(players: list[Player], server: S3Server, over: threading.Event) -> None:
    chance = random.Random(0)
    while not over.wait(0.5):
        kind = chance.random()
        if kind < 0.4:
            server.control("lose", n=chance.randint(1, 2))
        elif kind < 0.75:
            server.control("fail", n=chance.randint(1, 5))
        elif kind < 0.95:
            with contextlib.suppress(OSError, AssertionError, IndexError):
                os.kill(chance.choice(chance.choice(players).mount.worker_pids), signal.SIGKILL)
        else:
            player = chance.choice(players)
            # The program on it waits; what its last close promised must be there after the crash.
            with player.hold:
                player.mount.kill()
                player.mount = player.host.mount(player.url)


@pytest.mark.timeout(1200)
def test_eight_machines_lose_nothing_and_agree(moto_server: S3Server, tmp_path: Path) -> None:
    bucket = f"hosts{os.urandom(4).hex()}"
    moto_server.bucket(bucket, versioned=False)
    url = f"s3://{bucket}/shared"
    with contextlib.ExitStack() as stack:
        players = []
        for number in range(_HOSTS):
            clock = {
                "PYTHONPATH": str(ROOT / "tests/support/skewed"),
                "VSTOREFS_TEST_SKEW_S": str((number - _HOSTS // 2) * 150),
            }
            one = stack.enter_context(host(tmp_path / f"h{number}", moto_server.env | clock))
            players.append(Player(number, one, url))
        over = threading.Event()
        disturber = threading.Thread(target=_disturb, args=(players, moto_server, over))
        threads = [threading.Thread(target=player.run) for player in players]
        for thread in (disturber, *threads):
            thread.start()
        for thread in threads:
            thread.join()
        over.set()
        disturber.join()
        moto_server.control("lose", n=0)
        moto_server.control("fail", n=0)
        assert [player.failure for player in players if player.failure is not None] == []
        for player in players:
            player.host.run("flush")
        check(players)
        # They share one store: it is gone through once.
        for player in players[1:]:
            player.host.urls.clear()


def check(players: list[Player]) -> None:
    for path in _PATHS:
        histories = [player.mount.history(path) for player in players]
        # A listing lives for a while; each host's own view of the head has to be fresh.
        for history in histories[1:]:
            assert [item["id"] for item in history] == [item["id"] for item in histories[0]]
            assert [item["is_head"] for item in history] == [
                item["is_head"] for item in histories[0]
            ]
        hashes = [item["sha256"] for item in histories[0] if item["kind"] == "content"]
        for player in players:
            for content in player.returned[path]:
                assert hashes.count(_sha256(content)) == 1, (path, content[:20])
            for content in player.tried[path]:
                assert hashes.count(_sha256(content)) <= 1, (path, content[:20])
        heads = [item for item in histories[0] if item["is_head"]]
        wanted = heads[0]["sha256"] if heads else None
        for player in players:
            wait_until(lambda: _shown(player, path) == wanted, f"the same {path}", seconds=90)  # noqa: B023
    shown = [player.mount.contents(_PATHS[0]) for player in players[:2]]
    assert shown[0] == shown[1]


def _shown(player: Player, path: str) -> str | None:
    try:
        return _sha256((player.mount / path).read_bytes())
    except FileNotFoundError:
        return None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
