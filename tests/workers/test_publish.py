"""Publish: whatever the store answered, the cache shows no listing from before, and has what was written."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from tests.workers.asking import Place
from tests.workers.fakes import FakeStore, use
from vstorefs import errors
from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import (
    CHUNK_BYTES,
    Content,
    JournalEntry,
    Key,
    Operation,
    Token,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.versions.publish import Publisher
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.publish import publish
from vstorefs.workers.messages import Publish


class _Unclear:
    """A publisher whose answer was lost."""

    def publish(self, entry: JournalEntry, *, look: bool, overdue: bool) -> None:
        raise errors.Unavailable("no answer; it may have happened")


def test_after_an_unclear_answer_the_listing_is_asked_for_again(
    context: WorkerContext, fake: FakeStore
) -> None:
    write = Write(WriteId("w"), VersionId("v"), 1, None)
    entry = JournalEntry(1, context.session, fake.spec.id, Operation.REMOVE, Key("d/a"), write)
    context.listings.put(fake.spec.id, Key("d"), (), 1.0)
    context.listings.put(fake.spec.id, Key("other"), (), 1.0)
    context.publisher = cast("Publisher", _Unclear())
    with pytest.raises(errors.Unavailable):
        publish(context, Publish(entry, look=False), Call(lambda _: None))
    assert context.listings.get(fake.spec.id, Key("d")) is None
    assert context.listings.get(fake.spec.id, Key("other")) is not None


DATA = os.urandom(2 * CHUNK_BYTES + 5)


@pytest.fixture
def far(context: WorkerContext, place: Place) -> FakeStore:
    """A store that is no directory of this machine."""
    store = FakeStore(replace(place.spec, url="s3://bucket"))
    use(context, store)
    return store


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A staging file."""
    path = tmp_path / "written"
    path.write_bytes(DATA)
    return path


def _content(store: FakeStore, size: int = len(DATA)) -> Content:
    return Content(store.spec.id, Key("f"), Token("t"), size)


def _has(context: WorkerContext, content: Content) -> bool:
    """Whether the cache has anything of a content."""
    prefix = content_prefix(content)
    return any(context.chunks.has(chunk_key(prefix, number)) for number in range(3))


def test_what_was_published_is_read_from_the_cache(
    context: WorkerContext, far: FakeStore, written: Path
) -> None:
    content = _content(far)
    context.keep_written(content, written)
    assert b"".join(context.contents.read(content, 0, content.size)) == DATA
    assert far.reads == []


def test_what_could_be_wrong_is_not_kept(
    context: WorkerContext, far: FakeStore, written: Path
) -> None:
    for content in (
        _content(far, len(DATA) + 1),
        _content(far, len(DATA) - 1),
        replace(_content(far), strong=False),
    ):
        context.keep_written(content, written)
        assert not _has(context, content)


def test_what_is_near_or_would_displace_much_is_not_kept(
    context: WorkerContext, fake: FakeStore, far: FakeStore, written: Path
) -> None:
    use(context, fake)
    context.keep_written(_content(fake), written)
    assert not _has(context, _content(fake))
    use(context, far)
    large = _content(far, context.cache.limit_bytes // 4 + 1)
    os.truncate(written, large.size)
    context.keep_written(large, written)
    assert not _has(context, large)


def test_a_cache_that_takes_nothing_and_a_file_that_is_gone_cost_nothing(
    context: WorkerContext, far: FakeStore, written: Path
) -> None:
    filler = ChunkWriter(context.cache)
    number = 0
    while filler.put(chunk_key(b"x" * 16, number), bytes(CHUNK_BYTES), pinned_by="me"):
        number += 1
    content = _content(far)
    context.keep_written(content, written)
    assert not _has(context, content)
    written.unlink()
    context.keep_written(content, written)
