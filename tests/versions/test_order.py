"""Order, heads and histories: the same for every reader, in whatever order records were read."""

from __future__ import annotations

import random
import stat

from hypothesis import given
from hypothesis import strategies as st

from vstorefs.model import Key, Token
from vstorefs.versions.order import Plain, PositionKind, late_sequence, reckon, timeline
from vstorefs.versions.records import NO_PLAIN, Flag, RecordKind, Summary

PATH = Key("d/f")
_PLAINS = [Plain(PATH, Token(f"etag{number}"), number, number * 10**9) for number in range(3)]
_STAMPS = [NO_PLAIN, *(one.stamp for one in _PLAINS)]


def record(
    number: int, sequence: int, kind: str, stamp: int, time: int, late: bool, folder: bool
) -> Summary:
    mode = stat.S_IFDIR | 0o755 if folder or kind == "d" else stat.S_IFREG | 0o644
    flags = Flag.LATE if late and kind == "c" and not folder else Flag(0)
    return Summary(
        sequence, RecordKind(kind), time, 0, 0, mode, _STAMPS[stamp], f"{number:026d}", flags
    )


@st.composite
def some_records(draw: st.DrawFn) -> list[Summary]:
    rows = draw(
        st.lists(
            st.tuples(
                st.integers(1, 6),
                st.sampled_from("cta"),
                st.integers(0, 3),
                st.integers(0, 5),
                st.booleans(),
                st.integers(0, 5).map(lambda number: number == 0),
            ),
            max_size=9,
        )
    )
    return [
        record(number, sequence, "d" if folder and kind == "c" else kind, stamp, time, late, folder)
        for number, (sequence, kind, stamp, time, late, folder) in enumerate(rows)
    ]


PLAIN = st.none() | st.sampled_from(_PLAINS)


@given(some_records(), PLAIN, st.randoms())
def test_the_order_of_reading_makes_no_difference(
    records: list[Summary], plain: Plain | None, chance: random.Random
) -> None:
    shuffled = [*records, *records[:2]]
    chance.shuffle(shuffled)
    assert reckon(records, plain) == reckon(shuffled, plain)
    assert timeline(PATH, records, plain) == timeline(PATH, shuffled, plain)


@given(some_records(), PLAIN)
def test_what_is_superseded_says_nothing_that_others_do_not(
    records: list[Summary], plain: Plain | None
) -> None:
    state = reckon(records, plain)
    kept = [one for one in records if one not in state.superseded]
    after = reckon(kept, plain)
    assert (after.head, after.attributes, after.directory, after.last) == (
        state.head,
        state.attributes,
        state.directory,
        state.last,
    )
    assert after.sequence >= state.sequence - (
        6 if any(Flag.LATE in one.flags for one in records) else 0
    )
    assert after.superseded == ()


@given(some_records(), PLAIN)
def test_the_head_stands_last_and_is_never_late(
    records: list[Summary], plain: Plain | None
) -> None:
    positions = timeline(PATH, records, plain)
    state = reckon(records, plain)
    heads = [position for position in positions if position.is_head]
    assert [position.id for position in heads] == (
        [state.head_id] if state.head is not None else []
    )
    in_force = [
        position
        for position in positions
        if position.record is None or Flag.LATE not in position.record.flags
    ]
    if heads:
        assert heads[0] is in_force[-1]
        assert heads[0] in positions
    elif in_force:
        last = in_force[-1]
        assert last.kind is PositionKind.DELETED_OUTSIDE or (
            last.record is not None and last.record.kind is RecordKind.TOMBSTONE
        )


@given(some_records(), PLAIN)
def test_every_content_and_every_plain_key_has_one_place(
    records: list[Summary], plain: Plain | None
) -> None:
    positions = timeline(PATH, records, plain)
    assert len({position.id for position in positions}) == len(positions)
    of_file = {
        one.id for one in records if not one.of_directory and one.kind is not RecordKind.ATTRIBUTES
    }
    assert {
        position.id for position in positions if position.kind is PositionKind.RECORD
    } == of_file
    assert sum(position.kind is PositionKind.PLAIN for position in positions) == (plain is not None)


@given(some_records(), PLAIN, st.integers(0, 8))
def test_the_next_record_is_the_head_and_a_late_one_is_not(
    records: list[Summary], plain: Plain | None, pick: int
) -> None:
    state = reckon(records, plain)
    stamp = _STAMPS.index(plain.stamp) if plain is not None else 0
    fresh = record(99, state.sequence, "c", stamp, 0, late=False, folder=False)
    assert reckon([*records, fresh], plain).head == fresh
    if state.head is None:
        return
    bases = [one for one in records if not one.of_directory]
    base = bases[pick % len(bases)] if bases else None
    late = record(98, late_sequence(base, state), "c", stamp, 10**9, late=True, folder=False)
    assert reckon([*records, late], plain).head == state.head


def test_another_tool_s_content_is_newer_than_records_that_did_not_see_it() -> None:
    seen = record(1, 1, "c", 1, 5, late=False, folder=False)
    state = reckon([seen], _PLAINS[1])
    assert state.head == _PLAINS[1]
    assert state.sequence == 3
    positions = timeline(PATH, [seen], _PLAINS[1])
    assert [position.kind for position in positions] == [
        PositionKind.VANISHED,
        PositionKind.RECORD,
        PositionKind.PLAIN,
    ]


def test_another_tool_s_deletion_hides_the_file_until_it_is_written_again() -> None:
    seen = record(1, 1, "c", 1, 5, late=False, folder=False)
    assert reckon([seen], None).head is None
    again = record(2, 3, "c", 0, 6, late=False, folder=False)
    assert reckon([seen, again], None).head == again
    kinds = [position.kind for position in timeline(PATH, [seen, again], None)]
    assert kinds == [
        PositionKind.VANISHED,
        PositionKind.RECORD,
        PositionKind.DELETED_OUTSIDE,
        PositionKind.RECORD,
    ]


def test_content_written_at_the_same_time_as_a_deletion_stays() -> None:
    content = record(1, 2, "c", 0, 0, late=False, folder=False)
    tombstone = record(2, 2, "t", 0, 9, late=False, folder=False)
    assert reckon([content, tombstone], None).head == content


@given(some_records(), st.sampled_from(_PLAINS))
def test_a_plain_key_that_was_purged_below_the_head_is_not_missed(
    records: list[Summary], plain: Plain
) -> None:
    before = reckon(records, plain)
    if isinstance(before.head, Plain):
        return
    purged = {plain.stamp}
    assert reckon(records, None, purged) == before
    positions, after = timeline(PATH, records, plain), timeline(PATH, records, None, purged)
    ours = [
        [one.id for one in found if one.kind is not PositionKind.DELETED_OUTSIDE]
        for found in (positions, after)
    ]
    assert ours[0] == ours[1]
    assert [one.id for one in positions if one.is_head] == [one.id for one in after if one.is_head]
    # A note is about one plain key only, and only about one that is gone.
    assert reckon(records, plain, purged) == before
    other = {one.stamp for one in _PLAINS if one != plain}
    assert reckon(records, None, other) == reckon(records, None)
