"""What counts as a change, against the plainest telling of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.hosts import START, hashes, place
from vstorefs.ledger import changes
from vstorefs.ledger.changes import Difference
from vstorefs.ledger.manifest import (
    Acknowledgement,
    ChangeWarning,
    Earlier,
    Seen,
    WarningKind,
)
from vstorefs.model import RunId, StoreId, Token

# Contents as they are in truth; what is known of each is drawn apart.
_TRUTHS = st.sampled_from(["", "x", "y", "long"])


@st.composite
def known(draw: st.DrawFn) -> tuple[str, Seen]:
    """What a content is, and what a host knows of it: a strong token is of that content only, hashes may be missing."""
    truth = draw(_TRUTHS)
    strong = draw(st.booleans())
    token = (
        f"{truth}-{draw(st.integers(0, 2))}"
        if strong
        else f"weak-{len(truth)}-{draw(st.integers(0, 1))}"
    )
    return truth, Seen(
        token=Token(token),
        size=len(truth),
        hashes=hashes(truth) if draw(st.booleans()) else None,
        strong=strong,
    )


@given(known(), known())
def test_sure_and_none_are_true_and_open_only_where_nobody_can_know(
    one: tuple[str, Seen], other: tuple[str, Seen]
) -> None:
    before, now = one[1], other[1]
    found = changes.compare(before, now)
    assert found is changes.compare(now, before)
    if found is Difference.SURE:
        assert one[0] != other[0]
    if found is Difference.NONE and before.strong and now.strong:
        assert one[0] == other[0]
    if before.hashes is not None and now.hashes is not None:
        assert (found is Difference.NONE) == (one[0] == other[0])
    if found is Difference.OPEN:
        assert before.hashes is None or now.hashes is None
        assert before.token != now.token
        assert before.size == now.size


def _earlier(content: Seen, sequence: int, minutes: int) -> Earlier:
    return Earlier(
        content=content,
        time=START + timedelta(minutes=minutes),
        run=RunId("r"),
        run_name="",
        host="h",
        sequence=sequence,
    )


_EARLIER = st.none() | st.builds(
    _earlier, known().map(lambda one: one[1]), st.integers(0, 3), st.integers(0, 3)
)


@given(_EARLIER, _EARLIER, known())
def test_an_input_is_compared_with_its_newest_use_and_with_what_was_made_since(
    used: Earlier | None, made: Earlier | None, now: tuple[str, Seen]
) -> None:
    found = changes.reference(used, made, now[1])
    candidates = []
    if used is not None:
        candidates.append((used, WarningKind.CHANGED))
    if made is not None and (
        used is None or (made.sequence, made.time) > (used.sequence, used.time)
    ):
        candidates.append((made, WarningKind.REPLACED))
    differing = [
        (one, kind, changes.compare(one.content, now[1]))
        for one, kind in candidates
        if changes.compare(one.content, now[1]) is not Difference.NONE
    ]
    assert found == (differing[0] if differing else None)


def _ack(
    content: Seen | None, sequence: int = 1, *, minutes: int = 0, **more: Any
) -> Acknowledgement:
    return Acknowledgement(
        id=f"ack{sequence}{minutes}",
        project=StoreId("p"),
        place=place("x"),
        content=content,
        time=START + timedelta(minutes=minutes),
        user="ann",
        host="h",
        why="",
        sequence=sequence,
        **more,
    )


@given(known(), known())
def test_an_acknowledgement_is_of_one_content(
    one: tuple[str, Seen], other: tuple[str, Seen]
) -> None:
    accepted = changes.is_accepted(_ack(one[1]), other[1])
    assert accepted == (changes.compare(one[1], other[1]) is Difference.NONE)
    assert not changes.is_accepted(None, one[1])
    assert not changes.is_accepted(_ack(None), one[1])
    assert not changes.is_accepted(_ack(one[1]), None)
    assert changes.is_accepted(_ack(None), None)


@given(st.permutations(range(4)), st.lists(st.integers(0, 2), min_size=4, max_size=4))
def test_acknowledgements_end_the_same_in_whichever_order_they_come(
    order: list[int], sequences: list[int]
) -> None:
    acks = [
        _ack(
            Seen(token=Token(f"t{n}"), size=1),
            sequences[n],
            minutes=-n,
            ends=((RunId(f"run{n}"), START),),
        )
        for n in range(4)
    ]
    straight, mixed = None, None
    for n in range(4):
        straight = changes.merged(straight, acks[n])
        mixed = changes.merged(mixed, acks[order[n]])
    assert straight is not None
    assert mixed is not None
    assert straight.content == mixed.content
    assert set(straight.ends) == set(mixed.ends) == {(f"run{n}", START) for n in range(4)}
    assert straight.sequence == max(sequences)


def _warning(kind: WarningKind, now: Seen | None, run: str = "w") -> ChangeWarning:
    return ChangeWarning(
        kind=kind,
        place=place("x"),
        time=START,
        run=RunId(run),
        before=_earlier(Seen(token=Token("t0"), size=3, hashes=hashes("abc")), 1, 0),
        now=now,
    )


def test_a_warning_is_over_where_it_is_named_or_its_content_is_accepted() -> None:
    now = Seen(token=Token("t1"), size=4)
    changed = _warning(WarningKind.CHANGED, now)
    assert not changes.is_ended(None, changed)
    assert changes.is_ended(_ack(now), changed)
    assert not changes.is_ended(_ack(None), changed)
    assert not changes.is_ended(_ack(Seen(token=Token("t2"), size=5), minutes=60), changed)
    assert changes.is_ended(_ack(None, ends=((RunId("w"), START),)), changed)
    assert changes.is_ended(_ack(None), _warning(WarningKind.DISAPPEARED, None))
    assert not changes.is_ended(_ack(None), _warning(WarningKind.CHANGED_WHILE_READ, None))


def test_the_words_name_versions_times_sizes_hashes_and_the_run() -> None:
    now = Seen(token=Token("t1"), size=4, version="v9", hashes=hashes("abcd"))
    text = changes.line(_warning(WarningKind.CHANGED, now))
    assert text == (
        f"inputs/x: warning: changed since run r on 2026-11-20 14:02:00 UTC on h: then version t0, 3 bytes, sha256 "
        f"{hashes('abc').sha256}; now version v9, 4 bytes, sha256 {hashes('abcd').sha256}"
    )
    gone = changes.text(_warning(WarningKind.DISAPPEARED, None))
    assert gone.startswith(
        "disappeared since run r on 2026-11-20 14:02:00 UTC on h: then version t0, 3 bytes"
    )
    assert "now" not in gone
    unknown = changes.text(_warning(WarningKind.MAY_HAVE_CHANGED, Seen(token=Token("t1"), size=3)))
    assert unknown.startswith("may have changed since run r")
    assert unknown.endswith("now version t1, 3 bytes, hashes not known")
