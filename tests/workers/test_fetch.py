"""Fetch: what arrives is complete, in order, checked, and in the cache where it can be."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.checksums import Claimant, Claims, claims_of_hex
from vstorefs.model import CHUNK_BYTES, Content, Hashes
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.fetch import fetch
from vstorefs.workers.messages import Abandon, Arrived, Fetch, Fetched, Report

SIZE = 4 * CHUNK_BYTES + 12_345


def _fetch(context: WorkerContext, request: Fetch) -> tuple[Fetched, list[Arrived]]:
    reports: list[Report] = []
    answer = fetch(context, request, Call(reports.append))
    arrived = [one for one in reports if isinstance(one, Arrived)]
    assert len(arrived) == len(reports)
    return answer, arrived


def _cached(context: WorkerContext, content: Content, chunk: int) -> bytes | None:
    view = ChunkReader(context.cache).find(chunk_key(content_prefix(content), chunk))
    if view is None:
        return None
    with view:
        assert view.is_sound()
        return bytes(view.data)


@pytest.mark.parametrize("block", [1, 300_000, CHUNK_BYTES, 3 * CHUNK_BYTES + 1])
def test_chunks_are_in_the_cache_in_order_and_whole(
    context: WorkerContext, fake: FakeStore, block: int
) -> None:
    size = SIZE if block > 1 else 5000
    data = os.urandom(size)
    fake.block = block
    content = fake.holds("a", data)
    chunks = -(-size // CHUNK_BYTES)
    answer, reports = _fetch(context, Fetch(content, 0, chunks, pin=False))
    assert answer.downloaded == size
    assert reports == [Arrived(chunk) for chunk in range(chunks)]
    cached = [_cached(context, content, chunk) for chunk in range(chunks)]
    assert b"".join(one or b"" for one in cached) == data


def test_what_the_cache_has_is_not_asked_for_again(context: WorkerContext, fake: FakeStore) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    _fetch(context, Fetch(content, 2, 3, pin=False))
    answer, reports = _fetch(context, Fetch(content, 0, 5, pin=False))
    assert answer.downloaded == SIZE - CHUNK_BYTES
    assert sorted(report.chunk for report in reports) == [0, 1, 2, 3, 4]
    assert fake.reads[1:] == [(0, 2 * CHUNK_BYTES), (3 * CHUNK_BYTES, SIZE)]


def test_content_that_must_not_be_kept_travels_to_the_front(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    _, reports = _fetch(context, Fetch(content, 0, 5, pin=False, keep=False))
    assert b"".join(report.data or b"" for report in reports) == data
    assert _cached(context, content, 0) is None


def test_what_a_full_cache_cannot_take_travels_to_the_front(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = bytes(1000) + os.urandom(70 * CHUNK_BYTES)
    content = fake.holds("a", data)
    _, reports = _fetch(context, Fetch(content, 0, 71, pin=True))
    here = [report for report in reports if report.data is not None]
    assert here, "pinned chunks cannot all fit"
    for report in reports:
        part = data[report.chunk * CHUNK_BYTES : (report.chunk + 1) * CHUNK_BYTES]
        assert (report.data or _cached(context, content, report.chunk)) == part


def test_a_damaged_chunk_is_replaced(context: WorkerContext, fake: FakeStore) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    context.chunks.put(chunk_key(content_prefix(content), 1), b"damaged")
    _fetch(context, Fetch(content, 1, 2, pin=False, anew=True))
    assert _cached(context, content, 1) == data[CHUNK_BYTES : 2 * CHUNK_BYTES]


def test_chunks_before_a_failure_stay(context: WorkerContext, fake: FakeStore) -> None:
    def cut(blocks: Iterator[bytes]) -> Iterator[bytes]:
        for sent, block in enumerate(blocks):
            if sent == 8:
                raise errors.Unavailable("gone midway")
            yield block

    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    fake.alter = cut
    reports: list[Report] = []
    with pytest.raises(errors.Unavailable):
        fetch(context, Fetch(content, 0, 4, pin=False), Call(reports.append))
    assert reports == [Arrived(0), Arrived(1)]
    fake.alter = lambda blocks: blocks
    _fetch(context, Fetch(content, 0, 5, pin=False))
    assert fake.reads[-1] == (2 * CHUNK_BYTES, SIZE)


@pytest.mark.parametrize("change", [-1, 1])
def test_a_body_of_another_length_is_never_taken_for_the_content(
    context: WorkerContext, fake: FakeStore, change: int
) -> None:
    def other(blocks: Iterator[bytes]) -> Iterator[bytes]:
        whole = b"".join(blocks)
        yield whole[:change] if change < 0 else whole + b"!"

    content = fake.holds("a", os.urandom(SIZE))
    fake.alter = other
    with pytest.raises(errors.Corrupt):
        _fetch(context, Fetch(content, 0, 5, pin=False))
    assert _cached(context, content, 5) is None


@pytest.mark.parametrize(("last", "arrived"), [(4, 1), (5, 0)], ids=["a part", "the whole"])
def test_an_abandoned_fetch_stops_between_blocks(
    context: WorkerContext, fake: FakeStore, last: int, arrived: int
) -> None:
    reports: list[Report] = []
    call = Call(reports.append)
    given = 0

    def count(blocks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal given
        for block in blocks:
            given += len(block)
            if given > CHUNK_BYTES:
                call.heed(Abandon())
            yield block

    content = fake.holds("a", os.urandom(SIZE))
    fake.alter = count
    answer = fetch(context, Fetch(content, 0, last, pin=False), call)
    assert reports == [Arrived(chunk) for chunk in range(arrived)]
    assert given < 2 * CHUNK_BYTES
    assert answer.downloaded == given * arrived


def _flipping(*, times: int) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Another last byte, so often."""
    left = times

    def alter(blocks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal left
        data = b"".join(blocks)
        if left and len(data) > 1:
            left -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        yield data

    return alter


def _claims(data: bytes, who: Claimant) -> Claims:
    return claims_of_hex(who, "md5", hashlib.md5(data, usedforsecurity=False).hexdigest())


@pytest.mark.parametrize("size", [1000, 8 * CHUNK_BYTES])
@pytest.mark.parametrize("who", [Claimant.STORE, Claimant.ETAG, Claimant.RECORD, Claimant.HOST])
def test_a_whole_content_is_compared_before_any_of_it_is_given(
    context: WorkerContext,
    fake: FakeStore,
    who: Claimant,
    size: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data = os.urandom(size)
    content = fake.holds("a", data)
    if who is Claimant.HOST:
        digests = (hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256"))
        known = Fingerprint(Hashes(*digests))
        context.fingerprints.put(content.store, content.key, content.token, known)
    else:
        fake.says = _claims(data, who)
    fake.alter = _flipping(times=1)
    chunks = -(-size // CHUNK_BYTES)
    fetch(context, Fetch(content, 0, chunks, pin=False), Call(lambda _: None))
    cached = [_cached(context, content, chunk) for chunk in range(chunks)]
    assert b"".join(one or b"" for one in cached) == data
    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(told) == 1
    assert "a, " in told[0]
    assert who.value in told[0]


@pytest.mark.parametrize("who", [Claimant.STORE, Claimant.RECORD])
def test_what_is_twice_not_the_content_is_an_error(
    context: WorkerContext, fake: FakeStore, who: Claimant
) -> None:
    data = os.urandom(1000)
    content = fake.holds("a", data)
    fake.says = _claims(data, who)
    fake.alter = _flipping(times=2)
    reports: list[Report] = []
    with pytest.raises(errors.Corrupt, match="is not its content"):
        fetch(context, Fetch(content, 0, 1, pin=False), Call(reports.append))
    assert [one for one in reports if isinstance(one, Arrived)] == []
    assert _cached(context, content, 0) is None


def test_an_etag_that_only_looks_like_an_md5_is_not_believed(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(1000)
    content = fake.holds("a", data)
    fake.says = _claims(b"something else", Claimant.ETAG)
    fetch(context, Fetch(content, 0, 1, pin=False), Call(lambda _: None))
    assert _cached(context, content, 0) == data
    # Our own record of it says what it is, so it is not read again.
    fake.reads.clear()
    other = fake.holds("b", data)
    fake.says += _claims(data, Claimant.RECORD)
    fetch(context, Fetch(other, 0, 1, pin=False), Call(lambda _: None))
    assert len(fake.reads) == 1
