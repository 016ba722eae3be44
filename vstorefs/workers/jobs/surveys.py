"""Log, Compare, PlanRestore, Cost: questions about all histories at or below a path.

What there is to say goes out in pages while the store is still being read, except where an order
has to be made of everything first.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import asdict

from vstorefs import errors
from vstorefs.control.history import CostRow, DiffRow, LogRow, Side
from vstorefs.model import Key, StoreId, Version, name_of
from vstorefs.versions.history import texts
from vstorefs.versions.history.comparison import Difference, differences
from vstorefs.versions.history.cost import costs
from vstorefs.versions.history.points import head_of, same_content
from vstorefs.versions.history.restore import steps
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.publish import with_known_hashes
from vstorefs.workers.messages import (
    Compare,
    Cost,
    Log,
    Planned,
    PlanRestore,
    Rows,
    Surveyed,
)

_PAGE = 200
_encode = msgspec.json.Encoder().encode

Path = tuple[Key, tuple[Version, ...]]


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Comparison:
    """Whether versions have equal content; where a listing does not tell, both are looked at.

    Safe from any thread.
    """

    def __init__(self, context: WorkerContext, store: StoreId) -> None:
        self._context = context
        self._store = store

    def same(self, one: Version, other: Version) -> bool | None:
        """See `points.Same`. Raises: a StoreError."""
        known = same_content(one, other)
        if known is not None or (one.hashes and other.hashes):
            return known
        return same_content(self._full(one), self._full(other))

    def _full(self, version: Version) -> Version:
        if version.hashes is not None:
            return version
        try:
            found = self._context.stores.get(self._store).stat(version.key, version.id)
        except errors.NotFound:
            return version
        return with_known_hashes(self._context, self._store, (found,))[0]


class Histories:
    """All histories at or below a path, with the hashes that this host knows; counts them."""

    def __init__(self, context: WorkerContext, store: StoreId, path: Key, call: Call) -> None:
        self._context = context
        self._store = store
        self._path = path
        self._call = call
        self.files = 0

    def __iter__(self) -> Iterator[Path]:
        """One path after the other. Raises: a StoreError, Abandoned."""
        store = self._context.stores.get(self._store)
        own = store.history(self._path) if self._path else ()
        below = store.histories(self._path)
        for key, versions in itertools.chain([(self._path, own)] if own else [], below):
            if self._call.abandoned:
                raise Abandoned
            self.files += 1
            yield key, with_known_hashes(self._context, self._store, versions)


def log(context: WorkerContext, request: Log, call: Call) -> Surveyed:
    """All versions, oldest first. Raises: a StoreError."""
    histories = Histories(context, request.store, request.path, call)
    with suppress(Abandoned):
        _tell_rows(_log(histories, request), call)
    return Surveyed(histories.files)


def compare(context: WorkerContext, request: Compare, call: Call) -> Surveyed:
    """What differs between two points. Raises: a StoreError."""
    histories = Histories(context, request.store, request.path, call)
    same = Comparison(context, request.store).same
    with suppress(Abandoned):
        found = differences(histories, request.one, request.other, same)
        _tell_rows((_difference(request.path, one) for one in found), call)
    return Surveyed(histories.files)


def plan_restore(context: WorkerContext, request: PlanRestore, call: Call) -> Surveyed:
    """What a restore has to do. Raises: a StoreError."""
    histories = Histories(context, request.store, request.path, call)
    with suppress(Abandoned):
        _plan(context, histories, request, call)
    return Surveyed(histories.files)


def cost(context: WorkerContext, request: Cost, call: Call) -> Surveyed:
    """What histories cost. Raises: a StoreError."""
    histories = Histories(context, request.store, request.path, call)
    with suppress(Abandoned):
        _tell_rows(_cost(histories, request, context.clock.wall_ns()), call)
    return Surveyed(histories.files)


def _log(histories: Histories, request: Log) -> Iterable[LogRow]:
    """The rows of all versions, oldest first."""
    rows = (
        (version.time_ns, number, LogRow(**asdict(item), path=_below(request.path, key)))
        for key, versions in histories
        for number, (version, item) in enumerate(
            zip(versions, texts.items(name_of(key), versions), strict=True)
        )
    )

    def order(row: tuple[int, int, LogRow]) -> tuple[int, str, int]:
        return row[0], row[2].path, row[1]

    if request.limit is None:
        return (row for _, _, row in sorted(rows, key=order))
    return (row for _, _, row in reversed(heapq.nlargest(request.limit, rows, key=order)))


def _difference(path: Key, found: Difference) -> DiffRow:
    return DiffRow(
        path=_below(path, found.key),
        change=found.change,
        certain=found.certain,
        before=_side(found.before),
        after=_side(found.after),
    )


def _plan(
    context: WorkerContext,
    histories: Histories,
    request: PlanRestore,
    call: Call,
) -> None:
    heads = None
    if request.to is None:
        heads = {}
    elif request.to != request.path:
        there = Histories(context, request.store, request.to, call)
        heads = {key: head for key, versions in there if (head := head_of(versions)) is not None}
    to = request.path if request.to is None else request.to
    same = Comparison(context, request.store).same
    found = steps(histories, request.wanted, request.path, to, heads, same, delete=request.delete)
    for page in _pages(found):
        call.report(Planned(tuple(page)))


def _cost(histories: Histories, request: Cost, now_ns: int) -> Iterable[CostRow]:
    found = costs(histories, request.path, request.depth, request.purges, now_ns)
    return (
        CostRow(
            path=path,
            files=cost.files,
            deleted=cost.deleted,
            versions=cost.versions,
            head_bytes=cost.head_bytes,
            history_bytes=cost.history_bytes,
            freed=tuple(cost.freed),
        )
        for path, cost in found
    )


def _side(version: Version | None) -> Side | None:
    if version is None:
        return None
    return Side(
        id=version.id,
        time=texts.iso(version.time_ns),
        size=version.size,
        sha256=version.hashes.sha256 if version.hashes is not None else None,
    )


def _below(path: Key, key: Key) -> str:
    """A key relative to the path that was asked for; empty for that itself."""
    return key[len(path) :].lstrip("/")


def _tell_rows(rows: Iterable[msgspec.Struct], call: Call) -> None:
    for page in _pages(rows):
        call.report(Rows(_encode(page)))


def _pages(rows: Iterable[Any]) -> Iterator[list[Any]]:
    waiting = iter(rows)
    while page := list(itertools.islice(waiting, _PAGE)):
        yield page
