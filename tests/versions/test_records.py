"""Names and bodies of records: any path goes there and back, and format 1 stays what it is."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from vstorefs import errors
from vstorefs.model import Key
from vstorefs.versions import records
from vstorefs.versions.records import Area, Body, Flag, Names, RecordKind, Seen, Summary

_ID = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=26, max_size=26)
_STAMP = st.one_of(
    st.just(records.NO_PLAIN),
    st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=8, max_size=8),
)
SUMMARIES = st.builds(
    Summary,
    st.integers(0, 36**8 - 1),
    st.sampled_from(RecordKind),
    st.integers(0, (1 << 63) - 1),
    st.integers(0, 36**11 - 1),
    st.integers(-(1 << 63), (1 << 63) - 1),
    st.integers(0, 0xFFFF),
    _STAMP,
    _ID,
    st.integers(0, 15).map(Flag),
)
_COMPONENTS = st.one_of(
    st.text(
        st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=255
    ),
    st.sampled_from(
        ["@", "~", ".hidden", "a@b", "~" + "0" * 64, "\x01\n\x7f", "x" * 255, "é" * 127]
    ),
).filter(lambda name: len(name.encode()) <= 255 and name not in {".", ".."})
PATHS = st.lists(_COMPONENTS, min_size=1, max_size=12).map("/".join)
_SUMMARY = Summary(1, RecordKind.CONTENT, 2, 3, 4, stat.S_IFREG | 0o644, records.NO_PLAIN, "a" * 26)


@given(SUMMARIES)
def test_a_summary_goes_there_and_back(summary: Summary) -> None:
    text = summary.encode()
    assert len(text) == records.SUMMARY_CHARS
    assert records.decode_summary(text) == summary


@given(SUMMARIES, SUMMARIES)
def test_names_of_one_kind_sort_as_their_sequence_and_time(one: Summary, other: Summary) -> None:
    if one.sequence != other.sequence:
        assert (one.encode() < other.encode()) == (one.order < other.order)


@given(st.text(max_size=90))
@example("0" * 84)
@example(_SUMMARY.encode()[:-1] + "A")
def test_what_is_no_summary_is_none(text: str) -> None:
    found = records.decode_summary(text)
    assert found is None or found.encode() == text


@pytest.mark.parametrize(
    "wrong", [{"sequence": 36**8}, {"sequence": -1}, {"size": -1}, {"time_ns": -5}, {"id": "short"}]
)
def test_a_value_that_the_format_cannot_say_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(errors.NotSupported):
        Summary(**{**{field: getattr(_SUMMARY, field) for field in Summary.__slots__}, **wrong})


@given(PATHS, SUMMARIES, st.sampled_from(Area), st.integers(0, 300))
@example("d" * 250 + "/" + "e" * 250 + "/" + "f" * 250 + "/" + "g" * 250, _SUMMARY, Area.HEADS, 0)
@example("~" + "0" * 64, _SUMMARY, Area.HEADS, 0)
@example("~" + "0" * 64 + "/f", _SUMMARY, Area.HEADS, 0)
@example("a@" + _SUMMARY.encode(), _SUMMARY, Area.HEADS, 0)
def test_any_path_has_keys_that_lead_back_to_it(
    path: str, summary: Summary, area: Area, prefix: int
) -> None:
    assume(len(path.encode()) + prefix <= records.KEY_BYTES)
    names = Names(prefix)
    key = names.key(area, Key(path), summary)
    directory, _, name = path.rpartition("/")
    assert len(key.encode()) + prefix <= records.KEY_BYTES
    assert key.startswith(names.folder(area, Key(directory)))
    assert "/" not in key[len(names.folder(area, Key(directory))) :]
    found = names.parse(key)
    assert found is not None
    assert found.summary == summary
    assert found.name in {name, None}
    assert names.path_of(key) in {path, None}


@given(PATHS, PATHS)
def test_two_paths_never_share_a_key(one: str, other: str) -> None:
    assume(one != other and max(len(one.encode()), len(other.encode())) <= records.KEY_BYTES)
    names = Names()
    assert names.key(Area.HEADS, Key(one), _SUMMARY) != names.key(Area.HEADS, Key(other), _SUMMARY)


BODIES = st.builds(
    Body,
    store=_ID,
    path=PATHS,
    base=st.none() | _ID,
    content=st.none() | _ID,
    inline=st.none() | st.binary(max_size=100),
    link=st.none() | PATHS,
    uid=st.none() | st.integers(0, (1 << 32) - 2),
    host=st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    marks=st.lists(st.sampled_from(["interrupted", "late"])).map(tuple),
    plain=st.none()
    | st.builds(Seen, id=_ID, size=st.integers(0, 1 << 60), modified=st.integers(0, 1 << 62)),
)


@given(BODIES, st.integers(1, 200))
def test_a_body_goes_there_and_back_and_a_cut_one_is_damaged(body: Body, cut: int) -> None:
    data = records.encode_body(body)
    assert records.decode_body(data) == body
    assert records.decode_body(data[: -min(cut, len(data))]) is None


def test_fields_of_a_later_writer_are_left_alone() -> None:
    body = records.decode_body(b'{"format":1,"store":"s","path":"p","colour":"blue"}')
    assert body == Body(store="s", path="p")


EXAMPLES = json.loads((Path(__file__).parent / "format1.json").read_text())


@pytest.mark.parametrize("example", EXAMPLES["records"], ids=lambda one: one["what"])
def test_records_of_format_1_are_read_for_ever(example: dict[str, object]) -> None:
    """These lie in stores; a change that breaks one of them breaks somebody's history."""
    about = dict(example["summary"])  # type: ignore[call-overload]
    summary = Summary(**{**about, "kind": RecordKind(about["kind"]), "flags": Flag(about["flags"])})
    names = Names()
    key = str(example["key"])
    path = Key(str(example["path"]))
    found = names.parse(key)
    assert found is not None
    assert found.summary == summary
    assert names.key(Area.HEADS, path, summary) == key
    body = records.decode_body(json.dumps(example["body"]).encode())
    assert body is not None
    assert body.path == path
    assert json.loads(records.encode_body(body)) == example["body"]


def test_the_format_file_of_format_1() -> None:
    found = records.decode_format(json.dumps(EXAMPLES["format"]).encode())
    assert found == records.Format(1, "portable", "k3v9x0q2m7abcdefghijklmnop")
    assert json.loads(records.encode_format("portable", found.id)) == EXAMPLES["format"]


def test_stamps_and_plain_ids_of_format_1() -> None:
    for one in EXAMPLES["plain"]:
        stamp = records.stamp_of(one["etag"], one["size"], one["modified_ns"])
        assert stamp == one["stamp"]
        assert records.plain_id(Key(one["path"]), stamp) == one["id"]
