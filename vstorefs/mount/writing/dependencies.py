"""Which journal entries may be published now: a strict queue per path, and what stands across paths.

* Entries of one path go one after the other; a rename stands in the queues of both its paths.
* What happens to a folder as a whole (made, removed, renamed) waits for everything earlier at or
  below its paths, and everything later at or below waits for it.

Every entry stands in the queue of each of its paths as its own, and in those of all folders above
as a guest. An entry may go when, in each of its own queues, nothing earlier is left that concerns
it: for an entry on a file, the queue of its path, and entries on the folders above *as folders*;
for one on a folder, everything at or below.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from vstorefs.model import JournalEntry, Key, Operation, StoreId, parent_of
from vstorefs.versions.moved import moves_directory

StorePath = tuple[StoreId, Key]

_WHOLE = {Operation.MAKE_DIRECTORY, Operation.REMOVE_DIRECTORY}


@dataclass(slots=True)
class _Waiting:
    """An entry that is not done.

    How many earlier ones it waits for, and which later ones wait for it.
    """

    entry: JournalEntry
    places: tuple[StorePath, ...]
    whole: bool
    blockers: int = 0
    blocks: list[int] = field(default_factory=list)


class Queue:
    """Entries that are not done, by their numbers; `add` in the order of the numbers."""

    def __init__(self) -> None:
        self._waiting: dict[int, _Waiting] = {}
        self._at: dict[StorePath, dict[int, None]] = defaultdict(dict)
        self._below: dict[StorePath, dict[int, None]] = defaultdict(dict)
        self._whole_at: dict[StorePath, dict[int, None]] = defaultdict(dict)
        self._ready: list[JournalEntry] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, entry: JournalEntry) -> None:
        """Queue an entry behind all that concern it."""
        places = tuple((entry.store, path) for path in _paths(entry))
        whole = _is_whole(entry)
        waiting = _Waiting(entry, places, whole)
        earlier: set[int] = set()
        for place in places:
            earlier.update(self._last(self._at.get(place, {})))
            for above in _above(place):
                earlier.update(self._last(self._whole_at.get(above, {})))
            if whole:
                earlier.update(self._below.get(place, {}))
                earlier.update(self._at.get(place, {}))
        for seq in earlier:
            self._waiting[seq].blocks.append(entry.seq)
        waiting.blockers = len(earlier)
        self._waiting[entry.seq] = waiting
        for place in places:
            self._at[place][entry.seq] = None
            if whole:
                self._whole_at[place][entry.seq] = None
            for above in _above(place):
                self._below[above][entry.seq] = None
        if not waiting.blockers:
            self._ready.append(entry)

    def ready(self) -> list[JournalEntry]:
        """Entries that may be published now and were not given before."""
        ready, self._ready = self._ready, []
        return ready

    def done(self, seq: int) -> None:
        """An entry is in the store: those behind it may go."""
        waiting = self._waiting.pop(seq)
        for place in waiting.places:
            _discard(self._at, place, seq)
            _discard(self._whole_at, place, seq)
            for above in _above(place):
                _discard(self._below, above, seq)
        for later in waiting.blocks:
            blocked = self._waiting[later]
            blocked.blockers -= 1
            if not blocked.blockers:
                self._ready.append(blocked.entry)

    @staticmethod
    def _last(queue: dict[int, None]) -> list[int]:
        # The last one waits for all before it.
        return [next(reversed(queue))] if queue else []


def reaches(entry: JournalEntry, path: str) -> bool:
    """Whether an entry changes what is at a path: there, or with a directory above as a whole."""
    own = _paths(entry)
    return path in own or (_is_whole(entry) and any(path.startswith(f"{one}/") for one in own))


def reaches_below(entry: JournalEntry, path: str) -> bool:
    """Whether an entry changes what is directly or deeper in a directory, or the directory as a whole."""
    prefix = f"{path}/" if path else ""
    if _is_whole(entry) and reaches(entry, path):
        return True
    return any(one.startswith(prefix) for one in _paths(entry))


def _paths(entry: JournalEntry) -> tuple[Key, ...]:
    return tuple(dict.fromkeys((entry.path, entry.path if entry.target is None else entry.target)))


def _is_whole(entry: JournalEntry) -> bool:
    """Whether it happens to a directory with all that is in it."""
    return entry.operation in _WHOLE or moves_directory(entry)


def _above(place: StorePath) -> list[StorePath]:
    store, path = place
    found = []
    while path:
        path = parent_of(path)
        found.append((store, path))
    return found


def _discard(queues: dict[StorePath, dict[int, None]], place: StorePath, seq: int) -> None:
    queue = queues.get(place)
    if queue is not None:
        queue.pop(seq, None)
        if not queue:
            del queues[place]
