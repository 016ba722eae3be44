"""Which versions a purge removes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstorefs import errors
from vstorefs.model import Key, Mark, Token, Version, VersionId, VersionKind
from vstorefs.versions.history import selection
from vstorefs.versions.history.selection import Rule, Selection

_HOUR_NS = 3600 * 1_000_000_000


@st.composite
def histories(draw: st.DrawFn) -> list[Version]:
    """Contents, deletions, what came late, what is gone; the head is the last content, if no deletion followed."""
    found: list[Version] = []
    time_ns = 1_000 * _HOUR_NS
    for number in range(draw(st.integers(0, 12))):
        time_ns += draw(st.integers(1, 5)) * _HOUR_NS
        kind = draw(st.sampled_from([VersionKind.CONTENT] * 3 + [VersionKind.TOMBSTONE]))
        marks = draw(
            st.sampled_from(
                [
                    (),
                    (),
                    (),
                    (Mark.LATE,),
                    (Mark.PURGED,),
                    (Mark.PURGING,),
                    (Mark.REPLACED_OUTSIDE,),
                ]
            )
        )
        name = VersionId(f"{number:02d}ab")
        found.append(Version(Key("f"), name, kind, time_ns, Token(name), marks=marks))
    if found and found[-1].kind is VersionKind.CONTENT and not found[-1].marks:
        last = found[-1]
        found[-1] = Version(Key("f"), last.id, last.kind, last.time_ns, last.token, is_head=True)
    return found


def _chosen(history: list[Version], wanted: Selection, now_ns: int = 2_000 * _HOUR_NS) -> set[str]:
    return {one.id for one in selection.chosen(history, wanted, now_ns)}


@given(histories())
def test_only_what_has_bytes_is_chosen_and_all_is_all_of_it(history: list[Version]) -> None:
    there = {one.id for one in history if selection.has_bytes(one)}
    assert _chosen(history, Selection()) == there
    for version in history:
        if version.kind is VersionKind.TOMBSTONE or Mark.PURGED in version.marks:
            assert version.id not in there


@given(histories(), st.integers(1, 12))
def test_the_newest_are_kept(history: list[Version], keep: int) -> None:
    there = [one for one in history if selection.has_bytes(one)]
    begun = {one.id for one in there if Mark.PURGING in one.marks}
    left = [one for one in there if one.id not in _chosen(history, Selection(Rule.KEEP, keep))]
    assert {one.id for one in there[-keep:]} - begun <= {one.id for one in left}
    assert len(left) <= keep


@given(histories(), st.integers(0, 100))
def test_by_age_the_head_stays_and_more_goes_as_time_passes(
    history: list[Version], hours: int
) -> None:
    now_ns = (history[-1].time_ns if history else 0) + 50 * _HOUR_NS
    wanted = Selection(Rule.OLDER, older_ns=hours * _HOUR_NS)
    first, later = _chosen(history, wanted, now_ns), _chosen(history, wanted, now_ns + _HOUR_NS)
    assert first <= later
    assert not {one.id for one in history if one.is_head} & later
    if hours >= 50:
        # Whatever is superseded was so at the time of the newest at the latest.
        begun = {one.id for one in history if Mark.PURGING in one.marks}
        at_the_end = {one.id for one in history[:-1]}
        assert first - begun <= at_the_end


@given(histories(), st.data())
def test_what_is_named_goes_and_what_was_begun(history: list[Version], data: st.DataObject) -> None:
    there = [one.id for one in history if selection.has_bytes(one)]
    begun = {one.id for one in history if selection.has_bytes(one) and Mark.PURGING in one.marks}
    named = data.draw(st.lists(st.sampled_from(there), max_size=3)) if there else []
    assert _chosen(history, Selection(Rule.NAMED, ids=tuple(named))) == set(named) | begun


def test_words_say_which() -> None:
    assert selection.parse([]) == Selection()
    assert selection.parse(["keep:5"]) == Selection(Rule.KEEP, keep=5)
    day_ns = 24 * _HOUR_NS
    assert selection.parse(["older-than:90d"]) == Selection(Rule.OLDER, older_ns=90 * day_ns)
    assert selection.parse(["k3v9x0q2m7ab", "2026-11-24T20:42:49.9Z"]).ids == (
        "k3v9x0q2m7ab",
        "2026-11-24T20:42:49.9Z",
    )


@pytest.mark.parametrize(
    "word", ["keep:", "keep:0", "keep:-1", "older-than:5", "older-than:x", "abc"]
)
def test_words_that_say_nothing_are_refused(word: str) -> None:
    with pytest.raises(errors.UsageError, match=word):
        selection.parse([word])


def test_a_rule_stands_alone() -> None:
    with pytest.raises(errors.UsageError, match="cannot be combined"):
        selection.parse(["keep:5", "k3v9x0q2m7ab"])
