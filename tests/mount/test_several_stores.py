"""The top of a mount of several stores: what is asked there is asked of all of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.mounts import Host, Mount

pytestmark = pytest.mark.mount


def project(one_host: Host, *aliases: str, reading: str = "") -> str:
    text = ""
    for alias in aliases:
        (one_host.folder / alias).mkdir()
        url = (one_host.folder / alias).as_uri()
        only = "read-only = true\n" if alias == reading else ""
        text += f'[stores.{alias}]\nurl = "{url}"\n{only}'
    return text


@pytest.fixture
def mount(one_host: Host) -> Mount:
    return one_host.project(project(one_host, "raw", "models"))


def rows(mount: Mount, *arguments: str | Path) -> list[dict[str, Any]]:
    return json.loads(mount.host.run(*arguments, "--json").stdout)


def test_log_shows_the_versions_of_all_stores_by_time(mount: Mount) -> None:
    for name in ("raw/a", "models/d/b", "raw/c"):
        (mount / name).parent.mkdir(exist_ok=True)
        (mount / name).write_text(name)
        mount.host.run("flush")
    wanted = [str(mount / name) for name in ("raw/a", "models/d/b", "raw/c")]
    assert [row["path"] for row in rows(mount, "log", mount.path)] == wanted
    assert [row["path"] for row in rows(mount, "log", "--limit", "2", mount.path)] == wanted[1:]


def test_diff_compares_all_stores(mount: Mount) -> None:
    (mount / "raw/old").write_text("old")
    mount.host.run("flush")
    then = datetime.now(UTC).isoformat()
    (mount / "raw/a").write_text("a")
    (mount / "models/b").write_text("b")
    found = rows(mount, "diff", mount.path, then)
    assert [(row["path"], row["change"]) for row in found] == [
        (str(mount / "raw/a"), "added"),
        (str(mount / "models/b"), "added"),
    ]
    assert mount.host.run("diff", mount.path, then, "--exit-code", check=False).returncode == 1


def test_du_adds_all_stores_up(mount: Mount) -> None:
    for name, text in (("raw/d/a", "1"), ("raw/d/a", "22"), ("models/b", "333")):
        (mount / name).parent.mkdir(exist_ok=True)
        (mount / name).write_text(text)
    mount.host.run("flush")

    def costs(*options: str) -> dict[str, tuple[int, ...]]:
        found = rows(mount, "du", "--history", "--keep", "1", *options, mount.path)
        columns = ("files", "versions", "head_bytes", "history_bytes")
        return {
            row["path"]: (*(row[one] for one in columns), row["freed"]["keep:1"]) for row in found
        }

    top, raw, models = str(mount.path), str(mount / "raw"), str(mount / "models")
    parts = {raw: (1, 2, 2, 1, 1), models: (1, 1, 3, 0, 0), top: (2, 3, 5, 1, 1)}
    assert costs() == parts
    assert list(costs())[-1] == top
    assert costs("--depth", "0") == {top: parts[top]}
    deeper = {f"{raw}/d": (1, 2, 2, 1, 1), f"{models}/b": (1, 1, 3, 0, 0)}
    assert costs("--depth", "2") == parts | deeper


def test_where_there_is_nothing_yet_it_is_said_once(mount: Mount) -> None:
    for command, *more in (("log",), ("du",), ("diff", "now")):
        result = mount.host.run(command, mount.path, *more, check=False)
        assert result.returncode == 1
        assert f"{mount.path} has no versions" in result.stderr


def test_the_hint_of_a_mount_names_a_place_that_can_be_written(one_host: Host) -> None:
    file = one_host.folder / "vstorefs.toml"
    file.write_text(project(one_host, "raw", "models", reading="raw"))
    point = one_host.folder / "data"
    one_host.points.append(point)
    said = one_host.run("mount", "-c", file, point).stdout
    hint = f"copy a file to {point}/models twice and look into {point}/models/.versions/; "
    assert hint in said
    for content in ("1", "2"):
        (point / "models/f").write_text(content)
    assert len(list((point / "models/.versions/f").iterdir())) >= 2


def test_no_hint_to_write_where_nothing_can_be_written(one_host: Host) -> None:
    file = one_host.folder / "vstorefs.toml"
    file.write_text(project(one_host, "raw", reading="raw"))
    point = one_host.folder / "data"
    one_host.points.append(point)
    assert "copy a file" not in one_host.run("mount", "-c", file, point).stdout
