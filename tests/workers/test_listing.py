"""ListDirectory: the cache where it is young enough, the store, and the cache again when the store is away."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.model import Entry, EntryKind, Key, Token
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.listing import list_directory
from vstorefs.workers.messages import ListDirectory, Listed

NEVER = float("inf")
ALWAYS = float("-inf")


def _entry(name: str, **about: Any) -> Entry:
    return Entry(Key(name), EntryKind.FILE, 3, 5, Token(f"t-{name}"), **about)


def _list(context: WorkerContext, fake: FakeStore, not_before: float) -> Listed:
    return list_directory(
        context, ListDirectory(fake.spec.id, Key("d"), not_before), Call(lambda _: None)
    )


def test_all_pages_are_joined_and_the_time_is_from_before_the_question(
    context: WorkerContext, fake: FakeStore
) -> None:
    fake.lists(_entry("d/a"), _entry("d/b"))
    asked_at = []
    fake.on_list = lambda: asked_at.append(context.clock.monotonic_s())
    listed = _list(context, fake, NEVER)
    assert [entry.key for entry in listed.entries] == ["d/a", "d/b"]
    assert listed.listed_at <= asked_at[0]
    assert not listed.stale


def test_a_listing_that_is_young_enough_comes_from_the_cache(
    context: WorkerContext, fake: FakeStore
) -> None:
    fake.lists(_entry("d/a"))
    first = _list(context, fake, ALWAYS)
    fake.lists(_entry("d/b"))
    assert _list(context, fake, first.listed_at) == first
    assert [entry.key for entry in _list(context, fake, NEVER).entries] == ["d/b"]


@pytest.mark.parametrize("error", [errors.Unavailable("away"), errors.Throttled("busy")])
def test_a_store_that_is_away_leaves_what_the_cache_knows(
    context: WorkerContext, fake: FakeStore, error: errors.StoreError
) -> None:
    fake.lists(_entry("d/a"))
    first = _list(context, fake, ALWAYS)
    fake.fails = [error]
    listed = _list(context, fake, NEVER)
    assert listed.stale
    assert (listed.entries, listed.listed_at) == (first.entries, first.listed_at)


def test_unknown_is_never_empty(context: WorkerContext, fake: FakeStore) -> None:
    fake.fails = [errors.Unavailable("away")]
    with pytest.raises(errors.Unavailable):
        _list(context, fake, NEVER)


@pytest.mark.parametrize("kind", [errors.NotFound, errors.Denied])
def test_an_answer_of_the_store_is_not_covered_by_the_cache(
    context: WorkerContext, fake: FakeStore, kind: type[errors.StoreError]
) -> None:
    fake.lists(_entry("d/a"))
    _list(context, fake, ALWAYS)
    fake.fails = [kind("no")]
    with pytest.raises(kind):
        _list(context, fake, NEVER)


def test_attributes_that_this_host_knows_complete_a_bare_listing(
    context: WorkerContext, fake: FakeStore
) -> None:
    fake.lists(_entry("d/a"), _entry("d/b"), _entry("d/c", mode=0o600))
    for name in ("d/a", "d/c"):
        context.fingerprints.put(
            fake.spec.id, Key(name), Token(f"t-{name}"), Fingerprint(mode=0o755, mtime_ns=77)
        )
    a, b, c = _list(context, fake, NEVER).entries
    assert (a.mode, a.mtime_ns) == (0o755, 77)
    assert (b.mode, b.mtime_ns) == (None, 5)
    assert (c.mode, c.mtime_ns) == (0o600, 5)
