"""`vstorefs log`, `diff`, `restore` and `du` on real mounts: what was is found, compared and brought back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.mount.kinds import WRITABLE
from tests.support.mounts import Host, Mount, host
from tests.support.processes import wait_until

pytestmark = pytest.mark.mount

KINDS = ("file", "s3-native", "s3-portable")
LARGE = 12 << 20


@pytest.fixture(params=KINDS)
def mount(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mount]:
    place = WRITABLE[request.param](request)
    with host(tmp_path / "host", place.env) as one:
        yield one.mount(place.url)


def run(mount: Mount, *arguments: str | Path) -> str:
    return mount.host.run(*arguments).stdout


def rows(mount: Mount, *arguments: str | Path) -> list[dict[str, Any]]:
    return json.loads(run(mount, *arguments, "--json"))


def refused(mount: Mount, *arguments: str | Path) -> str:
    """The one line that a command ends with."""
    result = mount.host.run(*arguments, check=False)
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def moment(mount: Mount) -> str:
    """A time after everything so far and before everything that comes: stores may keep whole seconds."""
    return moment_in(mount, "")


def moment_in(mount: Mount, store: str) -> str:
    """The same in one store of a mount; its clock is the one that counts."""
    mount.host.run("flush", mount.path)
    marker = os.path.join(store, "marker")

    def newest() -> int:
        write(mount / marker, os.urandom(8).hex())
        text = mount.history(marker)[-1]["time"]
        return int(text[11:19].replace(":", ""))

    first = newest()
    found = []

    def later() -> bool:
        found.append(newest())
        return found[-1] != first

    wait_until(later, "the next second")
    at = mount.history(marker)[-1]["time"]
    before = newest()
    wait_until(lambda: newest() != before, "the next second")
    return str(at)


def tree(folder: Path) -> dict[str, str]:
    """What a folder holds; the marker of `moment` left out."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "marker"
    }


def test_the_log_of_a_folder_tells_of_everything_below_it(mount: Mount) -> None:
    write(mount / "d/a", "one")
    write(mount / "d/deep/b", "b")
    write(mount / "d/a", "three")
    (mount / "d/deep/b").unlink()
    write(mount / "other", "no")
    found = rows(mount, "log", mount / "d")
    assert sorted((row["path"].removeprefix(f"{mount.path}/"), row["kind"]) for row in found) == [
        ("d/a", "content"),
        ("d/a", "content"),
        ("d/deep/b", "content"),
        ("d/deep/b", "tombstone"),
    ]
    assert [row["time"] for row in found] == sorted(row["time"] for row in found)
    text = run(mount, "log", mount / "d").splitlines()
    assert len(text) == 5
    assert sum("deleted" in line for line in text) == 1
    newest = rows(mount, "log", "--limit", "1", mount / "d")
    assert newest == found[-1:]
    both = rows(mount, "log", mount / "d", mount / "other")
    assert len(both) == 5


def test_differences_between_two_times(mount: Mount) -> None:
    write(mount / "d/same", "same")
    write(mount / "d/changed", "one\ntwo\n")
    write(mount / "d/removed", "gone")
    then = moment(mount)
    write(mount / "d/changed", "one\n2\n")
    write(mount / "d/added", "new")
    (mount / "d/removed").unlink()
    found = {row["path"].rpartition("/")[2]: row for row in rows(mount, "diff", mount / "d", then)}
    assert {name: row["change"] for name, row in found.items()} == {
        "changed": "changed",
        "added": "added",
        "removed": "removed",
    }
    assert (found["changed"]["before"]["size"], found["changed"]["after"]["size"]) == (8, 6)
    text = run(mount, "diff", mount / "d", then)
    assert f"+ {mount.path}/d/added" in text
    assert f"- {mount.path}/d/removed" in text
    assert "1 added, 1 removed, 1 changed" in text
    assert run(mount, "diff", mount / "d", "now", "now") == ""
    status = mount.host.run("diff", "--exit-code", mount / "d", then, check=False).returncode
    assert status == 1


def test_differences_between_versions_of_a_text_line_by_line(mount: Mount) -> None:
    write(mount / "f", "one\ntwo\nthree\n")
    write(mount / "f", "one\n2\nthree\n")
    write(mount / "f", "one\n2\nthree\nfour")
    ids = [row["id"] for row in mount.history("f")]
    text = run(mount, "diff", mount / "f", ids[0], ids[1])
    assert "-two\n+2\n" in text
    assert "four" not in text
    text = run(mount, "diff", mount / "f", mount.history("f")[0]["name"])
    assert "-two\n+2\n" in text
    assert "+four\n\\ No newline at end of file" in text
    (mount / "f").write_bytes(b"\0binary")
    assert "(binary)" in run(mount, "diff", mount / "f", ids[0])


def test_a_restore_undoes_the_last_change_and_a_deletion(mount: Mount) -> None:
    write(mount / "f", "first")
    os.chmod(mount / "f", 0o600)
    os.utime(mount / "f", ns=(10**18, 10**18))
    write(mount / "f", "second")
    told = run(mount, "restore", mount / "f")
    assert "overwritten" in told
    assert mount.history("f")[0]["time"][:10] in told
    assert (mount / "f").read_text() == "first"
    assert [item["kind"] for item in mount.history("f")] == ["content"] * 3
    (mount / "f").unlink()
    assert "created" in run(mount, "restore", mount / "f")
    assert (mount / "f").read_text() == "first"
    assert [item["kind"] for item in mount.history("f")][-2:] == ["tombstone", "content"]
    assert mount.contents("f")[-3:] == [b"first", None, b"first"]


def test_equal_content_makes_no_version(mount: Mount) -> None:
    write(mount / "f", "first")
    write(mount / "f", "other")
    write(mount / "f", "first")
    ids = [row["id"] for row in mount.history("f")]
    told = run(mount, "restore", mount / "f", "--version", ids[0])
    assert "1 unchanged" in told
    assert [row["id"] for row in mount.history("f")] == ids


def test_a_large_version_comes_back_without_passing_by(mount: Mount) -> None:
    data = os.urandom(LARGE)
    (mount / "large").write_bytes(data)
    (mount / "large").write_bytes(b"small")
    mount.host.run("cache", "clear")
    before = mount.status()["transfers"]["downloaded_bytes"]
    run(mount, "restore", mount / "large")
    assert mount.status()["transfers"]["downloaded_bytes"] == before
    assert (mount / "large").read_bytes() == data


def test_a_folder_comes_back_as_it_was(mount: Mount) -> None:
    write(mount / "d/same", "same")
    write(mount / "d/changed", "before")
    write(mount / "d/deep/removed", "gone")
    was = tree(mount / "d")
    then = moment(mount)
    write(mount / "d/changed", "after")
    write(mount / "d/new", "new")
    (mount / "d/deep/removed").unlink()
    (mount / "d/deep").rmdir()
    now = tree(mount / "d")
    told = run(mount, "restore", mount / "d", "--at", then, "--dry-run")
    assert "nothing was changed" in told
    assert tree(mount / "d") == now
    told = run(mount, "restore", mount / "d", "--at", then)
    assert "1 created, 1 overwritten, 1 unchanged, 1 left" in told
    assert f"left         {mount.path}/d/new" in told
    assert tree(mount / "d") == was | {"new": "new"}
    told = run(mount, "restore", mount / "d", "--at", then, "--delete")
    assert "3 unchanged, 1 removed" in told
    assert tree(mount / "d") == was
    assert len(mount.history("d/same")) == 1
    assert [item["kind"] for item in mount.history("d/new")] == ["content", "tombstone"]
    run(mount, "restore", mount / "d", "--at", then, "--to", mount / "copy")
    assert tree(mount / "copy") == was


def test_restores_to_other_places(mount: Mount, tmp_path: Path) -> None:
    write(mount / "f", "first")
    write(mount / "f", "second")
    run(mount, "restore", mount / "f", "--to", mount / "new/g")
    assert (mount / "new/g").read_text() == "first"
    assert (mount / "f").read_text() == "second"
    (mount / "folder").mkdir()
    run(mount, "restore", mount / "f", "--to", mount / "folder")
    assert (mount / "folder/f").read_text() == "first"
    run(mount, "restore", mount / "f", "--to", tmp_path / "outside")
    assert (tmp_path / "outside").read_text() == "first"
    assert (
        "no version of it would be kept"
        in mount.host.run("restore", mount / "f", "--to", tmp_path / "outside", check=False).stderr
    )


def test_a_reader_goes_on_with_its_version_and_a_writer_is_not_cut_off(mount: Mount) -> None:
    write(mount / "f", "first")
    write(mount / "f", "second")
    with (mount / "f").open() as reader:
        run(mount, "restore", mount / "f")
        assert reader.read() == "second"
    assert (mount / "f").read_text() == "first"
    with (mount / "f").open("a") as writer:
        result = mount.host.run("restore", mount / "f", check=False)
        assert result.returncode == 1
        assert "being written" in result.stderr
        writer.write(" and more")
    assert (mount / "f").read_text() == "first and more"


def test_what_history_takes(mount: Mount) -> None:
    write(mount / "d/a", "x" * 100)
    write(mount / "d/a", "x" * 10)
    write(mount / "d/deep/b", "y" * 1000)
    (mount / "d/deep/b").unlink()
    found = {row["path"]: row for row in rows(mount, "du", "--history", mount / "d")}
    whole = found[str(mount / "d")]
    assert (whole["head_bytes"], whole["history_bytes"]) == (10, 1100)
    assert (whole["files"], whole["deleted"], whole["versions"]) == (2, 1, 4)
    assert found[str(mount / "d/deep")]["history_bytes"] == 1000
    assert found[str(mount / "d/a")]["head_bytes"] == 10
    assert [row["path"] for row in rows(mount, "du", "--depth", "0", mount / "d")] == [
        str(mount / "d")
    ]
    planned = rows(mount, "du", "--history", "--keep", "1", "--older-than", "90d", mount / "d")
    assert planned[-1]["freed"] == {"keep:1": 100, "older-than:90d": 0}
    assert "keep:1" in run(mount, "du", "--history", "--keep", "1", mount / "d")
    assert "names no versions" in refused(mount, "du", "--history", "--keep", "x", mount / "d")
    assert "1.1 kB" in run(mount, "du", "--history", mount / "d")


def test_many_files_are_told_of_in_full(one_host: Host, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    for number in range(3000):
        write(folder / f"d{number % 7}/f{number}", str(number))
    mount = one_host.mount(folder.as_uri())
    assert len(rows(mount, "log", mount.path)) == 3000
    told = mount.host.run("restore", mount / "d1", "--at", "now", "--to", mount / "copy")
    assert told.stdout.splitlines()[-1] == "429 created"
    assert tree(mount / "copy") == tree(folder / "d1")
    assert tree(mount / "copy") == tree(mount / "d1")


def test_from_one_store_of_a_mount_to_another(one_host: Host, tmp_path: Path) -> None:
    stores = "".join(
        f'[stores.{name}]\nurl = "{(tmp_path / name).as_uri()}"\n' for name in ("one", "two")
    )
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    mount = one_host.project(stores)
    write(mount / "one/d/f", "first")
    then = moment_in(mount, "one")
    write(mount / "one/d/f", "second")
    told = run(mount, "restore", mount / "one/d", "--at", then, "--to", mount / "two/copy")
    assert "1 created" in told
    assert (mount / "two/copy/f").read_text() == "first"
    assert (mount / "one/d/f").read_text() == "second"
    told = run(mount, "log", mount.path)
    assert f"{mount.path}/one/d/f" in told
    assert f"{mount.path}/two/copy/f" in told
    assert "outside of it" in refused(
        mount, "restore", mount / "one/d", "--at", then, "--to", mount / "two/x", "--delete"
    )


def test_what_is_not_there_is_said_in_one_line(mount: Mount, tmp_path: Path) -> None:
    write(mount / "f", "content")
    write(mount / "d/g", "content")
    for command in (["log"], ["diff", "now"], ["restore"], ["restore", "--at", "now"], ["du"]):
        name, *more = command
        line = refused(mount, name, mount / "never", *more)
        assert "never" in line
        assert "has no versions" in line
    for command in (["log"], ["diff", "now"], ["restore"], ["du"]):
        name, *more = command
        assert "not in a vstorefs mount" in refused(mount, name, tmp_path, *more)
    assert "zzzzzz" in refused(mount, "restore", mount / "f", "--version", "zzzzzz")
    assert "zzzzzz is neither the id of a version nor a time" in refused(
        mount, "diff", mount / "f", "zzzzzz"
    )
    assert "is not a valid time" in refused(mount, "restore", mount / "f", "--at", "no such time")
    assert "no other version to restore" in refused(mount, "restore", mount / "f")
    assert "--at" in refused(mount, "restore", mount / "d")
    assert "did not exist then" in refused(
        mount, "restore", mount / "d", "--at", "2020-01-01", "--delete"
    )
    assert "run" in refused(mount, "diff", mount / "f", "run:nosuchrun")
    assert (mount / "f").read_text() == "content"
