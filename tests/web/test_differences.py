"""Two versions side by side: what differs is shown, what cannot be shown is said."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vstorefs.web.differences import compare

_TEXTS = st.lists(st.sampled_from(["a", "b", "", "c d"]), max_size=12)


def shown(old: str, new: str) -> list[tuple[str, str]]:
    return [(line.mark, line.text) for line in compare(old.encode(), new.encode()).lines]


def test_a_changed_line_stands_between_three_equal_ones() -> None:
    old = "".join(f"{n}\n" for n in range(1, 101))
    result = compare(old.encode(), old.replace("50\n", "fifty\n").encode())
    assert result.note == "1 line added, 1 removed."
    assert [(one.mark, one.text, one.old, one.new) for one in result.lines] == [
        ("@", "lines 47–53, now 47–53", None, None),
        (" ", "47", 47, 47),
        (" ", "48", 48, 48),
        (" ", "49", 49, 49),
        ("-", "50", 50, None),
        ("+", "fifty", None, 50),
        (" ", "51", 51, 51),
        (" ", "52", 52, 52),
        (" ", "53", 53, 53),
    ]


def test_a_missing_end_of_line_is_a_difference() -> None:
    assert shown("a\nb\n", "a\nb") == [
        ("@", "lines 1–2, now 1–2"),
        (" ", "a"),
        ("-", "b"),
        ("+", "b  (no newline at end of file)"),
    ]


@pytest.mark.parametrize("data", [b"\0", b"\xff\xfe", b"a\0b"])
def test_what_is_no_text_is_said_so(data: bytes) -> None:
    result = compare(data, b"text\n")
    assert result.note == "Binary files: no line diff."
    assert result.lines == ()


def test_equal_contents_are_said_so() -> None:
    assert compare(b"\0", b"\0").note == "Identical contents."


def test_two_long_texts_are_not_compared_but_one_change_in_a_long_one_is() -> None:
    source = random.Random(1)
    old = [str(source.random()) for _ in range(40_000)]
    new = [str(source.random()) for _ in range(40_000)]
    note = compare("\n".join(old).encode(), "\n".join(new).encode()).note
    assert note.endswith("lines differ: too many for a line diff.")
    changed = [*old[:20_000], "new", *old[20_000:]]
    result = compare("\n".join(old).encode(), "\n".join(changed).encode())
    assert [line.text for line in result.lines if line.mark == "+"] == ["new"]


@given(_TEXTS, _TEXTS)
def test_what_is_shown_makes_the_new_text_of_the_old(old: list[str], new: list[str]) -> None:
    one, other = ("".join(f"{line}\n" for line in lines) for lines in (old, new))
    lines = [line for line in compare(one.encode(), other.encode()).lines if line.mark != "@"]
    made = list(old)
    for line in reversed([line for line in lines if line.mark == "-"]):
        assert line.old is not None
        assert made.pop(line.old - 1) == line.text
    for line in lines:
        if line.mark == "+":
            assert line.new is not None
            made.insert(line.new - 1, line.text)
    assert made == new
