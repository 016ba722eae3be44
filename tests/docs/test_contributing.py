"""What contributors read and run is there: make targets, the release's one version."""

from __future__ import annotations

import re
import subprocess
import tomllib

import pytest

from tests.support.processes import ROOT
from vstorefs import __version__

PAGES = (
    "CONTRIBUTING.md",
    "docs/how-to/release.md",
    ".github/workflows/ci.yml",
    ".pre-commit-config.yaml",
    ".ci/run",
)


@pytest.mark.parametrize("page", PAGES)
def test_every_make_target_that_is_named_is_in_the_help(page: str) -> None:
    named = set(re.findall(r"(?:`|run: |^)make ([a-z-]+)", (ROOT / page).read_text(), re.MULTILINE))
    helped = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert named
    assert named <= {line.split()[0] for line in helped.stdout.splitlines()}


def test_the_version_has_one_place() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        settings = tomllib.load(file)
    assert settings["project"]["dynamic"] == ["version"]
    assert settings["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "vstorefs.__version__"}
    told = subprocess.run(
        [ROOT / "bin/vstorefs", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout == f"vstorefs {__version__}\n"


def test_the_workflow_tests_every_python_that_the_package_takes() -> None:
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    tested = re.findall(r'"(3\.\d+)"', workflow)
    assert tested == ["3.11", "3.12", "3.13", "3.14"]
    assert f'requires-python = ">={tested[0]}"' in (ROOT / "pyproject.toml").read_text()
