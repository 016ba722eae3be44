"""A change that its store refuses for good harms nothing else, and people decide what becomes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount
from tests.support.processes import wait_until

pytestmark = [pytest.mark.mount, pytest.mark.faults]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "other").write_text("other")
    return folder


def refused(store: Path, mount: Mount) -> None:
    """Another program makes a directory where a file was going to be."""
    assert sorted(path.name for path in mount.path.iterdir()) == ["other"]
    (store / "f").mkdir()
    with pytest.raises(OSError):
        (mount / "f").write_text("mine")
    wait_until(lambda: len(mount.status()["set_aside"]) == 1, "a change that is set aside")


def test_it_is_listed_exported_and_retried(one_host: Host, store: Path, tmp_path: Path) -> None:
    mount = one_host.mount(store.as_uri())
    refused(store, mount)
    assert (mount / "other").read_text() == "other"
    (mount / "fine").write_text("fine")
    (listed,) = json.loads(one_host.run("journal", "--json").stdout)
    assert (listed["path"], listed["state"], listed["size"]) == ("f", "set aside", 4)
    assert listed["error"]
    assert "set aside" in one_host.run("journal").stdout
    assert "1 change could not be uploaded" in one_host.run("status").stdout

    flushed = one_host.run("flush", mount.path, check=False)
    assert flushed.returncode == 1
    assert "type: vstorefs journal" in flushed.stderr
    ended = one_host.run("umount", mount.path)
    assert (
        "1 change could not be uploaded and was set aside; type: vstorefs journal" in ended.stderr
    )

    one_host.run("journal", "export", "--to", tmp_path / "kept")
    assert (tmp_path / f"kept/{listed['id']}-f").read_text() == "mine"
    (told,) = json.loads((tmp_path / "kept/changes.json").read_text())
    assert (told["path"], told["file"]) == ("f", f"{listed['id']}-f")

    begun = one_host.run("mount", store.as_uri(), mount.path)
    assert "1 change could not be uploaded and was set aside" in begun.stdout + begun.stderr
    assert (mount / "f").is_dir()
    assert (mount / "fine").read_text() == "fine"
    (store / "f").rmdir()
    assert "retrying 1 change" in one_host.run("journal", "retry").stdout
    one_host.run("flush", mount.path)
    assert (store / "f").read_text() == "mine"
    assert json.loads(one_host.run("journal", "--json").stdout) == []
    one_host.run("umount", mount.path)


def test_without_a_mount_it_waits_for_the_next_one(one_host: Host, store: Path) -> None:
    mount = one_host.mount(store.as_uri())
    refused(store, mount)
    mount.umount()
    (store / "f").rmdir()
    assert "the next mount" in one_host.run("journal", "retry").stdout
    again = one_host.mount(store.as_uri())
    one_host.run("flush")
    assert (again / "f").read_text() == "mine"


def test_dropped_it_is_gone_and_the_mount_shows_what_the_store_has(
    one_host: Host, store: Path
) -> None:
    mount = one_host.mount(store.as_uri())
    refused(store, mount)
    (listed,) = json.loads(one_host.run("journal", "--json").stdout)
    asked = one_host.run("journal", "drop", listed["id"], check=False)
    assert asked.returncode == 2
    assert "nothing was dropped" in asked.stderr
    one_host.run("journal", "drop", listed["id"], "--yes")
    assert mount.status()["set_aside"] == []
    assert json.loads(one_host.run("journal", "--json").stdout) == []
    wait_until((mount / "f").is_dir, "what the store has")


def test_a_later_write_of_the_same_path_is_not_stuck_behind_it(one_host: Host, store: Path) -> None:
    mount = one_host.mount(store.as_uri())
    refused(store, mount)
    (store / "f").rmdir()
    (mount / "f").write_text("later")
    assert (store / "f").read_text() == "later"
    (listed,) = json.loads(one_host.run("journal", "--json").stdout)
    assert listed["size"] == 4, "what was set aside is there still"
    assert len(mount.history("f")) == 1
