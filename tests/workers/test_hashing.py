"""Hash: equal to hashlib's, whatever the cache has lost, and no chunk is kept longer than needed."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES, Content, Hashes
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.call import Call
from vstorefs.workers.jobs import hashing
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.fetch import fetch
from vstorefs.workers.messages import (
    Abandon,
    Available,
    Fetch,
    Hash,
    HashDone,
    Hashed,
    Passed,
    Report,
)

CHUNKS = 10
SIZE = (CHUNKS - 1) * CHUNK_BYTES + 777


def _hashes(data: bytes) -> Hashes:
    return Hashes(*(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")))


def _pinned(context: WorkerContext) -> int:
    with context.cache.reading() as txn:
        return txn.stat(context.cache.index.pinned)["entries"]


def _bring(context: WorkerContext, content: Content, first: int, last: int) -> None:
    fetch(context, Fetch(content, first, last, pin=True), Call(lambda _: None))


def _hash(
    context: WorkerContext,
    content: Content,
    available: int = CHUNKS,
    *remarks: Available | Abandon | Passed,
) -> tuple[HashDone, list[Report]]:
    reports: list[Report] = []
    call = Call(reports.append)
    for remark in remarks:
        call.heed(remark)
    return hashing.hash_content(context, Hash(content, available), call), reports


@pytest.mark.parametrize("size", [0, 1, 64 << 10, CHUNK_BYTES, CHUNK_BYTES + 1, SIZE])
def test_hashes_are_those_of_the_whole_content(
    context: WorkerContext, fake: FakeStore, size: int
) -> None:
    data = os.urandom(size)
    content = fake.holds("a", data)
    _bring(context, content, 0, -(-size // CHUNK_BYTES))
    done, _ = _hash(context, content)
    assert (done.hashes, done.reread, done.mismatch) == (_hashes(data), 0, False)
    known = context.fingerprints.get(content.store, content.key, content.token)
    assert known is not None
    assert (known.hashes, known.read) == (_hashes(data), True)


def test_chunks_are_let_go_in_order_once_passed(context: WorkerContext, fake: FakeStore) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(context, content, 0, CHUNKS)
    assert _pinned(context) == CHUNKS
    _, reports = _hash(context, content)
    assert reports == [Hashed(8), Hashed(CHUNKS)]
    assert _pinned(context) == 0


def test_nothing_is_kept_and_all_is_said_before_the_hasher_waits(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    _bring(context, content, 0, 3)
    kept: list[int] = []

    def bring_more_when_told(report: Report) -> None:
        kept.append(_pinned(context))
        if report == Hashed(3):
            _bring(context, content, 3, CHUNKS)
            call.heed(Available(CHUNKS))

    call = Call(bring_more_when_told)
    done = hashing.hash_content(context, Hash(content, 3), call)
    assert done.hashes == _hashes(data)
    assert kept[0] == kept[-1] == 0


def test_what_is_missing_or_damaged_is_read_again_and_counted(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    _bring(context, content, 0, CHUNKS)
    prefix = content_prefix(content)
    context.chunks.drop(chunk_key(prefix, 3))
    context.chunks.drop(chunk_key(prefix, 9))
    with context.cache.writing() as txn:
        txn.put(chunk_key(prefix, 5), bytes(CHUNK_BYTES + 8), db=context.cache.index.chunks)
    done, _ = _hash(context, content)
    assert (done.hashes, done.reread) == (_hashes(data), 2 * CHUNK_BYTES + 777)


def test_what_the_cache_refused_comes_from_the_front_and_is_not_read_again(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    _bring(context, content, 0, CHUNKS - 1)
    last = Passed(CHUNKS - 1, data[(CHUNKS - 1) * CHUNK_BYTES :])
    done, _ = _hash(context, content, 0, last, Available(CHUNKS))
    assert (done.hashes, done.reread) == (_hashes(data), 0)


def test_what_the_cache_has_already_is_kept_for_the_hash_too(
    context: WorkerContext, fake: FakeStore
) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    fetch(context, Fetch(content, 0, 3, pin=False), Call(lambda _: None))
    assert _pinned(context) == 0
    _bring(context, content, 0, CHUNKS)
    assert _pinned(context) == CHUNKS


def test_what_came_after_it_was_passed_is_let_go_at_the_end(
    context: WorkerContext, fake: FakeStore
) -> None:
    content, other = fake.holds("a", os.urandom(SIZE)), fake.holds("b", os.urandom(SIZE))
    _bring(context, other, 0, 2)

    def bring_the_first_again(report: Report) -> None:
        if report == Hashed(8):
            _bring(context, content, 0, 1)

    call = Call(bring_the_first_again)
    assert hashing.hash_content(context, Hash(content, CHUNKS), call).hashes is not None
    assert _pinned(context) == 2, "those of the other content"


def test_what_the_front_says_never_takes_back_what_it_said(
    context: WorkerContext, fake: FakeStore
) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(context, content, 0, CHUNKS)
    done, _ = _hash(context, content, 0, Available(CHUNKS), Available(1))
    assert done.hashes is not None


def test_an_abandoned_hash_keeps_nothing_and_knows_nothing(
    context: WorkerContext, fake: FakeStore
) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(context, content, 0, CHUNKS)
    done, _ = _hash(context, content, 4, Abandon())
    assert done.hashes is None
    assert _pinned(context) == 0
    assert context.fingerprints.get(content.store, content.key, content.token) is None


def test_a_hash_that_fails_keeps_nothing(context: WorkerContext, fake: FakeStore) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(context, content, 0, CHUNKS)
    context.chunks.drop(chunk_key(content_prefix(content), 2))
    fake.fails = [errors.Changed("other content now")]
    with pytest.raises(errors.Changed):
        _hash(context, content)
    assert _pinned(context) == 0


def test_other_hashes_than_it_was_written_with_are_told(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(1000)
    content = fake.holds("a", data)
    context.fingerprints.put(
        content.store, content.key, content.token, Fingerprint(_hashes(b"as written"))
    )
    done, _ = _hash(context, content)
    assert (done.hashes, done.mismatch) == (_hashes(data), True)
