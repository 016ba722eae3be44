"""Hash: equal to hashlib's, whatever the cache has lost, and no chunk is kept longer than needed."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES, Content, Hashes
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.jobs import hashing
from vstorefs.workers.jobs.fetch import fetch
from vstorefs.workers.jobs.setting import Setting
from vstorefs.workers.messages import Fetch, Hash, HashDone, Hashed, Report

CHUNKS = 10
SIZE = (CHUNKS - 1) * CHUNK_BYTES + 777


def _hashes(data: bytes) -> Hashes:
    return Hashes(*(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")))


def _pinned(setting: Setting) -> int:
    with setting.cache.reading() as txn:
        return txn.stat(setting.cache.pinned)["entries"]


def _bring(setting: Setting, content: Content, first: int, last: int) -> None:
    fetch(setting, Fetch(content, first, last, pin=True), lambda _: None, threading.Event())


def _hash(
    setting: Setting, content: Content, progress: hashing.Progress | None = None
) -> tuple[HashDone, list[Report]]:
    reports: list[Report] = []
    progress = progress or hashing.Progress(CHUNKS)
    return hashing.hash_content(setting, Hash(content, 0), reports.append, progress), reports


@pytest.mark.parametrize("size", [0, 1, 64 << 10, CHUNK_BYTES, CHUNK_BYTES + 1, SIZE])
def test_hashes_are_those_of_the_whole_content(
    setting: Setting, fake: FakeStore, size: int
) -> None:
    data = os.urandom(size)
    content = fake.holds("a", data)
    _bring(setting, content, 0, -(-size // CHUNK_BYTES))
    done, _ = _hash(setting, content)
    assert (done.hashes, done.reread, done.mismatch) == (_hashes(data), 0, False)
    known = setting.fingerprints.get(content.store, content.key, content.token)
    assert known is not None
    assert (known.hashes, known.read) == (_hashes(data), True)


def test_chunks_are_let_go_in_order_once_passed(setting: Setting, fake: FakeStore) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(setting, content, 0, CHUNKS)
    assert _pinned(setting) == CHUNKS
    _, reports = _hash(setting, content)
    assert reports == [Hashed(8), Hashed(CHUNKS)]
    assert _pinned(setting) == 0


def test_what_is_missing_or_damaged_is_read_again_and_counted(
    setting: Setting, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    _bring(setting, content, 0, CHUNKS)
    prefix = content_prefix(content)
    setting.chunks.drop(chunk_key(prefix, 3))
    setting.chunks.drop(chunk_key(prefix, 9))
    with setting.cache.writing() as txn:
        txn.put(chunk_key(prefix, 5), bytes(CHUNK_BYTES + 8), db=setting.cache.chunks)
    done, _ = _hash(setting, content)
    assert (done.hashes, done.reread) == (_hashes(data), 2 * CHUNK_BYTES + 777)


def test_an_abandoned_hash_keeps_nothing_and_knows_nothing(
    setting: Setting, fake: FakeStore
) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(setting, content, 0, CHUNKS)
    progress = hashing.Progress(4)
    progress.abandon()
    done, _ = _hash(setting, content, progress)
    assert done.hashes is None
    assert _pinned(setting) == 0
    assert setting.fingerprints.get(content.store, content.key, content.token) is None


def test_a_hash_that_fails_keeps_nothing(setting: Setting, fake: FakeStore) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _bring(setting, content, 0, CHUNKS)
    setting.chunks.drop(chunk_key(content_prefix(content), 2))
    fake.fails = [errors.Changed("other content now")]
    with pytest.raises(errors.Changed):
        _hash(setting, content)
    assert _pinned(setting) == 0


def test_other_hashes_than_it_was_written_with_are_told(setting: Setting, fake: FakeStore) -> None:
    data = os.urandom(1000)
    content = fake.holds("a", data)
    setting.fingerprints.put(
        content.store, content.key, content.token, Fingerprint(_hashes(b"as written"))
    )
    done, _ = _hash(setting, content)
    assert (done.hashes, done.mismatch) == (_hashes(data), True)
