"""The documentation is true: the README runs as printed, every command and setting has its place."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.reference import PAGE, render
from tests.support.processes import ROOT
from vstorefs import projectfile, projectsources
from vstorefs.cli.main import COMMANDS

DOCS = sorted(
    [*ROOT.glob("docs/**/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
)


@pytest.mark.mount
def test_the_readme_runs_as_printed(tmp_path: Path) -> None:
    blocks = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(runtime)}
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=200,
    )
    subprocess.run(
        ["fusermount3", "-u", "-z", str(tmp_path / "data")], check=False, capture_output=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert f"is mounted on {tmp_path}/data" in result.stdout
    assert result.stdout.count("three\n") == 2
    assert "SHA256" in result.stdout
    assert "notes.txt: warning: changed since run " in result.stderr
    assert result.stdout.count(" again ") == 1


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    assert PAGE.read_text() == render(), "write it again with: python -m tests.docs.reference"


def test_every_setting_has_its_place() -> None:
    page = (ROOT / "docs/reference/project-file.md").read_text()
    keys = projectfile.key_names()
    assert len(keys) > 15
    assert [key for key in keys if f"| `{key}` |" not in page] == []


def test_the_project_file_in_the_reference_is_one(tmp_path: Path) -> None:
    page = (ROOT / "docs/reference/project-file.md").read_text()
    lines = [line[4:] for line in page.splitlines() if line.startswith("    ") or not line]
    (tmp_path / "vstorefs.toml").write_text("\n".join(lines))
    environ = {"AWS_ENDPOINT_URL": "https://s3.example.org"}
    loaded = projectsources.load(tmp_path / "vstorefs.toml", environ)
    assert [spec.alias for spec in loaded.stores] == ["inputs", "outputs"]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_shows_examples(command: str) -> None:
    result = subprocess.run(
        [ROOT / "bin/vstorefs", command, "--help"], capture_output=True, text=True, check=True
    )
    assert "examples:" in result.stdout


def test_every_guarantee_names_tests_that_there_are() -> None:
    page = (ROOT / "docs/explanation/guarantees.md").read_text()
    named = re.findall(r"`(tests/[\w/.]+)(?:::([\w:]+))?`", page)
    assert len(named) > 10
    for path, test in named:
        assert (ROOT / path).exists(), path
        for part in filter(None, test.split("::")):
            assert f" {part}" in (ROOT / path).read_text(), test
