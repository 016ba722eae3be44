"""A `file` store is known by its id, wherever it lies, and before it has one by its directory."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from vstorefs import errors
from vstorefs.stores.local.place import Place


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "store"
    made.mkdir()
    return made


def changed(place: Place) -> None:
    with place.held("put") as root:
        (root / "made").touch()


def put_away(folder: Path) -> Path:
    """What was at the path lies elsewhere, and an empty directory is there."""
    away = folder.with_name("away")
    folder.rename(away)
    folder.mkdir()
    return away


def test_nothing_is_written_to_be_looked_at(folder: Path) -> None:
    Place("s", folder).look("list")
    assert list(folder.iterdir()) == []


def test_before_the_first_change_it_is_its_directory(folder: Path) -> None:
    place = Place("s", folder)
    place.look("list")
    put_away(folder)
    with pytest.raises(errors.Displaced):
        changed(place)
    assert list(folder.iterdir()) == []


def test_after_it_the_id_counts_wherever_it_lies(folder: Path) -> None:
    place = Place("s", folder)
    changed(place)
    away = put_away(folder)
    with pytest.raises(errors.Displaced):
        changed(place)
    assert list(folder.iterdir()) == []
    folder.rmdir()
    with pytest.raises(errors.Displaced, match="no directory"):
        place.look("list")
    # As of a share that is mounted anew: another device, another inode.
    shutil.copytree(away, folder)
    changed(place)


def test_another_store_in_its_place_is_another_one(folder: Path) -> None:
    place = Place("s", folder)
    changed(place)
    put_away(folder)
    changed(Place("other", folder))
    with pytest.raises(errors.Displaced):
        place.look("list")


def test_what_is_done_lands_in_the_directory_that_was_held(folder: Path) -> None:
    place = Place("s", folder)
    with place.held("put") as root:
        away = put_away(folder)
        (root / "made").touch()
    assert (away / "made").exists()
    assert list(folder.iterdir()) == []


def test_hosts_agree_upon_one_id(folder: Path) -> None:
    one, other = Place("s", folder), Place("s", folder)
    one.look("list")
    other.look("list")
    changed(one)
    changed(other)
    one.look("list")
    about = json.loads((folder / ".vstorefs/format").read_bytes())
    assert (about["format"], about["layout"], len(about["id"])) == (1, "native", 26)
    assert [one.name for one in (folder / ".vstorefs").iterdir()] == ["format"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"format":2,"layout":"native","id":"x"}', errors.NotSupported),
        ('{"format":1,"lay', errors.Corrupt),
        ("[]", errors.Corrupt),
    ],
)
def test_a_format_that_cannot_be_read_is_refused(
    folder: Path, text: str, kind: type[errors.StoreError]
) -> None:
    (folder / ".vstorefs").mkdir()
    (folder / ".vstorefs/format").write_text(text)
    with pytest.raises(kind):
        changed(Place("s", folder))
    assert not (folder / "made").exists()
