"""Symlinks are changed again before any store has told what it made of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.mount.kinds import WRITABLE, Place
from tests.support.mounts import Mount, host
from vstorefs.model import HIDDEN_FOLDER

pytestmark = pytest.mark.mount

KINDS = ["file", "s3-native", "s3-portable"]


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest) -> Place:
    return WRITABLE[request.param](request)


def links(folder: Path) -> dict[str, str | None]:
    """What each name in a folder links to; None for what is no link."""
    return {
        path.name: os.readlink(path) if path.is_symlink() else None
        for path in folder.iterdir()
        if path.name != HIDDEN_FOLDER
    }


def renamed(folder: Path) -> None:
    (folder / "l").symlink_to("a")
    (folder / "l").rename(folder / "m")


def renamed_twice(folder: Path) -> None:
    (folder / "l").symlink_to("a")
    (folder / "l").rename(folder / "x")
    (folder / "x").rename(folder / "m")


def removed(folder: Path) -> None:
    (folder / "l").symlink_to("a")
    (folder / "l").unlink()


def made_again(folder: Path) -> None:
    (folder / "l").symlink_to("a")
    (folder / "l").unlink()
    (folder / "l").symlink_to("b")


def renamed_and_removed(folder: Path) -> None:
    (folder / "l").symlink_to("a")
    (folder / "l").rename(folder / "x")
    (folder / "x").unlink()
    (folder / "x").symlink_to("b")


def over_a_link(folder: Path) -> None:
    (folder / "m").symlink_to("a")
    (folder / "l").symlink_to("b")
    (folder / "l").rename(folder / "m")


def over_a_file(folder: Path) -> None:
    (folder / "m").write_text("content")
    (folder / "l").symlink_to("b")
    (folder / "l").rename(folder / "m")


def a_file_over_it(folder: Path) -> None:
    (folder / "m").symlink_to("a")
    (folder / "f").write_text("content")
    (folder / "f").rename(folder / "m")


def a_new_file_instead(folder: Path) -> None:
    (folder / "m").symlink_to("a")
    (folder / "m").unlink()
    (folder / "m").write_text("content")


def in_a_renamed_folder(folder: Path) -> None:
    (folder / "d").mkdir()
    (folder / "d/l").symlink_to("a")
    (folder / "d").rename(folder / "e")
    (folder / "e/l").rename(folder / "m")
    (folder / "e").rmdir()


# Those that wait for the store come first, so that much is on its way at the end.
CHANGES: dict[Callable[[Path], None], dict[str, str | None]] = {
    in_a_renamed_folder: {"m": "a"},
    over_a_file: {"m": "b"},
    a_file_over_it: {"m": None},
    a_new_file_instead: {"m": None},
    renamed: {"m": "a"},
    renamed_twice: {"m": "a"},
    removed: {},
    made_again: {"l": "b"},
    renamed_and_removed: {"x": "b"},
    over_a_link: {"m": "b"},
}


def change_all(mount: Mount) -> None:
    """Every change, each in a folder of its own."""
    for change in CHANGES:
        (mount / change.__name__).mkdir()
        change(mount / change.__name__)


def assert_changed(mount: Mount) -> None:
    expected = {change.__name__: found for change, found in CHANGES.items()}
    assert {name: links(mount / name) for name in os.listdir(mount.path)} == expected


def test_a_link_is_changed_as_soon_as_it_is_made(place: Place, tmp_path: Path) -> None:
    with host(tmp_path / "writer", place.env) as writer:
        mount = writer.mount(place.url)
        change_all(mount)
        assert_changed(mount)
        mount.umount()
        assert "upload failed" not in mount.log()
    with host(tmp_path / "reader", place.env) as reader:
        assert_changed(reader.mount(place.url))


def test_a_mount_dies_right_after_its_links_were_changed(place: Place, tmp_path: Path) -> None:
    with host(tmp_path / "writer", place.env) as writer:
        mount = writer.mount(place.url)
        mount.kill(lambda: change_all(mount))
        again = writer.mount(place.url)
        writer.run("flush", again.path)
        again.umount()
    with host(tmp_path / "reader", place.env) as reader:
        assert_changed(reader.mount(place.url))


def test_a_renamed_link_keeps_its_time(place: Place, tmp_path: Path) -> None:
    with host(tmp_path / "writer", place.env) as writer:
        mount = writer.mount(place.url)
        (mount / "l").symlink_to("a")
        os.utime(mount / "l", ns=(0, 10**18), follow_symlinks=False)
        (mount / "l").rename(mount / "m")
        mount.umount()
    with host(tmp_path / "reader", place.env) as reader:
        assert (reader.mount(place.url) / "m").lstat().st_mtime_ns == 10**18


def test_a_mount_ends_when_a_link_is_refused_and_more_waits_behind_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with host(tmp_path / "host") as one:
        mount = one.mount(store.as_uri())
        assert os.listdir(mount.path) == []
        (store / "l").symlink_to("theirs")
        (mount / "l").symlink_to("ours")
        (mount / "l").rename(mount / "m")
        mount.wait_for_log("upload failed")
        told = one.run("umount", "--wait", "600", mount.path)
        assert "2 changes not uploaded yet" in told.stderr
        assert links(store) == {"l": "theirs"}
        (store / "l").unlink()
        again = one.mount(store.as_uri())
        one.run("flush", again.path)
        assert links(again.path) == {"m": "ours"}
