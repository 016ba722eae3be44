"""Hash: equal to hashlib's, whatever the cache has lost, and no chunk is kept longer than needed."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.cache.values import checksum
from vstorefs.checksums import Claimant, Claims, claims_of_hex
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
    assert (done.hashes, done.reread, done.damaged) == (_hashes(data), 0, "")
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


def _known(context: WorkerContext, content: Content) -> Hashes | None:
    found = context.fingerprints.get(content.store, content.key, content.token)
    return found.hashes if found is not None else None


def _cached(context: WorkerContext, content: Content) -> int:
    chunks = range(-(-content.size // CHUNK_BYTES))
    return sum(context.chunks.has(chunk_key(content_prefix(content), one)) for one in chunks)


def _flipped(data: bytes, at: int = 2_000_000) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


SAID = ["this host", "the record", "the store", "the ETag", "a later question"]


@pytest.mark.parametrize("claimant", SAID)
def test_what_was_damaged_on_the_way_is_read_again_and_told(
    context: WorkerContext, fake: FakeStore, claimant: str
) -> None:
    """Whoever says what the content is: only right hashes are recorded, and nothing wrong stays in the cache."""
    data = os.urandom(SIZE)
    content = fake.holds("a", _flipped(data))
    _bring(context, content, 0, CHUNKS)
    fake.holds("a", data)
    claims: Claims = ()
    if claimant == "this host":
        written = Fingerprint(_hashes(data))
        context.fingerprints.put(content.store, content.key, content.token, written)
    else:
        who = {"the record": Claimant.RECORD, "the ETag": Claimant.ETAG}.get(
            claimant, Claimant.STORE
        )
        fake.says = claims_of_hex(who, "md5", _hashes(data).md5)
        claims = () if claimant == "a later question" else fake.says
    call = Call(lambda _: None)
    done = hashing.hash_content(context, Hash(content, CHUNKS, sums=True, claims=claims), call)
    assert done.hashes == _hashes(data) == _known(context, content)
    assert "md5" in done.damaged or "sha256" in done.damaged
    assert _cached(context, content) == 0
    keys = [chunk_key(content_prefix(content), one) for one in range(CHUNKS)]
    blocks = [data[at : at + CHUNK_BYTES] for at in range(0, SIZE, CHUNK_BYTES)]
    assert done.sums == b"".join(map(checksum, keys, blocks))


@pytest.mark.parametrize("claimant", SAID[:3])
def test_what_its_store_has_lost_is_not_recorded(
    context: WorkerContext, fake: FakeStore, claimant: str
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", _flipped(data))
    _bring(context, content, 0, CHUNKS)
    written = _hashes(data)
    if claimant == "this host":
        context.fingerprints.put(content.store, content.key, content.token, Fingerprint(written))
    else:
        who = Claimant.RECORD if claimant == "the record" else Claimant.STORE
        fake.says = claims_of_hex(who, "md5", written.md5)
    done, _ = _hash(context, content)
    assert done.hashes is None
    assert done.damaged
    assert _known(context, content) == (written if claimant == "this host" else None)
    assert _cached(context, content) == 0


def test_an_etag_that_is_no_md5_stands_in_nobodys_way(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    fake.says = claims_of_hex(Claimant.ETAG, "md5", "0" * 32)
    _bring(context, content, 0, CHUNKS)
    done, _ = _hash(context, content)
    assert (done.hashes, done.damaged) == (_hashes(data), "")


def test_a_store_outweighs_what_this_host_had_recorded(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    wrong = Fingerprint(_hashes(b"a damaged read"))
    context.fingerprints.put(content.store, content.key, content.token, wrong)
    fake.says = claims_of_hex(Claimant.STORE, "md5", _hashes(data).md5)
    _bring(context, content, 0, CHUNKS)
    done, _ = _hash(context, content)
    assert done.hashes == _hashes(data) == _known(context, content)
    assert done.damaged == ""
