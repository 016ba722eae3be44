"""Parts of a content that go into another: right, or an error."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.checksums import Claimant, Claims, claims_of_hex
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.state.staging import Ranges
from vstorefs.workers.jobs.context import WorkerContext

SIZE = 3 * CHUNK_BYTES + 777
PARTS: dict[str, Ranges] = {
    "all of it": ((0, SIZE),),
    "more than half": ((0, CHUNK_BYTES + 5), (CHUNK_BYTES + 50, SIZE - 3)),
    "little of it": ((10, 20), (CHUNK_BYTES - 5, CHUNK_BYTES + 5), (SIZE - 8, SIZE)),
}


def _md5_of(data: bytes) -> Claims:
    digest = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return claims_of_hex(Claimant.STORE, "md5", digest)


def _flipping(times: int) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """Another last byte in so many of the answers that have more than the byte by which a store is asked."""
    left = times

    def alter(blocks: Iterator[bytes]) -> Iterator[bytes]:
        nonlocal left
        data = b"".join(blocks)
        if left and len(data) > 1:
            left -= 1
            data = data[:-1] + bytes([data[-1] ^ 1])
        yield data

    return alter


def _filled(context: WorkerContext, content: Content, parts: Ranges) -> bytes:
    """What a file has in the end whose other bytes are zeros."""
    file = bytearray(content.size)
    for at, block in context.contents.parts(content, parts):
        file[at : at + len(block)] = block
    return bytes(file)


def _wanted(data: bytes, parts: Ranges) -> bytes:
    file = bytearray(len(data))
    for start, end in parts:
        file[start:end] = data[start:end]
    return bytes(file)


@pytest.mark.parametrize("which", PARTS)
@pytest.mark.parametrize("damaged", [False, True])
def test_parts_are_right_whatever_happens_once_on_the_way(
    context: WorkerContext, fake: FakeStore, which: str, *, damaged: bool
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    fake.says = _md5_of(data)
    fake.alter = _flipping(times=int(damaged))
    assert _filled(context, content, PARTS[which]) == _wanted(data, PARTS[which])


@pytest.mark.parametrize("which", PARTS)
def test_parts_from_a_wrong_chunk_in_the_cache_are_read_from_the_store(
    context: WorkerContext, fake: FakeStore, which: str
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    fake.says = _md5_of(data)
    key = chunk_key(content_prefix(content), 0)
    context.chunks.put(key, bytes(CHUNK_BYTES))
    assert _filled(context, content, PARTS[which]) == _wanted(data, PARTS[which])
    assert not context.chunks.has(key)


@pytest.mark.parametrize("which", ["all of it", "more than half"])
def test_parts_of_what_the_store_has_lost_are_an_error(
    context: WorkerContext, fake: FakeStore, which: str
) -> None:
    content = fake.holds("a", os.urandom(SIZE))
    fake.says = _md5_of(b"what it was")
    with pytest.raises(errors.Corrupt, match="is not its content"):
        _filled(context, content, PARTS[which])


def test_no_more_is_read_than_the_parts_twice(context: WorkerContext, fake: FakeStore) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    fake.says = _md5_of(data)
    _filled(context, content, ((10, 20),))
    assert fake.reads == [(0, 1), (10, 20), (10, 20)]


def test_what_nobody_knows_anything_of_is_read_once(
    context: WorkerContext, fake: FakeStore
) -> None:
    data = os.urandom(SIZE)
    content = fake.holds("a", data)
    assert _filled(context, content, ((0, 10),)) == _wanted(data, ((0, 10),))
    assert fake.reads == [(0, 1), (0, 10)]
