"""What commands print: lines for people, JSON for programs. The only place that prints, but for progress and questions.

A name may hold anything, and so may what a store says: in a line for people, what cannot be seen is written as its
escape, a newline too, so that nobody can forge a line or move the cursor.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any


def show_json(value: Any) -> None:
    """Print a value for programs."""
    import json  # noqa: PLC0415 — most commands print text

    print(json.dumps(value, indent=2, sort_keys=True))


def show_line(text: str, *, at_once: bool = False) -> None:
    """Print one line of the result; `at_once` even where the output is kept until it is long."""
    print(_visible(text), flush=at_once)


def note_line(text: str) -> None:
    """Print one line beside the result, to standard error."""
    print(_visible(text), file=sys.stderr)


def show_text(text: str) -> None:
    """Print a text of several lines as it is: one that a program reads, or the content of a file."""
    sys.stdout.write(text)


def _visible(text: str) -> str:
    if text.isprintable():
        return text
    from vstorefs.logs import visible  # noqa: PLC0415 — brings all of logging along

    return visible(text)


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, as wide as they need to be."""
    rows = [[_visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        show_line("  ".join(cells).rstrip())


def as_text(argument: str) -> str:
    """An argument, with the bytes that are no UTF-8 written as escapes."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown_path(given: str, below: str) -> str:
    """A path below one that was given, as somebody would type it."""
    return f"{given.rstrip('/')}/{below}" if below else given
