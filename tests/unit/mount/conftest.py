"""The front's parts without a kernel: a pool that answers as a test says, one store, a real cache."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.support.clocks import TrioClock
from tests.support.contents import Contents
from tests.support.pools import ScriptedPool
from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.env import Cache
from vstorefs.model import Capabilities, StoreId, StoreSpec
from vstorefs.mount.reading.transfers import Transfers
from vstorefs.mount.tree.remote import Remote
from vstorefs.workers import messages

CACHE_BYTES = 64 << 20


@pytest.fixture
def spec() -> StoreSpec:
    """A store that is only talked of."""
    return StoreSpec(StoreId("0123456789abcdef" * 2), "here", "s3://bucket")


@pytest.fixture
def pool(nursery: trio.Nursery) -> ScriptedPool:
    """Workers who find that the store can be written to, that there is nothing in it, and know nothing else."""
    pool = ScriptedPool(nursery)
    pool.answers(messages.Check, messages.Checked(Capabilities(writable=True)))
    pool.answers(messages.ListDirectory, messages.Listed((), 0.0))
    pool.answers(messages.Look, messages.Noted())
    return pool


@pytest.fixture
def remote(spec: StoreSpec, pool: ScriptedPool) -> Remote:
    """The store as the front sees it."""
    return Remote(spec, pool, TrioClock())


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """A cache on the disk, empty."""
    cache = Cache.open(tmp_path / "cache", CACHE_BYTES)
    yield cache
    cache.close()


@pytest.fixture
def contents(pool: ScriptedPool, cache: Cache, spec: StoreSpec) -> Contents:
    """What is in the store, brought into the cache by the pool."""
    return Contents(pool, cache, spec.id)


@pytest.fixture
def transfers(cache: Cache, pool: ScriptedPool, nursery: trio.Nursery) -> Transfers:
    """Contents on their way through that cache."""
    return Transfers(ChunkReader(cache), CACHE_BYTES, pool, nursery)
