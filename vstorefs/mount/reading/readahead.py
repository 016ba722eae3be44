"""What a reader needs now, and what to bring in ahead of it: a pure plan, no I/O.

A reader who goes forward has a *window*: chunks ahead of it that should be there or on their way.
It starts at one chunk and doubles as the reader moves on, up to the budget. It is filled in parts
of up to 8 MiB, each one ranged GET, so that many run side by side; and only when half of it has
been used up, so that the parts stay large. A short skip, forward or back, changes nothing (a kernel
sends the requests of one reader out of order); a jump makes a reader one at random, who gets the
chunks it asks for and no more, until it goes forward again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from vstorefs.model import CHUNK_BYTES

PART_CHUNKS = 8
_SHORT_SKIP = 4


@dataclass(frozen=True, slots=True)
class Reader:
    """One reader's way through a content.

    Units are chunks; `position` is where its last request ended.
    """

    position: int = 0
    window: int = 1
    planned: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """Chunks [first, last), to be asked for in one request."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What follows from a request.

    The reader's new state, and what has to be asked for, most urgent first.
    """

    reader: Reader
    fetches: tuple[Part, ...]


def plan(
    reader: Reader,
    start: int,
    end: int,
    size: int,
    is_cached: Callable[[int], bool],
    is_coming: Callable[[int], bool],
    budget: int,
) -> Plan:
    """Plan for a request of bytes [start, end), not empty, within `size`.

    `budget` bounds the window, in chunks.
    """
    chunks = -(-size // CHUNK_BYTES)
    first, last = start // CHUNK_BYTES, -(-min(end, size) // CHUNK_BYTES)

    def missing(candidates: Iterable[int]) -> list[int]:
        return [chunk for chunk in candidates if not is_coming(chunk) and not is_cached(chunk)]

    reach = max(_SHORT_SKIP, reader.window)
    if not reader.position - reach <= first <= reader.position + reach:
        return Plan(Reader(last, 1, last), parts(missing(range(first, last))))
    wanted = missing(range(first, last))
    if last > reader.position:
        reader = replace(
            reader,
            position=last,
            window=min(budget, reader.window * 2),
            planned=max(reader.planned, last),
        )
    left = reader.planned - reader.position
    if left * 2 <= reader.window:
        until = min(chunks, reader.position + reader.window)
        wanted += missing(range(max(reader.planned, last), until))
        reader = replace(reader, planned=max(reader.planned, until))
    return Plan(reader, parts(wanted))


def parts(chunks: list[int]) -> tuple[Part, ...]:
    """Chunks in rising order as requests: each a run without a gap, of up to `PART_CHUNKS`."""
    found: list[Part] = []
    for chunk in chunks:
        if found and found[-1].last == chunk and chunk - found[-1].first < PART_CHUNKS:
            found[-1] = Part(found[-1].first, chunk + 1)
        else:
            found.append(Part(chunk, chunk + 1))
    return tuple(found)
