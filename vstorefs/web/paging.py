"""A part of a long list, by the number of its page. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from vstorefs import errors

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list: `total` of all, `number` from 1 to `last`."""

    items: Sequence[T]
    number: int
    last: int
    total: int


def page(found: Sequence[T], number: int, length: int) -> Page[T]:
    """A page of a list. Raises: NotFound for a number behind the last."""
    last = max(1, -(-len(found) // length))
    if number > last:
        raise errors.NotFound(f"no page {number}; the last page is {last}")
    start = (number - 1) * length
    return Page(found[start : start + length], number, last, len(found))


def number_of(text: str) -> int:
    """A page's number as it stands in an address. Raises: UsageError."""
    if not text:
        return 1
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) > 0):
        raise errors.UsageError(f"{text!r} is not a page number")
    return int(text)
