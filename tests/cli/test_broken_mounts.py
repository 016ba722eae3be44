"""Mounts whose process died, or whose directories were removed: each command says so, and what to type."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount

pytestmark = pytest.mark.mount


@pytest.fixture
def died(one_host: Host) -> Mount:
    mount = one_host.mount()
    (mount / "f").write_text("content")
    one_host.run("flush")
    mount.kill()
    return mount


def what_to_type(mount: Mount) -> str:
    return f"the process of the mount on {mount.path} died; type: vstorefs umount {mount.path}, "


def test_status_mentions_a_mount_whose_process_died(died: Mount) -> None:
    living = died.host.mount(name="other")
    for _ in range(2):
        result = died.host.run("status", check=False)
        assert result.returncode == 1
        assert what_to_type(died) in result.stdout
        assert f"{living.path}  (process {living.pid})\n  store default" in result.stdout
    found = json.loads(died.host.run("status", "--json", check=False).stdout)
    assert {one["mount_point"]: one["ok"] for one in found} == {
        str(living.path): True,
        str(died.path): False,
    }


@pytest.mark.parametrize(
    "command",
    [
        ("log", "{}/f"),
        ("diff", "{}", "now"),
        ("du", "{}"),
        ("status", "{}"),
        ("flush",),
        ("runs", "--mount", "{}"),
        ("run", "--mount", "{}", "--", "true"),
    ],
    ids=" ".join,
)
def test_commands_in_it_say_what_to_type(died: Mount, command: tuple[str, ...]) -> None:
    result = died.host.run(*(word.format(died.path) for word in command), check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"vstorefs: {what_to_type(died)}")
    assert len(result.stderr.splitlines()) == 1


def test_what_it_says_to_type_works(died: Mount) -> None:
    one_host = died.host
    one_host.run("umount", died.path)
    assert one_host.run("status").stdout == "no mounts\n"
    assert "is not in a vstorefs mount" in one_host.run("log", died / "f", check=False).stderr
    again = one_host.mount()
    assert (again / "f").read_text() == "content"
    assert [one["mount_point"] for one in json.loads(one_host.run("status", "--json").stdout)] == [
        str(died.path)
    ]


def test_status_answers_when_the_cache_was_removed(one_host: Host, tmp_path: Path) -> None:
    mount = one_host.mount("--cache-dir", tmp_path / "cache")
    (tmp_path / "cache/data.mdb").unlink()
    text = one_host.run("status").stdout
    assert f"its cache in {tmp_path / 'cache'} was removed" in text
    assert "store default: " in text
    assert mount.status()["problems"]


@pytest.mark.parametrize("what", ["lmdb/data.mdb", ""])
def test_status_says_that_the_state_was_removed(one_host: Host, tmp_path: Path, what: str) -> None:
    broken = one_host.mount("--state-dir", tmp_path / "state", name="broken")
    sound = one_host.mount(name="sound")
    removed = tmp_path / "state" / what
    removed.unlink() if what else shutil.rmtree(removed)
    shown = {one["mount_point"]: one for one in json.loads(one_host.run("status", "--json").stdout)}
    (problem,) = shown[str(broken.path)]["problems"]
    assert f"its state in {tmp_path / 'state'} was removed" in problem
    assert f"vstorefs umount {broken.path}" in problem
    assert shown[str(sound.path)]["problems"] == []
    assert f"{broken.path}  (process {broken.pid})\n  {problem}\n" in one_host.run("status").stdout
