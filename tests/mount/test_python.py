"""`import vstorefs` in programs, on real mounts."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.support.mounts import Host, Mount
from tests.support.processes import ROOT

pytestmark = pytest.mark.mount


@pytest.fixture
def mount(one_host: Host, tmp_path: Path) -> Mount:
    (tmp_path / "store").mkdir()
    return one_host.mount((tmp_path / "store").as_uri())


def program(
    mount: Mount, text: str, *, check: bool = True, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """A program of a user's, who has `mount` and vstorefs."""
    head = f"import json, os, subprocess, sys, vstorefs\nmount = {str(mount.path)!r}\n"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", head + textwrap.dedent(text)],
        env={**mount.host.env, "PYTHONPATH": str(ROOT)},
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert not check or result.returncode == 0, result.stderr
    return result


def shown(mount: Mount, name: str) -> dict[str, Any]:
    return json.loads(mount.host.run("show", name, "--mount", mount.path, "--json").stdout)


def test_a_history_and_each_version_in_it(mount: Mount) -> None:
    result = program(
        mount,
        """
        path = mount + "/notes.txt"
        for text in ("one\\n", "two\\n"):
            with open(path, "w") as file:
                file.write(text)
        os.unlink(path)
        first, second, gone = vstorefs.history(path)
        assert [one.kind for one in (first, second, gone)] == ["content", "content", "tombstone"]
        assert first.time < second.time < gone.time and first.time.tzinfo is not None
        assert (first.size, first.is_head, second.time) == (4, False, max(first.time, second.time))
        for asked in (first, first.id, first.name, first.id[:14]):
            with vstorefs.open(path, version=asked) as file:
                assert file.read() == b"one\\n"
        with vstorefs.open(path, "r", version=second) as file:
            assert file.read() == "two\\n"
        assert first.token and second.token and first.token != second.token
        assert len(second.sha256) == 64 and len(second.md5) == 32
        assert vstorefs.history(mount + "/never") == []
        with open(mount + "/@odd", "w") as file:
            file.write("odd")
        (odd,) = vstorefs.history(mount + "/@odd")
        with vstorefs.open(mount + "/@odd", "r", version=odd) as file:
            assert file.read() == "odd"
        with vstorefs.open(mount + "/@odd") as file:
            assert file.read() == b"odd"
        print("done")
        """,
    )
    assert result.stdout == "done\n"


def test_what_cannot_be_had_is_said_in_one_line(mount: Mount) -> None:
    result = program(
        mount,
        """
        path = mount + "/notes.txt"
        with open(path, "w") as file:
            file.write("x")
        os.unlink(path)
        gone = vstorefs.history(path)[-1]
        for call in (
            lambda: vstorefs.history("/nowhere/at/all"),
            lambda: vstorefs.open(path, version="zzz"),
            lambda: vstorefs.open(path, version=""),
            lambda: vstorefs.open(path, version=gone),
            lambda: vstorefs.warnings("/nowhere/at/all"),
            lambda: vstorefs.run(mount="/nowhere").__enter__(),
        ):
            try:
                call()
            except vstorefs.VstorefsError as error:
                print(error)
        try:
            vstorefs.open(path, "w")
        except ValueError as error:
            print(error)
        try:
            vstorefs.nothing
        except AttributeError as error:
            print(error)
        """,
    )
    lines = result.stdout.splitlines()
    assert len(lines) == 8
    assert lines[0].startswith("/nowhere/at/all is not in a vstorefs mount of yours")
    assert "has no version 'zzz'; vstorefs.history(" in lines[1]
    assert "has no version ''" in lines[2]
    assert "has no content: it is a deletion" in lines[3]
    assert "'rb' or 'r', not 'w'" in lines[6]
    assert lines[7] == "module 'vstorefs' has no attribute 'nothing'"


def test_a_run_from_within_records_this_process_and_its_children_and_nothing_before(
    mount: Mount, tmp_path: Path
) -> None:
    for name in ("before", "own", "child", "unread"):
        (mount / name).write_text(name)
    result = program(
        mount,
        """
        with open(mount + "/before") as file:
            file.read()
        with vstorefs.run("training", mount=mount, command=["train", "--password", "hunter2"]) as run:
            with open(mount + "/own") as file:
                file.read()
            subprocess.run(["cat", mount + "/child"], check=True, stdout=subprocess.DEVNULL)
            with open(mount + "/result", "w") as file:
                file.write("made")
            try:
                vstorefs.run(mount=mount).__enter__()
            except vstorefs.VstorefsError as error:
                assert "is a run already" in str(error)
        with open(mount + "/before") as file:
            file.read()
        print(json.dumps([run.id, run.name, run.inputs, run.outputs, run.warnings, run.mount_point]))
        """,
    )
    run_id, name, inputs, outputs, warnings, point = json.loads(result.stdout)
    assert (name, inputs, outputs, warnings, point) == ("training", 2, 1, [], str(mount.path))
    whole = shown(mount, "training")
    assert whole["run"]["id"] == run_id
    assert whole["run"]["command"] == ["train", "--password", "****"]
    assert (whole["run"]["status"], whole["run"]["exit_status"]) == ("finished", 0)
    assert sorted(one["place"]["path"] for one in whole["inputs"]) == ["child", "own"]
    assert [one["place"]["path"] for one in whole["outputs"]] == ["result"]


@pytest.mark.parametrize(
    ("statement", "status"),
    [("raise ValueError('of the program')", 1), ("sys.exit(7)", 7), ("sys.exit()", 0)],
)
def test_an_exception_ends_the_run_and_goes_on_upwards(
    mount: Mount, statement: str, status: int
) -> None:
    (mount / "x").write_text("x")
    result = program(
        mount,
        f"""
        with vstorefs.run("failing", mount=mount):
            with open(mount + "/x") as file:
                file.read()
            {statement}
        """,
        check=False,
    )
    assert result.returncode == status
    assert ("ValueError: of the program" in result.stderr) == ("ValueError" in statement)
    run = shown(mount, "failing")["run"]
    assert (run["status"], run["exit_status"]) == ("failed" if status else "finished", status)
    assert run["inputs"] == 1


def test_warnings_that_hold_until_they_are_acknowledged(mount: Mount, tmp_path: Path) -> None:
    (mount / "d").mkdir()
    (mount / "d/x.csv").write_text("first")
    use = """
        with vstorefs.run("use", mount=mount) as run:
            with open(mount + "/d/x.csv") as file:
                file.read()
        print(len(run.warnings))
        """
    assert program(mount, use).stdout == "0\n"
    (mount / "d/x.csv").write_text("second")
    ask = """
        found = [vstorefs.warnings(mount + path) for path in ("/d/x.csv", "/d", "", "/other")]
        os.chdir(mount)
        found.append(vstorefs.warnings())
        print([len(one) for one in found])
        for one in found[0]:
            print(one.kind.value, one.place.path, one.before.content.size, one.now.size)
        """
    assert program(mount, ask).stdout == "[0, 0, 0, 0, 0]\n"
    assert program(mount, use).stdout == "1\n"
    assert program(mount, ask).stdout == "[1, 1, 1, 0, 1]\nchanged d/x.csv 5 6\n"
    mount.host.run("ack", mount / "d/x.csv", "--why", "meant")
    assert program(mount, ask).stdout == "[0, 0, 0, 0, 0]\n"


def test_the_import_is_light_and_typed() -> None:
    text = """
    import sys, vstorefs
    print(sorted(one for one in sys.modules if one.startswith("vstorefs")), "lmdb" in sys.modules)
    assert set(vstorefs.__all__) <= set(dir(vstorefs))
    import vstorefs.api
    assert all(getattr(vstorefs, one) is getattr(vstorefs.api, one) for one in vstorefs.api.__all__)
    heavy = {"boto3", "google.cloud.storage", "azure", "swiftclient", "trio", "pyfuse3"} & set(sys.modules)
    print(heavy)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(text)],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "['vstorefs'] False\nset()\n"
    assert (ROOT / "vstorefs/py.typed").exists()
