"""What commands print: text for people, JSON for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def show_json(value: Any) -> None:
    """Print a value for programs."""
    import json  # noqa: PLC0415 — most commands print text

    print(json.dumps(value, indent=2, sort_keys=True))


def show_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns, as wide as they need to be."""
    from vstorefs.logs import visible  # noqa: PLC0415 — brings all of logging along

    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    for row in (header, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def as_text(argument: str) -> str:
    """An argument, with the bytes that are no UTF-8 written as escapes."""
    return argument.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def shown_path(given: str, below: str) -> str:
    """A path below one that was given, as somebody would type it."""
    return f"{given.rstrip('/')}/{below}" if below else given
