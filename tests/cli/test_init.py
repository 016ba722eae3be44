"""A project file that is made by asking, and its schema."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import jsonschema
import pytest

from tests.support.processes import ROOT, vstorefs
from vstorefs import errors, projectfile, projectsources

ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}


def test_by_asking(tmp_path: Path) -> None:
    answers = "ftp://nothing\ns3://bucket/mnist\ninputs\nhttps://example.org/data\n\n\nmnist\n"
    result = subprocess.run(
        [sys.executable, "-m", "vstorefs.cli.main", "init"],
        input=answers,
        cwd=tmp_path,
        env={**ENV, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "'ftp://nothing' names no kind of store" in result.stderr
    made = projectsources.load(tmp_path / "vstorefs.toml", {})
    assert (made.name, made.default) == ("mnist", "inputs")
    assert [(one.alias, one.url) for one in made.stores] == [
        ("inputs", "s3://bucket/mnist"),
        ("data2", "https://example.org/data/"),
    ]
    assert (tmp_path / "vstorefs.toml").read_text().count("#") > 10


def test_without_asking(tmp_path: Path) -> None:
    file = tmp_path / "p.toml"
    arguments = ["--store", "in=gs://b", "--store", "out=file:///srv/x", "--project", "p"]
    vstorefs("init", file, *arguments, env=ENV)
    assert [one.alias for one in projectsources.load(file, {}).stores] == ["in", "out"]
    again = vstorefs("init", file, *arguments, env=ENV, check=False)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "exists already" in again.stderr
    nobody = vstorefs("init", tmp_path / "q.toml", env=ENV, check=False)
    assert nobody.returncode == 2
    assert "--store NAME=URL" in nobody.stderr
    assert not (tmp_path / "q.toml").exists()
    wrong = vstorefs("init", tmp_path / "q.toml", "--store", "a/b=s3://x", env=ENV, check=False)
    assert wrong.returncode == 2
    assert not (tmp_path / "q.toml").exists()


def test_a_file_with_a_space_is_quoted(tmp_path: Path) -> None:
    file = tmp_path / "my project.toml"
    said = vstorefs("init", file, "--store", "in=gs://b", "--project", "p", env=ENV).stdout
    assert shlex.split(said.rpartition("vstorefs ")[2]) == ["mount", "-c", str(file), "DIR"]
    assert f"vstorefs mount -c {shlex.quote(file.name)} DIR" in file.read_text()


PROJECTS = {
    '[stores.a]\nurl = "s3://b"': True,
    '[stores.a]\nurl = "s3://b"\nconcurrency = 5\nlisting-seconds = 0.5\nanonymous = true': True,
    '[stores.a]\nfiles = { "x" = "https://h/x?y=1" }': True,
    'write = "back"\n[stores.a]\nurl = "file:///x"\n[cache]\nsize = "1 GiB"\n[hash]\nwhole-above-part = 1': True,
    'write = "never"\n[stores.a]\nurl = "s3://b"': False,
    '[stores.a]\nurl = "ftp://b"': False,
    "[stores.a]\nread-only = true": False,
    '[stores.a]\nurl = "s3://b"\nconcurrency = 0': False,
    '[stores.a]\nurl = "s3://b"\nunknown = 1': False,
    'project = "x"': False,
}


@pytest.mark.parametrize("text", PROJECTS)
def test_the_schema_says_what_the_program_says(text: str, tmp_path: Path) -> None:
    schema = json.loads(json.dumps(projectfile.schema()))
    jsonschema.Draft202012Validator.check_schema(schema)
    found = jsonschema.Draft202012Validator(schema).is_valid(tomllib.loads(text))
    file = tmp_path / "p.toml"
    file.write_text(text)
    try:
        projectsources.load(file, {})
        loads = True
    except errors.UsageError:
        loads = False
    assert (found, loads) == (PROJECTS[text], PROJECTS[text])
