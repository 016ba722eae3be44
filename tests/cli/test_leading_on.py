"""Who does not know the commands yet is led on: by a short help, by other words for them, by the nearest one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mounts import Host
from vstorefs.cli.main import COMMANDS, main


def helped(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 0
    return capsys.readouterr().out


def test_without_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    lines = shown.err.splitlines()
    assert len(lines) <= 12
    assert [line.split()[1] for line in lines if line.startswith("  vstorefs ")] == [
        "mount",
        "status",
        "log",
        "restore",
        "umount",
    ]
    assert "vstorefs help COMMAND" in shown.err


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    shown = helped(capsys, "--help")
    for name, purpose in COMMANDS.items():
        assert f"\n    {name} " in shown
        assert purpose in " ".join(shown.split())
    assert helped(capsys, "help") == shown


@pytest.mark.parametrize("command", list(COMMANDS))
def test_help_of_a_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    shown = helped(capsys, "help", command)
    assert shown.startswith(f"usage: vstorefs {command}")
    assert helped(capsys, command, "--help") == shown


def test_help_of_another_word_for_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert helped(capsys, "help", "unmount") == helped(capsys, "umount", "--help")


@pytest.mark.parametrize("before", [[], ["help"]])
@pytest.mark.parametrize(
    ("word", "hint"),
    [("stats", "did you mean status?"), ("umnt", "did you mean umount?"), ("qqq", "lists all")],
)
def test_a_command_that_there_is_not(
    capsys: pytest.CaptureFixture[str], before: list[str], word: str, hint: str
) -> None:
    assert main([*before, word]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"vstorefs: there is no command {word}; ")
    assert hint in error
    assert error.count("\n") == 1


def test_an_option_that_there_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--verson"])
    assert caught.value.code == 2
    with pytest.raises(SystemExit) as caught:
        main(["status", "--verson"])
    assert caught.value.code == 2
    assert "unknown arguments: --verson; see vstorefs status --help" in capsys.readouterr().err


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert helped(capsys, "--version").startswith("vstorefs ")


@pytest.mark.mount
def test_unmount_is_umount(one_host: Host) -> None:
    mount = one_host.mount()
    (mount / "f").write_text("content")
    one_host.run("unmount", mount.path)
    assert not Path(mount.path).is_mount()
