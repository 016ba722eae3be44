"""More is read at once than the cache can hold: with real workers, all readers go on to their ends."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import trio

from tests.support.clocks import TrioClock
from tests.support.contents import hashes_of
from tests.support.processes import ROOT
from tests.workers.asking import CACHE_BYTES, Place
from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.env import Cache
from vstorefs.model import CHUNK_BYTES, Content
from vstorefs.mount.backend.pool import Pool
from vstorefs.mount.reading.hashing import Hashing
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

pytestmark = [pytest.mark.trio, pytest.mark.timeout(60)]

_FILES = 24
_CHUNKS = 12
_STEP = CHUNK_BYTES // 4


class Readers:
    """Programs that read whole files, as the kernel asks for them."""

    def __init__(self, transfers: Transfers, hashing: Hashing, remote: Remote) -> None:
        self._transfers = transfers
        self._hashing = hashing
        self._remote = remote
        self.seen: dict[Content, str] = {}

    async def read(self, content: Content) -> None:
        """Open, read to the end, close."""
        transfer = self._transfers.open(content, self._remote, trusted=True)
        transfer.readers += 1
        await self._hashing.begin(transfer, str(content.key))
        digest, reader = hashlib.sha256(), Reader()
        for start in range(0, content.size, _STEP):
            reader, data = await self._transfers.read(transfer, reader, start, start + _STEP)
            digest.update(data)
            del data
        transfer.readers -= 1
        if transfer.readers == 0:
            self._hashing.last_reader_left(transfer)
        self._transfers.close(transfer)
        self.seen[content] = digest.hexdigest()


async def test_many_readers_of_large_files_go_on_in_a_cache_that_is_far_too_small(
    tmp_path: Path, nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    place = Place(tmp_path / "place")
    block = os.urandom(CHUNK_BYTES)
    data = {f"file{number}": b"%d" % number + block * _CHUNKS for number in range(_FILES)}
    files = {place.content(name, content): name for name, content in data.items()}
    pool = Pool(place.start, 2)
    await nursery.start(pool.run)
    cache = Cache.open(place.cache_dir, CACHE_BYTES)
    transfers = Transfers(ChunkReader(cache), CACHE_BYTES, pool, nursery)
    hashing = Hashing(pool, transfers, nursery, lambda _: None, whole_below=0, whole_part=1.0)
    readers = Readers(transfers, hashing, Remote(place.spec, pool, TrioClock()))
    try:
        async with trio.open_nursery() as programs:
            for content in files:
                programs.start_soon(readers.read, content)
        await hashing.finished()
        for content, name in files.items():
            expected = hashes_of(data[name])
            assert readers.seen[content] == expected.sha256
            known = await pool.ask(messages.Known(content))
            assert (known.hashes, known.read) == (expected, True)
    finally:
        nursery.cancel_scope.cancel()
