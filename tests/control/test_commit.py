"""The commit of the working directory is found out, and nothing that a repository configures is run for it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from vstorefs.control.commit import commit


def git(repository: Path, *arguments: str) -> str:
    who = (
        "-c",
        "user.name=n",
        "-c",
        "user.email=e@example.org",
        "-c",
        "protocol.file.allow=always",
    )
    return subprocess.run(
        ["git", *who, *arguments], cwd=repository, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    made = tmp_path / "repository"
    made.mkdir()
    git(made, "init", "-q")
    (made / "f").write_text("one")
    git(made, "add", "f")
    git(made, "commit", "-qm", "first")
    monkeypatch.chdir(made)
    return made


def test_a_commit_and_whether_files_differ_from_it(repository: Path) -> None:
    head = git(repository, "rev-parse", "HEAD")
    assert commit() == head
    (repository / "new").write_text("not tracked")
    assert commit() == head
    (repository / "f").write_text("other")
    assert commit() == f"{head}+"


def test_outside_of_a_repository_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit() is None


@pytest.mark.parametrize(
    "key",
    [
        "core.fsmonitor",
        "filter.x.clean",
        "filter.x.process",
        "filter.a=b.clean",
        "filter.a.b c.clean",
    ],
)
@pytest.mark.parametrize("included", [False, True], ids=["own", "included"])
def test_what_a_repository_configures_is_not_run(
    repository: Path, tmp_path: Path, key: str, included: bool
) -> None:
    ran = tmp_path / "ran"
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {ran}\ncat\n")
    trap.chmod(0o755)
    driver = key.removeprefix("filter.").rpartition(".")[0]
    if key.startswith("filter."):
        name = "x" if driver == "x" else driver
        (repository / ".gitattributes").write_text(f"f filter={name}\n")
    file = repository / ".git" / ("more" if included else "config")
    git(repository, "config", "--file", str(file), key, str(trap))
    if included:
        git(repository, "config", "include.path", str(file))
    (repository / "f").write_text("two")
    found = commit()
    assert found is not None
    assert found.endswith("+")
    assert not ran.exists()
    if " " not in driver:
        # The trap is one: git by itself falls into it.
        git(repository, "status", "--porcelain")
        assert ran.exists()


def test_nor_what_a_submodule_configures(repository: Path, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    git(repository, "submodule", "--quiet", "add", str(repository), "sub")
    git(repository, "commit", "-qm", "with a submodule")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {ran}\n")
    trap.chmod(0o755)
    git(repository / "sub", "config", "core.fsmonitor", str(trap))
    assert commit() == git(repository, "rev-parse", "HEAD")
    assert not ran.exists()
