"""Points, differences and restores are decided on histories alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from vstorefs import errors
from vstorefs.model import Hashes, Key, Mark, Token, Version, VersionId, VersionKind
from vstorefs.versions.history.comparison import Change, difference
from vstorefs.versions.history.cost import costs
from vstorefs.versions.history.names import label, version_names
from vstorefs.versions.history.points import NOW, Point, in_force, resolve, same_content
from vstorefs.versions.history.restore import Action, Step, Wanted, steps
from vstorefs.versions.history.selection import Rule, Selection

F = Key("d/f")


def version(at: int, text: str | None, key: Key = F, **more: Any) -> Version:
    """A version of time `at` with a content, or a tombstone; equal texts are equal contents."""
    kind = VersionKind.CONTENT if text is not None else VersionKind.TOMBSTONE
    made = Version(
        key,
        VersionId(f"{at:04d}".ljust(26, "x")),
        kind,
        at,
        Token(f"t{at}" if text is not None else ""),
        size=len(text or ""),
        hashes=Hashes(text, text, text) if text is not None else None,
    )
    return replace(made, **more)


def with_head(history: tuple[Version, ...]) -> tuple[Version, ...]:
    """A history as a store gives it: its newest version, unless it is a tombstone, is the head."""
    *older, newest = history
    return (*older, replace(newest, is_head=newest.kind is VersionKind.CONTENT))


HISTORY = (version(1001, "one"), version(1002, "two"), version(1003, None), version(1004, "one"))


@pytest.mark.parametrize(
    ("moment", "at"), [(1000, None), (1001, 0), (1002, 1), (1003, 2), (9999, 3)]
)
def test_what_was_in_force(moment: int, at: int | None) -> None:
    expected = HISTORY[at] if at is not None else None
    assert in_force(HISTORY, moment) == expected
    assert resolve(F, HISTORY, Point("a time", moment)) == expected


def test_what_came_late_was_never_in_force() -> None:
    late = version(1002, "late", marks=(Mark.LATE,))
    assert in_force((HISTORY[0], late), 9999) == HISTORY[0]


def test_a_version_is_named_by_id_label_or_name() -> None:
    foreign = replace(HISTORY[1], id=VersionId("AbC/+:=_long"))
    history = (HISTORY[0], foreign)
    name = version_names("f", history)[1]
    for text in ("AbC/+", label(foreign.id), label(foreign.id)[:5], name):
        assert resolve(F, history, Point(str(text))) == foreign


def test_an_id_is_not_taken_for_a_time() -> None:
    assert resolve(F, HISTORY, Point("1001", 9999)) == HISTORY[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [("zzzz", "zzzz is neither the id"), ("100", "100 is neither the id"), ("x", "x is neither")],
)
def test_what_names_nothing_is_refused(text: str, says: str) -> None:
    with pytest.raises(errors.NotFound, match=says):
        resolve(F, HISTORY, Point(text))


def test_several_versions_are_not_guessed_between() -> None:
    alike = [replace(one, id=VersionId(f"same{number}")) for number, one in enumerate(HISTORY[:2])]
    with pytest.raises(errors.NotFound, match="2 versions"):
        resolve(F, alike, Point("same"))


def test_equal_contents() -> None:
    one, two = version(1001, "one"), version(1002, "two")
    assert same_content(one, version(1004, "one"))
    assert same_content(one, two) is False
    assert same_content(replace(one, hashes=None), two) is None
    assert same_content(replace(one, hashes=None), replace(two, hashes=None, size=9)) is False


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, "x", Change.ADDED),
        ("x", None, Change.REMOVED),
        ("x", "y", Change.CHANGED),
        ("x", "x", None),
        (None, None, None),
    ],
)
def test_differences(before: str | None, after: str | None, change: Change | None) -> None:
    found = difference(F, version(1001, before), version(1002, after), same_content)
    assert (found.change if found is not None else None) == change


def planned(wanted: Wanted, *, to: str = "d", delete: bool = False) -> dict[str, Action]:
    histories = [
        (Key("d/back"), (version(1, "a", Key("d/back")), version(3, None, Key("d/back")))),
        (Key("d/changed"), (version(1, "a", Key("d/changed")), version(3, "b", Key("d/changed")))),
        (Key("d/later"), (version(3, "a", Key("d/later")),)),
        (Key("d/lost"), (version(1, "a", Key("d/lost"), token=Token("")), version(3, None))),
        (Key("d/same"), (version(1, "a", Key("d/same")),)),
    ]
    heads = None if to == "d" else {Key("e/extra"): version(1, "x", Key("e/extra"))}
    found: list[Step] = list(
        steps(
            [(key, with_head(history)) for key, history in histories],
            wanted,
            Key("d"),
            Key(to),
            heads,
            same_content,
            delete=delete,
        )
    )
    return {step.target: step.action for step in found}


def test_a_folder_as_it_was() -> None:
    wanted = Wanted(at=Point("a time", 2))
    assert planned(wanted) == {
        "d/back": Action.CREATE,
        "d/changed": Action.OVERWRITE,
        "d/later": Action.LEFT,
        "d/lost": Action.LOST,
        "d/same": Action.SAME,
    }
    assert planned(wanted, delete=True)["d/later"] is Action.REMOVE
    beside = planned(wanted, to="e")
    assert beside["e/same"] is Action.CREATE
    assert beside["e/extra"] is Action.LEFT
    assert "e/later" not in beside


def test_a_time_before_everything_removes_nothing() -> None:
    with pytest.raises(errors.NotFound, match="did not exist then"):
        planned(Wanted(at=Point("a time", 0)), delete=True)


def test_a_folder_needs_a_time() -> None:
    with pytest.raises(errors.NotFound, match="--at"):
        planned(Wanted())


@pytest.mark.parametrize(
    ("length", "brings"),
    [(2, "one"), (3, "two"), (4, "two")],
    ids=["change", "deletion", "restore"],
)
def test_the_last_other_content(length: int, brings: str) -> None:
    history = with_head(HISTORY[:length])
    step = next(steps([(F, history)], Wanted(), F, F, None, same_content, delete=False))
    assert step.version is not None
    assert step.version.hashes is not None
    assert step.version.hashes.sha256 == brings


def test_what_another_program_deleted_has_no_head() -> None:
    """There is no tombstone: nobody of ours was there."""
    wanted = Wanted(version=HISTORY[1].id)
    for step in steps([(F, HISTORY[:2])], wanted, F, F, None, same_content, delete=False):
        assert (step.action, step.head) == (Action.CREATE, None)


def test_now_changes_nothing() -> None:
    assert set(planned(Wanted(at=NOW)).values()) == {Action.SAME}


def test_costs_by_folder() -> None:
    other = Key("d/deep/g")
    head = replace(HISTORY[-1], is_head=True)
    histories = [(F, (*HISTORY[:-1], head)), (other, (version(1, "12345", other, is_head=True),))]
    purges = [Selection(Rule.KEEP, keep=2), Selection(Rule.OLDER, older_ns=10)]
    found = dict(costs(histories, Key("d"), 1, purges, 1015))
    assert (found["f"].head_bytes, found["f"].history_bytes, found["f"].versions) == (3, 6, 4)
    assert found["deep"].head_bytes == 5
    assert (found[""].files, found[""].head_bytes, found[""].history_bytes) == (2, 8, 6)
    assert found[""].freed == [3, 6]
    assert found["deep"].freed == [0, 0]
    assert list(found)[-1] == ""
