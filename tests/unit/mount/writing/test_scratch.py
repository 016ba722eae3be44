"""Which names stay local."""

from __future__ import annotations

import pytest

from vstorefs.mount.writing.scratch import ScratchNames


@pytest.mark.parametrize(
    "name",
    [
        "f.tmp",
        ".#notes",
        ".f.swp",
        "4913",
        ".~lock.a.odt#",
        ".data.csv.A1b2C3",
        "sedAb12Cd",
        "tmp_obj_x1",
    ],
)
def test_names_on_the_way(name: str) -> None:
    assert ScratchNames().matches(name)


@pytest.mark.parametrize(
    "name", ["f.txt", "notes~", "data.db-journal", "sedation", "tmp", ".gitignore", "index.lock"]
)
def test_real_names(name: str) -> None:
    assert not ScratchNames().matches(name)


def test_a_project_adds_its_own() -> None:
    assert ScratchNames(("*.partial",)).matches("f.partial")
    assert ScratchNames(("*.partial",)).matches("f.tmp")
