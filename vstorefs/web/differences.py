"""Two texts compared line by line. Pure.

What is equal at both ends is cut off first, so that a small change in a long file costs little; what is left and too
long is not compared, as the time for it grows with the square.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from vstorefs import units
from vstorefs.versions.history.comparison import text_of

LIMIT_BYTES = 1 << 20
_LIMIT_LINES = 10_000
_SHOWN_LINES = 2_000
_AROUND = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One line: `mark` is `+`, `-`, a space, or `@` for the head of a part. Numbers are those in each text."""

    mark: str
    text: str
    old: int | None = None
    new: int | None = None


@dataclass(frozen=True, slots=True)
class TextDiff:
    """What differs; `note` says so in words, or why it is not shown."""

    note: str
    lines: tuple[Line, ...] = ()


def compare(old: bytes, new: bytes) -> TextDiff:
    """Two contents, as text where they are text."""
    if old == new:
        return TextDiff("Identical contents.")
    texts = text_of(old), text_of(new)
    if texts[0] is None or texts[1] is None:
        return TextDiff("Binary files: no line diff.")
    one, other = _split(texts[0]), _split(texts[1])
    start, end = _equal_ends(one, other)
    if max(len(one), len(other)) - start - end > _LIMIT_LINES:
        return TextDiff(f"Over {_LIMIT_LINES} lines differ: too many for a line diff.")
    lines = tuple(_lines(one, other, start, end))
    added = sum(line.mark == "+" for line in lines)
    removed = sum(line.mark == "-" for line in lines)
    note = f"{units.count(added, 'line')} added, {removed} removed."
    if len(lines) > _SHOWN_LINES:
        note += f" Only the first {_SHOWN_LINES} lines are shown."
    return TextDiff(note, lines[:_SHOWN_LINES])


def _split(text: str) -> list[str]:
    """Lines without their ends; a last one without an end says so."""
    lines = text.split("\n")
    if lines[-1]:
        lines[-1] += "  (no newline at end of file)"
        return lines
    return lines[:-1]


def _equal_ends(one: list[str], other: list[str]) -> tuple[int, int]:
    most = min(len(one), len(other))
    start = 0
    while start < most and one[start] == other[start]:
        start += 1
    end = 0
    while end < most - start and one[-1 - end] == other[-1 - end]:
        end += 1
    return max(0, start - _AROUND), max(0, end - _AROUND)


def _lines(one: list[str], other: list[str], start: int, end: int) -> list[Line]:
    old, new = one[start : len(one) - end], other[start : len(other) - end]
    found: list[Line] = []
    matcher = difflib.SequenceMatcher(None, old, new)
    for group in matcher.get_grouped_opcodes(_AROUND):
        first, last = group[0], group[-1]
        head = f"lines {start + first[1] + 1}–{start + last[2]}, now {start + first[3] + 1}–{start + last[4]}"
        found.append(Line("@", head))
        for tag, i1, i2, j1, j2 in group:
            if tag == "equal":
                found += [
                    Line(" ", old[i1 + n], start + i1 + n + 1, start + j1 + n + 1)
                    for n in range(i2 - i1)
                ]
                continue
            found += [Line("-", old[n], start + n + 1, None) for n in range(i1, i2)]
            found += [Line("+", new[n], None, start + n + 1) for n in range(j1, j2)]
    return found
