"""Publish: whatever the store answered, the cache shows no listing from before, and has what was written."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.workers.asking import Place
from tests.workers.fakes import FakeStore, use
from vstorefs import errors
from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import (
    CHUNK_BYTES,
    Content,
    Entry,
    EntryKind,
    JournalEntry,
    Key,
    Operation,
    Promise,
    Staged,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.state.staging import StagingArea
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.publish import check_room, publish
from vstorefs.workers.messages import CheckRoom, Publish


class _Removing(FakeStore):
    """A store that a file is removed from, or that gives no answer to that; `meanwhile` goes on before it does."""

    meanwhile: Callable[[], None]
    is_clear = True

    def remove(self, key: Key, write: Write, *, fix: object) -> Version:
        del fix
        self.meanwhile()
        if not self.is_clear:
            raise errors.Unavailable("no answer; it may have happened")
        return Version(key, write.version, VersionKind.TOMBSTONE, 1)

    def keep_directory(self, directory: Key, write: Write) -> None:
        del directory, write


@pytest.fixture
def removing(context: WorkerContext, place: Place) -> _Removing:
    """It, in the place of the real one."""
    store = _Removing(place.spec)
    use(context, store)
    return store


def _remove(context: WorkerContext, store: FakeStore) -> None:
    """Publish the removal of d/a, which is in the journal."""
    write = Write(WriteId("w"), VersionId("v"), 1, None)
    entry = JournalEntry(0, context.session, store.spec.id, Operation.REMOVE, Key("d/a"), write)
    (seq,) = context.journal.record([entry])
    publish(context, Publish(replace(entry, seq=seq), look=False), Call(lambda _: None))


@pytest.mark.parametrize("is_clear", [True, False])
def test_what_was_listed_before_a_change_is_asked_for_again(
    context: WorkerContext, removing: _Removing, is_clear: bool
) -> None:
    """Also where the answer was unclear; and a listing that was under way meanwhile is not kept."""
    store = removing.spec.id
    asked_at = context.clock.monotonic_s()
    context.listings.put(store, Key("d"), (), asked_at)
    context.listings.put(store, Key("other"), (), asked_at)
    removing.meanwhile, removing.is_clear = lambda: None, is_clear
    with nullcontext() if is_clear else pytest.raises(errors.Unavailable):
        _remove(context, removing)
    assert context.listings.get(store, Key("other")) is not None
    for _ in range(2):
        assert context.listings.get(store, Key("d")) is None
        context.listings.put(store, Key("d"), (), asked_at)


def test_a_directory_that_is_listed_while_its_entry_goes_on_is_forgotten_before_that_ends(
    context: WorkerContext, removing: _Removing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that is killed in between leaves either the entry or no old listing."""
    store = removing.spec.id

    def list_meanwhile() -> None:
        context.listings.put(store, Key("d"), (), context.clock.monotonic_s())

    removing.meanwhile = list_meanwhile
    found: list[object] = []
    finish = context.journal.finish

    def finished(seq: int, **more: Any) -> None:
        found.append(context.listings.get(store, Key("d")))
        finish(seq, **more)

    monkeypatch.setattr(context.journal, "finish", finished)
    _remove(context, removing)
    assert found == [None]
    assert context.journal.pending() == []


@pytest.mark.parametrize("is_new", [False, True])
def test_what_was_synced_in_a_directory_is_published_where_that_has_moved(
    context: WorkerContext, place: Place, is_new: bool
) -> None:
    """The program that synced it never closed it: the next mount finds it when the directory has its new name."""
    (place.root / "d").mkdir()
    base = None
    if not is_new:
        (place.root / "d" / "f").write_bytes(b"before")
        base = place.store.stat(Key("d/f")).token
    area = StagingArea(place.state_dir, context.session)
    name = area.create()
    area.path(name).write_bytes(b"synced")

    def new(
        operation: Operation, path: str, base: Token | None = None, **more: Any
    ) -> JournalEntry:
        write = Write(WriteId(f"write-{operation.value}"), VersionId(operation.value), 1, base)
        about = JournalEntry(0, context.session, place.spec.id, operation, Key(path), write)
        return replace(about, **more)

    staged = Staged(name, 6, ((0, 6),), None)
    removal = Write(WriteId("removal"), VersionId("removal"), 1, None)
    synced, renamed = context.journal.record(
        [
            new(Operation.PUT, "d/f", base, staged=staged, promise=Promise.SYNCED),
            new(Operation.RENAME, "d", target=Key("e"), removal=removal),
        ]
    )
    for seq in (renamed, synced):
        entry = context.journal.entry(seq)
        assert entry is not None
        publish(context, Publish(entry, look=True, overdue=True), Call(lambda _: None))
    assert (place.root / "e" / "f").read_bytes() == b"synced"
    assert not (place.root / "d").exists()
    assert context.journal.pending() == []


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


def test_a_directory_has_no_place_where_what_only_its_store_knows_would_have_too_long_a_path(
    context: WorkerContext, fake: FakeStore
) -> None:
    fake.longest = len("dd/name")
    fake.lists(Entry(Key("d/name"), EntryKind.FILE))
    check_room(context, CheckRoom(fake.spec.id, Key("d"), Key("dd")), Call(lambda _: None))
    with pytest.raises(errors.NotSupported) as caught:
        check_room(context, CheckRoom(fake.spec.id, Key("d"), Key("ddd")), Call(lambda _: None))
    assert caught.value.number == errno.ENAMETOOLONG
    # What it holds has too long a path already: a name that is no longer takes nothing from it.
    fake.longest = len("d")
    check_room(context, CheckRoom(fake.spec.id, Key("d"), Key("e")), Call(lambda _: None))
