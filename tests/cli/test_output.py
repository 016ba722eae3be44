"""What commands print: a name can neither forge a line nor move the cursor, and a reader may stop reading."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mounts import Host, Mount
from tests.support.processes import ROOT
from vstorefs import errors
from vstorefs.cli import main, output

NAME = "a\x1b[31mred\nforged"
SHOWN = r"a\x1b[31mred\nforged"


@pytest.fixture
def mount(one_host: Host) -> Mount:
    mount = one_host.mount()
    for text in ("first", "second"):
        (mount / NAME).write_text(text)
    one_host.run("flush")
    return mount


@pytest.mark.mount
@pytest.mark.parametrize(
    "command",
    [
        ("log", "{}"),
        ("du", "{}"),
        ("diff", "{}", "1 hour ago"),
        ("restore", "{}", "--at", "now", "--to", "{}/copies", "--dry-run"),
        ("purge", "{}", "--versions", "keep:1", "--dry-run"),
    ],
    ids=lambda words: words[0],
)
def test_names_are_escaped(mount: Mount, command: tuple[str, ...]) -> None:
    result = mount.host.run(*(word.format(mount.path) for word in command), check=False)
    said = result.stdout + result.stderr
    assert SHOWN in said
    assert "\x1b" not in said
    assert not any(line.startswith("forged") for line in said.splitlines())


@pytest.mark.mount
def test_programs_get_names_as_they_are(mount: Mount) -> None:
    rows = json.loads(mount.host.run("log", mount.path, "--json").stdout)
    assert {row["path"] for row in rows} == {f"{mount.path}/{NAME}"}


@pytest.mark.mount
def test_labels_of_a_line_diff_are_escaped_and_its_lines_are_not(mount: Mount) -> None:
    (mount / NAME).write_text("\x1b[32mgreen\n")
    said = mount.host.run("diff", mount / NAME, mount.history(NAME)[0]["id"]).stdout
    assert f"--- {mount.path}/{SHOWN}@" in said
    assert "+\x1b[32mgreen\n" in said
    assert not any(line.startswith("forged") for line in said.splitlines())


def test_a_line_of_an_error_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["log", f"/nowhere/{NAME}"]) == errors.EXIT_FAILURE
    said = capsys.readouterr().err
    assert said.startswith(f"vstorefs: /nowhere/{SHOWN} is not in a vstorefs mount")
    assert said.count("\n") == 1


def test_what_can_be_seen_stays(capsys: pytest.CaptureFixture[str]) -> None:
    output.show_line("größe 大 → ok")
    output.note_line("\u202egnp.exe \udcff")
    shown = capsys.readouterr()
    assert shown.out == "größe 大 → ok\n"
    assert shown.err == "\\u202egnp.exe \\udcff\n"


@pytest.mark.parametrize("arguments", [("help",), ("help", "mount")], ids=" ".join)
def test_a_reader_that_has_gone_ends_it_quietly(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "vstorefs.cli.main", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.mount
def test_a_reader_that_stops_reading_ends_a_long_log_quietly(one_host: Host) -> None:
    mount = one_host.mount()
    for number in range(1500):
        (mount / f"{number:0100}").touch()
    one_host.run("flush")
    with subprocess.Popen(
        [sys.executable, "-m", "vstorefs.cli.main", "log", mount.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**one_host.env, "PYTHONPATH": str(ROOT)},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().startswith(b"TIME (UTC)")
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141
    assert mount.status()["ok"]
