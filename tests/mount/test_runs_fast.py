"""What is an input where files are made, saved, renamed and read in the same moment: always the version that was there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.mount.kinds import WRITABLE
from tests.mount.test_runs import LAYOUTS, OtherTool, manifest, project, record, sha256, warnings_in
from tests.support.mounts import Mount, host

pytestmark = [pytest.mark.mount, pytest.mark.stores]

OLD = b"what was there before\n"

SAME_WORK = {
    "rename": ("mv f g && cat g", "f"),
    "rename, twice": ("mv f g && mv g h && cat h", "f"),
    "rename, and back": ("mv f g && mv g f && cat f", "f"),
    "rename over another": ("echo x > g && mv f g && cat g", "f"),
    "rename of its directory": ("mkdir d && mv f d/f && cat d/f", "f"),
    "append, then read": ("echo more >> f && cat f", "f"),
    "append twice, then read": ("echo more >> f; echo again >> f; cat f", "f"),
    "cut short, then read": ("truncate -s 5 f && cat f", "f"),
    "change its mode, then read": ("chmod 600 f && cat f", "f"),
    "append, rename, read": ("echo more >> f && mv f g && cat g", "f"),
    "read, then write the same": (
        "python3 -c \"t=open('f').read(); open('f','w').write(t)\"",
        "f",
    ),
    "read, then write something else": (
        "python3 -c \"t=open('f').read(); open('f','w').write(t*2)\"",
        "f",
    ),
    "a copy of it": ("cp f g && cat g", "f"),
}
"""Commands of one run that read what was there before, and the name that it had then."""

OWN_WORK = {
    "saves by rename": "for i in 1 22 333; do echo $i > x.new; mv x.new x; cat x; done",
    "saves by rename over a stored file": "for i in 1 22 333; do echo $i > f.new; mv f.new f; cat f; done",
    "writes anew": "echo x > f && cat f",
    "writes anew, twice": "echo x > f && cat f && echo yy > f && cat f",
    "makes, appends": "echo x > g && echo y >> g && cat g",
    "makes, changes the mode": "echo x > g && chmod 600 g && cat g && mv g h && cat h",
    "cuts to nothing": "truncate -s 0 f && cat f && echo x >> f && cat f",
}
"""Commands of one run that read only what it has made itself."""


def _inputs(found: dict[str, Any]) -> dict[str, str]:
    return {
        one["place"]["path"]: str((one["content"].get("hashes") or {}).get("sha256"))
        for one in found["inputs"]
    }


def _do(mount: Mount, name: str, command: str) -> str:
    return record(mount, name, "sh", "-c", f"cd {mount.path}/data/{name} && {command}").stderr


@pytest.mark.parametrize("kind", LAYOUTS)
def test_what_a_run_reads_of_what_was_there_is_its_input_under_the_name_that_it_had(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        for number in range(len(SAME_WORK)):
            (mount / f"data/{number}").mkdir()
            (mount / f"data/{number}/f").write_bytes(OLD)
        wrong = {}
        for number, (what, (command, name)) in enumerate(SAME_WORK.items()):
            said = warnings_in(_do(mount, str(number), command))
            found = _inputs(manifest(mount, str(number)))
            if said or found != {f"{number}/{name}": sha256(OLD)}:
                wrong[what] = (said, found)
        assert wrong == {}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_what_a_run_has_made_itself_is_no_input(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        for number in range(len(OWN_WORK)):
            (mount / f"data/{number}").mkdir()
            (mount / f"data/{number}/f").write_bytes(OLD)
        wrong = {}
        for number, (what, command) in enumerate(OWN_WORK.items()):
            said = warnings_in(_do(mount, str(number), command))
            found = _inputs(manifest(mount, str(number)))
            if said or found:
                wrong[what] = (said, found)
        assert wrong == {}


@pytest.mark.parametrize("kind", LAYOUTS)
def test_what_another_run_made_a_moment_ago_is_an_input_with_its_hashes(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        (mount / "data/d").mkdir()
        script = (
            "cd {0}/data/d && echo a > a.new && mv a.new a && echo b > b && mv b c && echo d >> c"
        )
        record(mount, "makes", "sh", "-c", script.format(mount.path))
        record(mount, "reads", "sh", "-c", f"cd {mount.path}/data/d && cat a c")
        assert _inputs(manifest(mount, "reads")) == {
            "d/a": sha256(b"a\n"),
            "d/c": sha256(b"b\nd\n"),
        }
        history = json.loads(one.run("log", mount / "data/d/c", "--json").stdout)
        made_by = manifest(mount, "makes")["run"]["id"]
        assert history[-1]["run"] == made_by
        used = [one for one in manifest(mount, "reads")["inputs"] if one["place"]["path"] == "d/c"]
        assert used[0]["content"]["token"] == history[-1]["token"]


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_file_that_was_written_just_now_has_its_hashes_when_the_run_ends(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    place = WRITABLE[kind](request)
    tool = OtherTool(place, request)
    with host(tmp_path / "host", place.env) as one:
        mount = project(one, place)
        if kind == "file":
            (Path(place.url.removeprefix("file://")) / "young").write_bytes(b"young")
            (Path(place.url.removeprefix("file://")) / "empty").write_bytes(b"")
        else:
            tool.write("young", b"young")
            tool.write("empty", b"")
        file, empty = mount / "data/young", mount / "data/empty"
        for name in ("first", "again"):
            said = record(mount, name, "cat", file, empty).stderr
            assert warnings_in(said) == []
            assert _inputs(manifest(mount, name)) == {
                "young": sha256(b"young"),
                "empty": sha256(b""),
            }
