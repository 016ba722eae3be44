"""What a history says about how its versions came to stand where they stand."""

from __future__ import annotations

import stat

from vstorefs.model import Key, Mark
from vstorefs.versions.history.marks import marks_of
from vstorefs.versions.order import timeline
from vstorefs.versions.records import NO_PLAIN, Body, Flag, RecordKind, Summary

_PATH = Key("f")


def history(*rows: tuple[str, int, str, str | None]) -> dict[str, tuple[Mark, ...]]:
    """Marks by id of records, each given as id, sequence, kind and base."""
    found, bodies = [], {}
    for number, (name, sequence, kind, base) in enumerate(rows):
        identity = name * 26
        flags = Flag.LATE if kind == "l" else Flag(0)
        what = RecordKind("c" if kind == "l" else kind)
        found.append(
            Summary(sequence, what, number, 0, 0, stat.S_IFREG | 0o644, NO_PLAIN, identity, flags)
        )
        bodies[identity] = Body(store="s", path="f", base=base * 26 if base else None)
    positions = timeline(_PATH, found, None)
    marks = marks_of(positions, [bodies[position.id] for position in positions])
    return {position.id[0]: marks[index] for index, position in enumerate(positions)}


def test_a_plain_line_of_versions_has_no_marks() -> None:
    assert history(("a", 1, "c", None), ("b", 2, "c", "a"), ("c", 3, "t", "b")) == {
        "a": (),
        "b": (),
        "c": (),
    }


def test_who_did_not_see_the_version_before() -> None:
    found = history(("a", 1, "c", None), ("b", 2, "c", "a"), ("c", 3, "c", "a"))
    assert found["c"] == (Mark.OLDER_HEAD,)


def test_equal_sequences_are_a_race() -> None:
    found = history(("a", 1, "c", None), ("b", 2, "c", "a"), ("c", 2, "c", "a"))
    assert found["b"] == (Mark.RACE,)
    assert found["c"] == (Mark.RACE, Mark.OLDER_HEAD)


def test_a_deletion_that_did_not_know_of_a_content() -> None:
    found = history(("a", 1, "c", None), ("b", 2, "c", "a"), ("d", 3, "t", "a"))
    assert found["b"] == (Mark.DELETED_WHILE_WRITTEN,)
    assert history(("a", 1, "c", None), ("d", 2, "t", "a"))["a"] == ()


def test_a_file_that_was_deleted_is_made_anew_without_a_mark() -> None:
    found = history(("a", 1, "c", None), ("d", 2, "t", "a"), ("b", 3, "c", None))
    assert found["b"] == ()


def test_what_came_late_does_not_make_others_look_odd() -> None:
    found = history(("a", 1, "c", None), ("l", 2, "l", "a"), ("b", 2, "c", "a"), ("c", 3, "c", "b"))
    assert (found["b"], found["c"]) == ((), ())


def test_nothing_is_said_of_what_is_not_known() -> None:
    position = timeline(
        _PATH,
        [Summary(1, RecordKind.CONTENT, 1, 0, 0, stat.S_IFREG, NO_PLAIN, "a" * 26)],
        None,
    )
    assert marks_of(position, [None]) == [()]
