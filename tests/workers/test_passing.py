"""Chunks that pass the cache: the hash in the same worker takes them, and nothing is kept for nobody."""

from __future__ import annotations

import hashlib
import os

from tests.workers.fakes import FakeStore
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import CHUNK_BYTES, Hashes
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.fetch import fetch
from vstorefs.workers.jobs.hashing import hash_content
from vstorefs.workers.jobs.passing import Passing
from vstorefs.workers.messages import Available, Fetch, Hash, Hashed, Report

PREFIX, OTHER = b"a" * 16, b"b" * 16


def test_a_hash_takes_what_passes_and_reads_nothing_of_it_again(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(6 * CHUNK_BYTES + 77)
    content = fake.holds("a", data)

    def let_the_rest_pass(report: Report) -> None:
        if report == Hashed(1):
            fetch(context, Fetch(content, 1, 7, pin=True, keep=False), Call(lambda _: None))
            call.heed(Available(7))

    call = Call(let_the_rest_pass)
    done = hash_content(context, Hash(content, 1), call)
    assert done.hashes == Hashes(
        *(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256"))
    )
    assert done.reread == CHUNK_BYTES, "only what was there before it began"
    assert context.passing.take(chunk_key(content_prefix(content), 6)) is None


def test_what_nobody_hashes_is_not_kept() -> None:
    passing = Passing()
    with passing.wanted(PREFIX):
        passing.offer(chunk_key(OTHER, 0), b"other")
        passing.offer(chunk_key(PREFIX, 0), b"one")
        passing.offer(chunk_key(PREFIX, 1), b"two")
        assert passing.take(chunk_key(OTHER, 0)) is None
        assert passing.take(chunk_key(PREFIX, 0)) == b"one"
        assert passing.take(chunk_key(PREFIX, 0)) is None, "once"
    assert passing.take(chunk_key(PREFIX, 1)) is None


def test_what_a_hash_has_passed_is_not_kept_and_everything_else_is() -> None:
    passing = Passing()
    with passing.wanted(PREFIX):
        for number in range(100):
            passing.offer(chunk_key(PREFIX, number), b"%d" % number)
        assert passing.take(chunk_key(PREFIX, 0)) == b"0"
        passing.offer(chunk_key(PREFIX, 0), b"late")
        left = [number for number in range(100) if passing.take(chunk_key(PREFIX, number))]
    assert left == list(range(1, 100))


def test_what_is_not_for_the_hash_is_not_kept_for_it(
    context: WorkerContext, fake: FakeStore
) -> None:
    content = fake.holds("a", os.urandom(3 * CHUNK_BYTES))
    prefix = content_prefix(content)
    with context.passing.wanted(prefix):
        fetch(context, Fetch(content, 1, 2, pin=False, keep=False), Call(lambda _: None))
        fetch(context, Fetch(content, 2, 3, pin=True, keep=False), Call(lambda _: None))
        taken = [context.passing.take(chunk_key(prefix, number)) for number in range(3)]
    assert [data is not None for data in taken] == [False, False, True]
