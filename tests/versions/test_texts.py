"""A history as people read it, and as programs do."""

from __future__ import annotations

import pytest

from vstorefs.model import Key, Mark, Token, Version, VersionId, VersionKind, WriteId
from vstorefs.versions.history import texts

SHOWN = {
    "late": "conflict: uploaded late, never current",
    "interrupted": "interrupted write",
    "made from an older head": "conflict: based on an older version",
    "replaced outside": "content lost: overwritten by another program",
    "changed after it was superseded": "content modified after it was superseded",
    "made by another program": "written by another program",
    "written at the same time as another": "conflict: written concurrently",
    "deleted while it was written": "conflict: deleted while being written",
    "its record is damaged": "record damaged",
    "its record is of another store": "record of another store",
    "purged": "purged",
    "its purge is not finished": "purge unfinished",
}


@pytest.mark.parametrize("mark", list(Mark))
def test_every_mark_is_shown_in_words_of_its_own(mark: Mark) -> None:
    assert texts.marks_text([mark.value]) == SHOWN[mark.value]
    assert texts.marks_text([mark.value], is_head=True) == f"{SHOWN[mark.value]}, current"


def test_people_read_words_and_programs_values() -> None:
    history = [
        Version(
            Key("f"), VersionId("aaaaaaaaaaaaaa"), VersionKind.CONTENT, 1_790_000_000_000_000_000
        ),
        Version(
            Key("f"),
            VersionId("bbbbbbbbbbbbbb"),
            VersionKind.CONTENT,
            1_790_000_001_234_000_000,
            token=Token("t"),
            size=28_900,
            write_id=WriteId("w"),
            marks=(Mark.OLDER_HEAD, Mark.RACE),
            is_head=True,
        ),
    ]
    first, second = texts.to_table("f", history).decode().splitlines()[1:]
    assert first.startswith("2026-09-21 14:13:20.000  0      other program  -")
    assert second.startswith("2026-09-21 14:13:21.234  28900  vstorefs       -")
    assert second.endswith(
        "conflict: based on an older version, conflict: written concurrently, current"
    )
    item = texts.items("f", history)[1]
    assert list(item.marks) == ["made from an older head", "written at the same time as another"]
    assert (item.is_head, item.time) == (True, "2026-09-21T14:13:21.234Z")
