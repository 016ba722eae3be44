"""Ids of versions that begin with `-`, and names that begin so: taken as they are meant, and printed so that they work."""

from __future__ import annotations

import shlex

import pytest

from tests.support.mounts import Host
from vstorefs.cli import ids, main

_ID = "-Zq9.x_4K"


def parsed(*words: str) -> dict[str, object]:
    return vars(main.parser(words[0]).parse_args(ids.as_values(words)))


@pytest.mark.parametrize(
    ("words", "one", "other", "as_json"),
    [
        (["f", _ID], _ID, "now", False),
        (["f", _ID, "-other"], _ID, "-other", False),
        (["f", "abc", _ID, "--json"], "abc", _ID, True),
        (["--json", "f", _ID, "now"], _ID, "now", True),
        (["--json", "f", "--", "--two", "now"], "--two", "now", True),
    ],
)
def test_diff_takes_ids_with_a_dash(
    words: list[str], one: str, other: str, *, as_json: bool
) -> None:
    found = parsed("diff", *words)
    assert (found["path"], found["one"], found["other"]) == ("f", one, other)
    assert found["json"] is as_json


def test_diff_still_knows_what_is_no_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main.main(["diff", "f", "--jsno", "abc"])
    assert caught.value.code == 2
    assert "--jsno" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["f", "--version", _ID], ["--version", _ID, "f"], ["f", f"--version={_ID}"]]
)
def test_restore_takes_an_id_with_a_dash(words: list[str]) -> None:
    found = parsed("restore", *words)
    assert (found["path"], found["version"]) == ("f", _ID)


def test_export_takes_an_id_with_a_dash() -> None:
    found = parsed("export", "--path", "f", "--version", _ID, "file:///s", "there")
    assert (found["url"], found["version"]) == ("file:///s", _ID)


def test_an_option_without_its_id_takes_no_other_option_for_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parsed("restore", "f", "--version", "--dry-run")
    assert "expected one argument" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "versions", "yes"),
    [
        (["f", "--versions", _ID, "abc", "-other"], [_ID, "abc", "-other"], False),
        (["f", "--versions", "abc", _ID, "--yes"], ["abc", _ID], True),
        (["--versions", "keep:5", "--yes", "f"], ["keep:5"], True),
        ([f"--versions={_ID}", "--versions=abc", "f"], [_ID, "abc"], False),
        (["f", "--yes"], [], True),
    ],
)
def test_purge_takes_ids_with_a_dash(words: list[str], versions: list[str], *, yes: bool) -> None:
    found = parsed("purge", *words)
    assert (found["path"], found["versions"], found["yes"]) == ("f", versions, yes)


def test_purge_without_an_id_behind_its_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("purge", "f", "--versions", "--yes")
    assert "expected at least one argument" in capsys.readouterr().err


def test_what_a_run_is_given_is_its_own() -> None:
    words = ["run", "--", "tool", "--version", _ID]
    assert ids.as_values(words) == words


def test_each_command_is_as_before_without_such_ids() -> None:
    words = ["purge", "f", "--versions=keep:5", "older-than:90d"]
    assert parsed("restore", "f", "--at", "now")["at"] == "now"
    with pytest.raises(SystemExit):
        parsed(*words)


@pytest.mark.mount
def test_a_run_says_how_to_show_it(one_host: Host) -> None:
    mount = one_host.mount()
    for name, shown in (("plain", "plain"), ("two words", "two words"), ("-dashed", None)):
        ran = one_host.run("run", f"--name={name}", "--mount", mount.path, "--", "true")
        said = ran.stderr.splitlines()[-1]
        assert said.startswith("vstorefs: run ")
        hint = shlex.split(said.rpartition("vstorefs ")[2])
        assert hint == ["show", shown or said.split()[2].rstrip(":")]
        first = one_host.run(*hint, "--mount", mount.path).stdout.splitlines()[0]
        assert first.startswith("run ")
        assert first.endswith(f"  {name}")


@pytest.mark.mount
def test_a_mount_point_with_a_space_is_quoted(one_host: Host) -> None:
    point = one_host.folder / "my data"
    one_host.points.append(point)
    said = one_host.run("mount", point).stdout
    command = said.rpartition("unmount with: vstorefs ")[2]
    assert shlex.split(command) == ["umount", str(point)]
    assert shlex.quote(str(point)) in one_host.run("mount", point, check=False).stderr
