"""`vstorefs journal` without a mount: what it lists, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vstorefs.cli.main import main
from vstorefs.model import (
    Content,
    JournalEntry,
    Key,
    Operation,
    SessionId,
    Staged,
    StoreId,
    Token,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.state.env import State
from vstorefs.state.journal import Journal
from vstorefs.state.staging import StagingArea

STORE = StoreId("0123456789abcdef")
DEAD = SessionId("dead")


@pytest.fixture
def state_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state with one change on its way (1), one set aside (2), a rename set aside (3), and one unpromised file."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    (tmp_path / "run").mkdir(mode=0o700)
    folder = tmp_path / "state"
    state = State.open(folder)
    area = StagingArea(folder, DEAD)
    put = _put(area, "dir/data.bin", b"content")
    rename = JournalEntry(0, DEAD, STORE, Operation.RENAME, Key("a"), _write("r"), target=Key("b"))
    journal = Journal(state)
    seqs = journal.record([_put(area, "going", b"1"), put, rename])
    for seq in seqs[1:]:
        entry = journal.entry(seq)
        assert entry is not None
        journal.set_aside(entry, "File name too long", 1_790_000_000_000_000_000)
    state.close()
    (folder / "unpromised").mkdir(mode=0o700)
    (folder / "unpromised/dead-0011223344556677").write_bytes(b"nobody's")
    return folder


def _write(name: str, size: int = 0) -> Write:
    return Write(WriteId(name), VersionId(name), 1_780_000_000_000_000_000, None, size=size)


def _put(area: StagingArea, path: str, data: bytes, base: Content | None = None) -> JournalEntry:
    name = area.create()
    area.path(name).write_bytes(data)
    size = len(data) if base is None else base.size
    staged = Staged(name, size, ((0, len(data)),), base)
    write = _write(path, size)
    return JournalEntry(0, DEAD, STORE, Operation.PUT, Key(path), write, staged=staged)


def journal(state_dir: Path, *words: str | Path) -> int:
    return main(["journal", *map(str, words), "--state-dir", str(state_dir)])


def listed(state_dir: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    capsys.readouterr()
    assert journal(state_dir, "--json") == 0
    return {one["id"]: one["state"] for one in json.loads(capsys.readouterr().out)}


def test_it_lists_all_that_no_store_has(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert listed(state_dir, capsys) == {
        "1": "pending",
        "2": "set aside",
        "3": "set aside",
        "00112233": "unpromised",
    }
    assert journal(state_dir) == 0
    out = capsys.readouterr().out
    assert "rename store 01234567:a -> b" in out
    assert "File name too long" in out
    assert "2 changes were set aside" in out


def test_it_exports_contents_and_a_list(state_dir: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept"
    assert journal(state_dir, "export", "--to", target) == 0
    assert sorted(path.name for path in target.iterdir()) == [
        "00112233",
        "2-data.bin",
        "changes.json",
    ]
    assert (target / "2-data.bin").read_bytes() == b"content"
    assert (target / "2-data.bin").stat().st_mode & 0o777 == 0o600
    told = {one["id"]: one for one in json.loads((target / "changes.json").read_text())}
    assert (told["2"]["path"], told["2"]["file"]) == ("dir/data.bin", "2-data.bin")
    assert (told["3"]["operation"], told["3"]["target"]) == ("rename", "b")
    assert told["2"]["error"] == "File name too long"


def test_it_exports_what_is_on_its_way_where_that_is_named(state_dir: Path, tmp_path: Path) -> None:
    assert journal(state_dir, "export", "1", "--to", tmp_path / "kept") == 0
    assert (tmp_path / "kept/1-going").read_bytes() == b"1"


def test_it_says_which_bytes_only_a_store_has(
    tmp_path: Path, state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = State.open(state_dir)
    base = Content(STORE, Key("big"), Token("t"), 1000)
    (seq,) = Journal(state).record([_put(StagingArea(state_dir, DEAD), "big", b"head", base)])
    state.close()
    assert journal(state_dir, "export", str(seq), "--to", tmp_path / "kept") == 1
    assert "996 bytes are only in the version" in capsys.readouterr().err
    assert (tmp_path / f"kept/{seq}-big").stat().st_size == 1000


def test_it_writes_into_no_directory_with_something_in_it(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/mine").touch()
    assert journal(state_dir, "export", "--to", tmp_path / "kept") == 2
    assert "is not empty" in capsys.readouterr().err


def test_without_a_mount_a_retry_is_the_next_mount_s(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journal(state_dir, "retry", "2") == 0
    assert "the next mount of their stores tries 1 change again" in capsys.readouterr().out
    assert listed(state_dir, capsys)["2"] == "pending"


def test_it_drops_what_is_named_and_its_content(
    state_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert journal(state_dir, "drop", "2", "00112233", "--yes") == 0
    assert listed(state_dir, capsys) == {"1": "pending", "3": "set aside"}
    assert len(list((state_dir / "staging/dead").iterdir())) == 1
    assert list((state_dir / "unpromised").iterdir()) == []
    assert journal(state_dir, "drop", "--all", "--yes") == 0
    assert listed(state_dir, capsys) == {"1": "pending"}


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["drop"], "name the changes to drop"),
        (["drop", "2"], "not a terminal; pass --yes"),
        (["drop", "1", "--yes"], "change 1 is on its way"),
        (["retry", "1"], "change 1 is on its way"),
        (["retry", "99"], "no change 99"),
        (["retry", "00112233"], "has no name"),
        (["export"], "export needs --to DIR"),
        (["list", "--yes"], "--yes is for vstorefs journal drop"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_it_refuses_what_cannot_be_meant_and_changes_nothing(
    state_dir: Path, capsys: pytest.CaptureFixture[str], words: list[str], why: str
) -> None:
    assert journal(state_dir, *words) == 2
    assert why in capsys.readouterr().err
    assert len(listed(state_dir, capsys)) == 4


def test_an_empty_state_has_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert journal(tmp_path / "none") == 0
    assert capsys.readouterr().out == "nothing is pending, and nothing was set aside\n"
    assert not (tmp_path / "none").exists()
