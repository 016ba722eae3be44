"""The ranges of a staging file, against a plain set of positions."""

from __future__ import annotations

import itertools
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from vstorefs.model import SessionId, Staged
from vstorefs.state.staging import StagingArea, add, cut, missing

ranges = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(sorted)


@given(st.lists(st.tuples(st.booleans(), ranges), max_size=20), ranges)
def test_ranges_are_sets(steps: list[tuple[bool, list[int]]], asked: list[int]) -> None:
    present: tuple[tuple[int, int], ...] = ()
    model: set[int] = set()
    for is_cut, (start, end) in steps:
        if is_cut:
            present, model = cut(present, end), {one for one in model if one < end}
        else:
            present, model = add(present, start, end), model | set(range(start, end))
        assert [one for low, high in present for one in range(low, high)] == sorted(model)
        assert all(first[1] < second[0] for first, second in itertools.pairwise(present))
    start, end = asked
    gaps = [one for low, high in missing(present, start, end) for one in range(low, high)]
    assert gaps == [one for one in range(start, end) if one not in model]


def test_a_clone_has_the_same_content_and_its_own_life(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, SessionId("s"))
    name = area.create()
    with area.path(name).open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"content")
    staged = Staged(name, (5 << 20) + 7, ((5 << 20, (5 << 20) + 7),), None)
    clone = area.clone(staged)
    area.path(name).write_bytes(b"changed")
    data = area.path(clone.name).read_bytes()
    assert data == bytes(5 << 20) + b"content"
    assert area.path(clone.name).stat().st_blocks * 512 < 1 << 20
