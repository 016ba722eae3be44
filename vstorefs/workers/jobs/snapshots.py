"""Snapshots of stores as they were: a worker's last few.

A snapshot is everything below one directory at one moment. As the past does not change, the last few
are kept, and serve the directories below theirs too. What is younger than a few seconds is not kept:
what other hosts wrote by then may not be in the store yet. For each store one snapshot is made at a
time, so that many who ask for the same are answered by one walk.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Iterator

from vstorefs.clock import Clock
from vstorefs.model import Entry, EntryKind, Key, StoreId, parent_of
from vstorefs.moments import SETTLED_NS
from vstorefs.stores.base import Store

_ENTRIES = 200_000

Folders = dict[Key, tuple[Entry, ...]]


class Snapshots:
    """The last few snapshots of a worker's stores, of so many entries together; safe from many threads."""

    def __init__(self, clock: Clock, *, entries: int = _ENTRIES) -> None:
        self._clock = clock
        self._entries = entries
        self._kept: OrderedDict[tuple[StoreId, int, Key], Folders] = OrderedDict()
        self._lock = threading.Lock()
        self._making: defaultdict[StoreId, threading.Lock] = defaultdict(threading.Lock)

    def list(self, store: Store, directory: Key, moment: int) -> tuple[Entry, ...]:
        """What was directly in a directory at a moment. Raises: a StoreError."""
        with self._lock:
            making = self._making[store.spec.id]
        with making:
            folders = self._find(store.spec.id, directory, moment)
            if folders is None:
                folders = by_folder(store.as_of(directory, moment), directory)
                if self._clock.wall_ns() - moment >= SETTLED_NS:
                    self._keep((store.spec.id, moment, directory), folders)
        return folders.get(directory, ())

    def _find(self, store: StoreId, directory: Key, moment: int) -> Folders | None:
        with self._lock:
            for above in _upwards(directory):
                folders = self._kept.get((store, moment, above))
                if folders is not None:
                    self._kept.move_to_end((store, moment, above))
                    return folders
        return None

    def _keep(self, name: tuple[StoreId, int, Key], folders: Folders) -> None:
        """Keep a snapshot in the place of those that were used longest ago; one that is too large is not kept."""
        with self._lock:
            self._kept[name] = folders
            while sum(map(_size, self._kept.values())) > self._entries:
                self._kept.popitem(last=False)


def by_folder(entries: Iterable[Entry], root: Key) -> Folders:
    """Entries by the folder that they are in; folders that only hold something are added. Pure."""
    found: defaultdict[Key, list[Entry]] = defaultdict(list)
    known: set[Key] = {root}
    needed: set[Key] = set()
    for entry in entries:
        found[parent_of(entry.key)].append(entry)
        if entry.kind is EntryKind.DIRECTORY:
            known.add(entry.key)
        folder = parent_of(entry.key)
        while folder != root and folder not in needed:
            needed.add(folder)
            folder = parent_of(folder)
    for folder in needed - known:
        found[parent_of(folder)].append(Entry(folder, EntryKind.DIRECTORY))
    return {folder: tuple(inside) for folder, inside in found.items()}


def _upwards(directory: Key) -> Iterator[Key]:
    yield directory
    while directory:
        directory = parent_of(directory)
        yield directory


def _size(folders: Folders) -> int:
    return sum(map(len, folders.values()))
