"""Listings page by page: one that is sent round in a circle ends with an error. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import TypeVar

from vstorefs import errors

P = TypeVar("P")


def onward(
    pages: Iterable[P], goes_on_at: Callable[[P], Hashable | None], alias: str, prefix: str
) -> Iterator[P]:
    """The pages of a listing. `goes_on_at`: what a page says of where the next begins; None at the end.

    Raises: Corrupt where two pages say the same; whatever asking for a page raises.
    """
    seen: set[Hashable] = set()
    for page in pages:
        place = goes_on_at(page)
        if place is not None:
            if place in seen:
                raise errors.Corrupt(
                    "the server's listing goes round in a circle: two pages go on at the same place",
                    store=alias,
                    key=prefix,
                    operation="list",
                )
            seen.add(place)
        yield page
