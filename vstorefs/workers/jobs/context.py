"""What every job works with: the stores, the cache and the state of this worker."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from vstorefs import errors, files
from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.cache.listings import Listings
from vstorefs.clock import Clock, SystemClock
from vstorefs.ledger.opening import ledger_of
from vstorefs.model import (
    CHUNK_BYTES,
    Content,
    JournalEntry,
    StoreId,
    StoreSpec,
    parent_of,
)
from vstorefs.state.env import State
from vstorefs.state.fingerprints import Fingerprints
from vstorefs.state.journal import Journal, Owner
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.stores.registry import is_local
from vstorefs.versions.layouts.opening import open_store
from vstorefs.versions.locked import Lock, LockedStore
from vstorefs.versions.publish import Publisher
from vstorefs.workers.jobs.contents import Contents
from vstorefs.workers.jobs.passing import Passing
from vstorefs.workers.jobs.snapshots import Snapshots
from vstorefs.workers.jobs.tidying import Tidier
from vstorefs.workers.messages import Start

log = logging.getLogger(__name__)

_TRUSTED_S = 10.0
_KEPT_PART = 4


class Stores:
    """Stores by identity, opened when first asked for; a slow opening holds up no other store.

    One that was denied something is opened anew, now and then: its credentials may have been renewed
    where they were found. Who still uses the old one goes on with it.
    """

    def __init__(
        self,
        specs: dict[StoreId, StoreSpec],
        probes: Probes,
        clock: Clock,
        lock: Lock | None = None,
    ) -> None:
        self._specs = specs
        self._lock = lock
        self._probes = probes
        self._clock = clock
        self._opening = {store: threading.Lock() for store in specs}
        self._open: dict[StoreId, Store] = {}
        self._doubtable: dict[StoreId, float] = {}
        self._doubted: set[str] = set()

    def get(self, store: StoreId) -> Store:
        """The store.

        Raises: a StoreError where it cannot be opened; NotFound if this mount does not have it.
        """
        if store not in self._specs:
            raise errors.NotFound("this mount does not have that store", store=store)
        with self._opening[store]:
            if store not in self._open or self._is_doubted(store):
                spec = self._specs[store]
                found = open_store(spec, self._probes)
                self._open[store] = found if self._lock is None else LockedStore(found, self._lock)
                self._doubted.discard(spec.alias)
                self._doubtable[store] = self._clock.monotonic_s() + _TRUSTED_S
            return self._open[store]

    def _is_doubted(self, store: StoreId) -> bool:
        if self._specs[store].alias not in self._doubted:
            return False
        return self._clock.monotonic_s() >= self._doubtable[store]

    def doubt(self, alias: str) -> bool:
        """A store was denied something; whether the next question finds it opened anew."""
        self._doubted.add(alias)
        return any(self._is_doubted(store) for store in self._open)


class WorkerContext:
    """The stores, cache, state and ledger that the jobs of one worker share; safe from all its threads."""

    def __init__(self, start: Start) -> None:
        self.start = start
        self.session = start.session
        self.state_dir = Path(start.state_dir)
        self.clock = SystemClock()
        self.cache = Cache.open(Path(start.cache_dir), start.cache_bytes)
        self.chunks = ChunkWriter(self.cache)
        self.passing = Passing()
        scope = start.session if start.lock is not None else ""
        self.listings = Listings(self.cache, files.boot_id(), scope)
        self.state = State.open(self.state_dir)
        self.journal = Journal(self.state)
        specs = {spec.id: spec for spec in start.stores}
        self.owner = Owner(start.session, tuple(specs))
        self.stores = Stores(
            specs, Probes(self.state, session=start.session), self.clock, start.lock
        )
        self.fingerprints = Fingerprints(self.state)
        self.contents = Contents(self.stores.get, self.chunks, self.fingerprints)
        self.ledger = ledger_of(self.state, start.project.default_store)
        self.publisher = Publisher(
            self.stores.get,
            self.journal,
            self.fingerprints,
            self.state_dir,
            self.contents.parts,
            self.keep_written,
            self.forget_listings,
        )
        self.tidier = Tidier(self.stores.get)
        self.snapshots = Snapshots(self.clock)

    def keep_written(self, content: Content, file: Path) -> None:
        """Put a content that was just published into the cache, where it is worth it; a failure costs nothing.

        A directory of this machine is as near as the cache, and a large content would displace what is read.
        """
        is_near = is_local(self.stores.get(content.store).spec)
        if is_near or not content.strong or content.size > self.cache.limit_bytes // _KEPT_PART:
            return
        prefix = content_prefix(content)
        try:
            with file.open("rb") as written:
                if os.fstat(written.fileno()).st_size != content.size:
                    return
                for number in range(-(-content.size // CHUNK_BYTES)):
                    if not self.chunks.put(chunk_key(prefix, number), written.read(CHUNK_BYTES)):
                        return
        except OSError as error:
            log.info("%s: not kept in the cache: %s", content.key, error)

    def forget_listings(self, entry: JournalEntry) -> None:
        """What was listed before an entry was carried out, or tried, may not show it."""
        paths = {entry.path, entry.target or entry.path}
        for directory in paths | {parent_of(path) for path in paths}:
            self.listings.forget(entry.store, directory, self.clock.monotonic_s())

    def close(self) -> None:
        """Leave cache and state in order."""
        self.cache.close()
        self.state.close()
