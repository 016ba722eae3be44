"""Past: one walk serves a directory and those below it; only what cannot change any more is kept."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, cast

from tests.workers.asking import BeginWorker, Place
from vstorefs.clock import SystemClock
from vstorefs.model import Entry, EntryKind, Key, StoreSpec, Token
from vstorefs.moments import SETTLED_NS
from vstorefs.stores.base import Store
from vstorefs.workers.jobs.snapshots import Snapshots, by_folder
from vstorefs.workers.messages import Listed, Moment, MomentFound, Past

OLD = time.time_ns() - 2 * SETTLED_NS


def _file(key: str) -> Entry:
    return Entry(Key(key), EntryKind.FILE, 1, 1, Token(key))


def _folder(key: str, **about: Any) -> Entry:
    return Entry(Key(key), EntryKind.DIRECTORY, **about)


class Walked:
    """A store of a few entries that notes which directories it was walked through from."""

    def __init__(self, spec: StoreSpec, *entries: Entry) -> None:
        self.spec = spec
        self.entries = entries
        self.walks: list[tuple[str, int]] = []

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        self.walks.append((directory, moment_ns))
        return (one for one in self.entries if not directory or one.key.startswith(f"{directory}/"))


def _list(snapshots: Snapshots, store: Walked, directory: Key, moment: int) -> tuple[Entry, ...]:
    return snapshots.list(cast("Store", store), directory, moment)


def _keys(entries: Iterable[Entry]) -> list[str]:
    return sorted(entry.key for entry in entries)


def test_folders_that_only_hold_something_are_there_once() -> None:
    found = by_folder(
        [_file("a/b/c/f"), _file("a/g"), _folder("a/b", mode=0o700), _file("h")], Key("")
    )
    assert _keys(found[Key("")]) == ["a", "h"]
    assert found[Key("a")].count(_folder("a/b", mode=0o700)) == 1
    assert _keys(found[Key("a")]) == ["a/b", "a/g"]
    assert found[Key("a/b")] == (_folder("a/b/c"),)
    below = by_folder([_file("a/b/c/f")], Key("a/b"))
    assert set(below) == {"a/b", "a/b/c"}


def test_a_snapshot_serves_what_is_below_it(place: Place) -> None:
    store = Walked(place.spec, _file("a/b/f"), _file("g"))
    snapshots = Snapshots(SystemClock())
    assert _keys(_list(snapshots, store, Key(""), OLD)) == ["a", "g"]
    assert _keys(_list(snapshots, store, Key("a/b"), OLD)) == ["a/b/f"]
    assert _list(snapshots, store, Key("never"), OLD) == ()
    assert _keys(_list(snapshots, store, Key("a"), OLD - 1)) == ["a/b"]
    assert _keys(_list(snapshots, store, Key(""), OLD - 1)) == ["a", "g"]
    assert store.walks == [("", OLD), ("a", OLD - 1), ("", OLD - 1)]


def test_what_may_still_change_and_what_is_too_large_is_not_kept(place: Place) -> None:
    store = Walked(place.spec, _file("a"), _file("b"))
    young = time.time_ns()
    snapshots = Snapshots(SystemClock(), entries=3)
    for moment in (young, young, OLD, OLD, OLD - 1, OLD):
        assert _keys(_list(snapshots, store, Key(""), moment)) == ["a", "b"]
    assert [moment for _, moment in store.walks] == [young, young, OLD, OLD - 1, OLD]
    large = Snapshots(SystemClock(), entries=1)
    assert _keys(_list(large, store, Key(""), OLD)) == ["a", "b"]
    assert _keys(_list(large, store, Key(""), OLD)) == ["a", "b"]
    assert len(store.walks) == 7


def test_a_worker_shows_the_past_and_knows_what_people_call_it(
    place: Place, worker: BeginWorker
) -> None:
    front = worker(place.start)
    place.content("f", b"content")
    now = front.do(Past(place.spec.id, Key(""), time.time_ns()))
    assert isinstance(now, Listed)
    assert [(one.key, one.size) for one in now.entries] == [("f", 7)]
    assert front.do(Past(place.spec.id, Key(""), 10**18)).entries == ()
    assert front.do(Moment("2026-11-01T0900Z")) == MomentFound(1_793_523_600 * 10**9)
    assert front.do(Moment("soon")) == MomentFound(None)
    assert front.do(Moment("2999-01-01")) == MomentFound(None)
