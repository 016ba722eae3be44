"""A cloned project file that leads credentials elsewhere: nothing is done before the user agrees, whatever the command."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.mounts import Host
from tests.support.processes import ROOT
from vstorefs import errors

PROJECT = """\
[stores.here]
url = "{here}"
[stores."x{more}"]
url = "{url}"
endpoint = "{endpoint}"
"""
ENDPOINT = "https://server.invalid"
COMMANDS = (
    ("runs",),
    ("show", "some-run"),
    ("check",),
    ("lock", "some-run"),
    ("keep", "some-run"),
    ("ui", "--no-browser"),
    ("run", "--", "true"),
    ("run", "--mount", "m", "--", "true"),
)


@pytest.fixture
def clone(one_host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that commands are given in, with a project file of a stranger."""
    one_host.env["AWS_ACCESS_KEY_ID"] = one_host.env["AWS_SECRET_ACCESS_KEY"] = "k"
    folder = tmp_path / "clone"
    folder.mkdir()
    (tmp_path / "here").mkdir()
    write(folder)
    monkeypatch.chdir(folder)
    return folder


def write(folder: Path, url: str = "s3://b", endpoint: str = ENDPOINT, more: str = "") -> None:
    here = (folder.parent / "here").as_uri()
    text = PROJECT.format(here=here, url=url, endpoint=endpoint, more=more)
    (folder / "vstorefs.toml").write_text(text)


def is_refused(one: Host, *arguments: str | Path) -> bool:
    result = one.run(*arguments, check=False)
    assert "Traceback" not in result.stderr
    refused = "you have not agreed" in result.stderr
    assert not refused or result.returncode == errors.EXIT_USAGE
    return refused


@pytest.mark.parametrize("url", ["s3://b", "swift://c"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_refuses(
    command: tuple[str, ...], url: str, one_host: Host, clone: Path
) -> None:
    write(clone, url)
    assert is_refused(one_host, *command)
    assert os.listdir(clone) == ["vstorefs.toml"]


def test_a_mount_refuses_and_makes_nothing(one_host: Host, clone: Path) -> None:
    assert is_refused(one_host, "mount", "-c", "vstorefs.toml", clone / "mnt")
    assert not (clone / "mnt").exists()


def test_a_script_agrees_once_for_all_commands(one_host: Host, clone: Path) -> None:
    assert is_refused(one_host, "runs")
    assert not is_refused(one_host, "runs", "--trust")
    assert not is_refused(one_host, "runs")
    assert not is_refused(one_host, "check")
    assert os.listdir(clone) == ["vstorefs.toml"]
    write(clone, endpoint="https://other.invalid")
    assert is_refused(one_host, "runs")


def test_http_to_another_machine_takes_a_word_of_its_own(one_host: Host, clone: Path) -> None:
    write(clone, endpoint="http://server.invalid")
    assert is_refused(one_host, "runs", "--trust")
    assert not is_refused(one_host, "runs", "--trust-http")
    assert not is_refused(one_host, "runs")


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y", True), ("yes", True), ("n", False), ("", False)]
)
def test_at_a_terminal_it_is_asked_and_the_address_shown(
    answer: str, agreed: bool, one_host: Host, clone: Path
) -> None:
    write(clone, more="\\u001b[2J")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "vstorefs.cli.main", "runs"],
        env={**one_host.env, "PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    while b"[y/N]: " not in said:
        said += os.read(ours, 4096)
    os.write(ours, answer.encode() + b"\n")
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        try:
            while more := terminal.read(4096):
                said += more
        except OSError:
            pass  # Linux says so where the other end of a terminal is closed.
    process.wait(timeout=60)
    assert b"https://server.invalid" in said
    assert b"\x1b" not in said
    assert (b"you have not agreed" in said) != agreed
    assert is_refused(one_host, "runs") != agreed
