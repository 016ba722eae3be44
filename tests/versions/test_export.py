"""An export writes below its target and nowhere else, and goes on past what it cannot write."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vstorefs import errors
from vstorefs.model import Entry, EntryKind, Key, StoreId, StoreSpec, Token
from vstorefs.versions.export import Exported, export, heads
from vstorefs.versions.plaintree import PARTIAL


@dataclass
class AnyStore:
    """A store that holds what its owner says, and what nobody should."""

    contents: dict[str, bytes | errors.StoreError] = field(default_factory=dict)
    spec = StoreSpec(StoreId("any"), "any", "any://")

    def read(
        self,
        key: Key,
        token: Token,
        start: int,
        end: int,
        *,
        version: object = None,
        told: object = None,
    ) -> Iterator[bytes]:
        del token, start, end, version, told
        content = self.contents[key]
        if isinstance(content, errors.StoreError):
            raise content
        yield content


def file(key: str, size: int = 4, mode: int | None = 0o640) -> Entry:
    return Entry(Key(key), EntryKind.FILE, size, 1_700_000_000_000_000_000, Token("t"), mode=mode)


def folder(key: str, mode: int | None = None) -> Entry:
    return Entry(Key(key), EntryKind.DIRECTORY, 0, 1_700_000_000_000_000_000, mode=mode)


def link(key: str, target: str) -> Entry:
    return Entry(Key(key), EntryKind.SYMLINK, 0, 0, target=target)


def exported(
    target: Path, *entries: Entry, contents: dict[str, Any] | None = None
) -> dict[str, str]:
    """What is told of each name: nothing, or why it was not exported."""
    store: Any = AnyStore({one.key: b"data" for one in entries} | (contents or {}))
    done: list[Exported] = list(export(store, iter(entries), target))
    return {one.path: one.problem for one in done}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "in/target"


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A directory that a hostile store would like to write to."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").write_text("precious")
    return tmp_path / "outside"


def is_untouched(outside: Path) -> bool:
    return {path.name: path.read_text() for path in outside.iterdir()} == {"precious": "precious"}


def test_files_links_and_directories_with_times_and_modes(target: Path) -> None:
    told = exported(target, folder("d", 0o750), file("d/f"), link("d/l", "f"), file("g"))
    assert set(told.values()) == {""}
    assert (target / "d/f").read_bytes() == b"data"
    assert os.readlink(target / "d/l") == "f"
    assert (target / "d/f").stat().st_mode & 0o7777 == 0o640
    assert (target / "d").stat().st_mode & 0o7777 == 0o750
    assert (target / "d").stat().st_mtime == (target / "d/f").stat().st_mtime == 1_700_000_000


def test_nothing_is_written_through_a_link_that_the_store_has(target: Path, outside: Path) -> None:
    told = exported(
        target,
        link("dl", str(outside)),
        file("dl/x.txt"),
        file("dl/deeper/x.txt"),
        folder("dl/made"),
        link("relative", "../../outside"),
        file("relative/precious"),
        file("after"),
    )
    assert is_untouched(outside)
    assert {path for path, problem in told.items() if problem} == {
        "dl/x.txt",
        "dl/deeper/x.txt",
        "dl/made",
        "relative/precious",
    }
    assert (target / "after").read_bytes() == b"data"


def test_nothing_is_written_through_a_link_that_was_there(target: Path, outside: Path) -> None:
    target.mkdir(parents=True)
    (target / "d").symlink_to(outside)
    (target / "f").symlink_to(outside / "precious")
    (target / "new").symlink_to(outside / "new")
    told = exported(target, file("d/x"), file("f"), file("new"), file("fine"))
    assert is_untouched(outside)
    assert [path for path, problem in told.items() if not problem] == ["fine"]


def test_a_link_named_like_an_unfinished_part_leads_nowhere(target: Path, outside: Path) -> None:
    told = exported(target, link(f"f{PARTIAL}", str(outside / "precious")), file("f"))
    assert set(told.values()) == {""}
    assert is_untouched(outside)
    assert (target / "f").read_bytes() == b"data"
    assert (target / f"f{PARTIAL}").is_symlink()


@pytest.mark.parametrize("key", ["../x", "a/../../x", "./x", "a//x", "/x", "a/\0/x", ".."])
def test_no_name_leads_out_of_the_target(target: Path, key: str) -> None:
    told = exported(target, file(key), file("fine"))
    assert told[key]
    assert [path.name for path in target.parent.rglob("*") if path.is_file()] == ["fine"]


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6777, 0o1777])
def test_nobody_gets_more_rights_than_permission_bits_give(target: Path, mode: int) -> None:
    exported(target, file("f", mode=mode), folder("d", mode))
    assert (target / "f").stat().st_mode & 0o7777 == mode & 0o777
    assert (target / "d").stat().st_mode & 0o7777 == mode & 0o777


@pytest.mark.parametrize(
    "trouble",
    [
        errors.Corrupt("its record is damaged"),
        errors.NotFound("its content is gone"),
        errors.Denied("no"),
        errors.Archived("cold"),
        b"too short"[:3],
    ],
    ids=["damaged", "gone", "denied", "archived", "short"],
)
def test_it_goes_on_past_what_cannot_be_read_and_leaves_no_part(
    target: Path, trouble: errors.StoreError | bytes
) -> None:
    told = exported(target, file("a"), file("bad"), file("z"), contents={"bad": trouble})
    assert [path for path, problem in told.items() if problem] == ["bad"]
    assert sorted(path.name for path in target.iterdir()) == ["a", "z"]


def test_a_store_that_goes_away_ends_it_and_leaves_no_part(target: Path) -> None:
    away = errors.Unavailable("no route")
    with pytest.raises(errors.Unavailable):
        exported(target, file("a"), file("bad"), contents={"bad": away})
    assert [path.name for path in target.iterdir()] == ["a"]


def test_what_is_there_with_that_size_and_time_is_done_and_anything_else_stays(
    target: Path,
) -> None:
    assert exported(target, file("f"), link("l", "to")) == {"f": "", "l": ""}
    assert exported(target, file("f"), link("l", "to")) == {"f": "", "l": ""}
    (target / "f").write_text("mine")
    assert "is there already and differs" in exported(target, file("f"))["f"]
    assert (target / "f").read_text() == "mine"
    assert "is there already and differs" in exported(target, link("l", "elsewhere"))["l"]
    assert os.readlink(target / "l") == "to"


class HalfStore:
    """A store in which one directory cannot be listed."""

    def list(self, directory: Key) -> Iterator[Any]:
        if directory == "bad":
            raise errors.Corrupt("a record is damaged")
        names = {"": [folder("bad"), folder("good")]}
        entries = names.get(directory, [file(f"{directory}/f")])
        yield type("Page", (), {"entries": entries})


def test_a_directory_that_cannot_be_listed_is_told_and_the_others_are_there() -> None:
    store: Any = HalfStore()
    missed: list[tuple[str, str]] = []
    found = heads(store, lambda key, error: missed.append((key, error.message)))
    assert [one.key for one in found] == ["bad", "good", "good/f"]
    assert missed == [("bad", "a record is damaged")]
