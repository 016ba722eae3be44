"""What a user gets for bad input to the commands on runs: one clear line, the right status, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounts import Mount, host

pytestmark = pytest.mark.mount


@pytest.fixture(scope="module")
def mount(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mount]:
    """A mount in which one run has used one file."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "store").mkdir()
    (folder / "store/input").write_text("input")
    with host(folder / "host") as one:
        made = one.mount((folder / "store").as_uri())
        one.run("run", "--name", "first", "--mount", made.path, "--", "cat", made / "input")
        yield made


CASES = {
    "show of no run": (("show", "nosuch", "--mount", "MNT"), 1, "there is no run 'nosuch'"),
    "lock of no run": (("lock", "nosuch", "--mount", "MNT"), 1, "there is no run 'nosuch'"),
    "keep of no run": (("keep", "nosuch", "--mount", "MNT"), 1, "there is no run 'nosuch'"),
    "very long run": (("show", "n" * 4000, "--mount", "MNT"), 1, "there is no run "),
    "check against no run": (
        ("check", "--against", "nosuch", "--mount", "MNT"),
        1,
        "there is no run 'nosuch'",
    ),
    "check outside": (("check", "/no/where"), 2, "/no/where is not in a vstorefs mount"),
    "ack outside": (("ack", "/no/where", "--why", "x"), 1, "/no/where is not in a vstorefs mount"),
    "ack without a reason": (("ack", "MNT/input", "--why", " "), 2, "--why is empty"),
    "ack of nothing": (("ack", "MNT/never", "--why", "x"), 1, "no run has used one"),
    "drop of nothing": (("keep", "--drop", "--mount", "MNT"), 2, "--drop needs a run"),
    "no project file": (("runs", "-c", "/no/file.toml"), 2, "cannot read the project file"),
    "no mount": (("runs", "--mount", "/no/where"), 2, "/no/where is not in a vstorefs mount"),
    "no command": (("run", "--mount", "MNT", "--"), 2, "no command given"),
    "no lock file": (("mount", "--locked", "/no/lock", "NEW"), 2, "cannot read the lock file"),
    "not a lock file": (("mount", "--locked", "GARBAGE", "NEW"), 2, "is no lock file that can"),
    "no time": (("mount", "--at", "when pigs fly", "NEW"), 2, "'when pigs fly'"),
    "time of no run": (("mount", "--at", "run:nosuch", "STORE", "NEW"), 1, "no run 'nosuch'"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, mount: Mount, tmp_path: Path) -> None:
    words, status, says = CASES[case]
    garbage, new = tmp_path / "garbage", tmp_path / "new"
    garbage.write_text("format = 'x'\n")
    store = (mount.host.folder.parent / "store").as_uri()
    known: dict[str, str | Path] = {
        "MNT": mount.path,
        "GARBAGE": garbage,
        "NEW": new,
        "STORE": store,
    }
    arguments = [
        known.get(word, word.replace("MNT/", f"{mount.path}/"))
        if word in known or word.startswith("MNT/")
        else word
        for word in words
    ]
    result = mount.host.run(*arguments, check=False)
    lines = result.stderr.strip().splitlines()
    assert result.returncode == status, result.stderr
    assert lines[-1].startswith("vstorefs: ")
    assert says in lines[-1]
    assert "Traceback" not in result.stderr
    assert not new.exists()


def test_manifests_that_cannot_be_read_are_named_and_hide_no_others(mount: Mount) -> None:
    runs = mount.host.folder.parent / "store/.vstorefs/runs"
    damaged, newer = runs / f"2026-01-01T000000.000000Z-{'d' * 26}.json", None
    damaged.write_text('{"format": 1, "run": ')
    newer = runs / f"2099-01-01T000000.000000Z-{'e' * 26}.json"
    newer.write_text('{"format": 9}')
    mount.umount()
    again = mount.host.mount((mount.host.folder.parent / "store").as_uri(), name="again")
    again.wait_for_log(f"runs/{damaged.name} is no readable manifest")
    again.wait_for_log(f"runs/{newer.name} has format 9, and this vstorefs knows 1")
    listed = json.loads(mount.host.run("runs", "--mount", again.path, "--json").stdout)
    assert "first" in {one["name"] for one in listed}
    damaged.unlink()
    newer.unlink()
