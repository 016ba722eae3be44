"""The history of a path in the native layout: the bucket's own list, with what records tell beside it.

What came late, symlinks and their ends have records, and purged versions have notes; each is put where it
belongs by its time. What a version's metadata say is asked once, for the newest versions up to a bound.
"""

from __future__ import annotations

import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vstorefs.model import Key, Mark, Version, VersionId, VersionKind
from vstorefs.stores.bucket import Bucket, ListedVersion
from vstorefs.versions.layouts.format import Agreement
from vstorefs.versions.layouts.plainkeys import NativeKeys, latest_first, versions_of
from vstorefs.versions.layouts.purge import purged_version
from vstorefs.versions.layouts.recorded import as_listed_version, as_version
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import reckon
from vstorefs.versions.records import Body, Flag, RecordKind, Summary

LOOKS = 100
"""How many of a path's newest versions are asked for what no listing tells."""

_KNOWN = 10_000
_AT_ONCE = 8


class NativeHistory:
    """A `PathHistory` of one bucket that keeps versions; safe from many threads."""

    def __init__(
        self,
        bucket: Bucket,
        record_store: RecordStore,
        agreement: Agreement,
        plain_keys: NativeKeys,
    ) -> None:
        self._bucket = bucket
        self._records = record_store
        self._agreement = agreement
        self._plain_keys = plain_keys
        self._known: OrderedDict[tuple[Key, VersionId], Version] = OrderedDict()
        self._known_lock = threading.Lock()

    def of_path(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store.history`. The newest versions, up to a bound, with what their metadata says."""
        self._agreement.look()
        items = versions_of(self._bucket, key)
        # Notes last: what was purged meanwhile is then seen twice and not never.
        found = self._listed(key, items)
        notes = self._records.notes(key)
        begun = {body.purged.version for _, body in notes if body.purged is not None}
        present = {one.id for one in found}
        found = [
            replace(one, marks=(*one.marks, Mark.PURGING)) if one.id in begun else one
            for one in found
        ]
        for summary, body in sorted(notes, key=lambda one: one[0].sequence):
            if body.purged is not None and body.purged.version not in present:
                _put_back(found, summary, body)
        return tuple(found)

    def _listed(self, key: Key, items: list[ListedVersion]) -> list[Version]:
        """What the store has, and what is kept beside the head, oldest first."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            asked = pool.map(
                lambda pair: self.version(key, pair[1], ask=pair[0] < LOOKS), enumerate(items)
            )
            found = reversed(list(asked))
        recorded = [
            as_version(
                key, one, self._records.body_or_none(key, one), self._agreement.id, is_head=is_head
            )
            for one, is_head in _recorded(items, self._records.all_of_path(key))
        ]
        return _placed(found, recorded)

    def as_listed(
        self, key: Key, listed: Sequence[ListedVersion], told: Sequence[Summary]
    ) -> tuple[Version, ...]:
        """See `PathHistory`."""
        if any(_was_portable(one) for one in told):
            # The list has the time of the migration; when it was made, only the version itself tells.
            return self.of_path(key)
        items = latest_first(listed)
        found = (self.version(key, item, ask=False) for item in reversed(items))
        recorded = [
            as_listed_version(key, one, is_head=is_head) for one, is_head in _recorded(items, told)
        ]
        return tuple(_placed(found, recorded))

    def version(self, key: Key, item: ListedVersion, *, ask: bool) -> Version:
        """A version of the bucket's list; where `ask`, with what the list does not tell. Raises: a StoreError."""
        if item.token is None:
            return Version(key, item.version, VersionKind.TOMBSTONE, item.modified_ns)
        if not ask:
            return Version(
                key,
                item.version,
                VersionKind.CONTENT,
                item.modified_ns,
                item.token,
                size=item.size,
                is_head=item.is_latest,
            )
        with self._known_lock:
            known = self._known.get((key, item.version))
        if known is None:
            found = self._bucket.stat(key, item.version)
            known = self._plain_keys.version(key, found, is_head=False)
            with self._known_lock:
                self._known[key, item.version] = known
                while len(self._known) > _KNOWN:
                    self._known.popitem(last=False)
        return replace(known, is_head=item.is_latest)


def _recorded(
    items: list[ListedVersion], told: Sequence[Summary]
) -> Iterator[tuple[Summary, bool]]:
    """The records that are versions by themselves: what came late, symlinks and their ends; which is the head."""
    has_plain = bool(items) and items[0].token is not None
    head = None if has_plain else reckon(told, None).head
    for one in told:
        late = Flag.LATE in one.flags
        if late or (stat.S_ISLNK(one.mode) and one.kind is not RecordKind.ATTRIBUTES):
            yield one, one == head


def _placed(found: Iterator[Version], recorded: list[Version]) -> list[Version]:
    """The store's own versions, with what records tell of by its time, which is a host's and not the store's."""
    placed = list(found)
    for record in sorted(recorded, key=lambda one: one.time_ns):
        place = next(
            (index for index, one in enumerate(placed) if one.time_ns > record.time_ns),
            len(placed),
        )
        if Mark.LATE in record.marks:
            # Never last: what came late is not the head.
            place = min(place, max(0, len(placed) - 1))
        placed.insert(place, record)
    return placed


def _was_portable(record: Summary) -> bool:
    """Whether a record is of a version that a migration made one of the bucket's own."""
    is_late = Flag.LATE in record.flags
    return record.kind is RecordKind.CONTENT and stat.S_ISREG(record.mode) and not is_late


def _put_back(found: list[Version], summary: Summary, body: Body) -> None:
    """Put a purged version where it was: by the store's time, and within one time by its place then."""
    version = purged_version(Key(body.path), summary, body)
    first = next((at for at, one in enumerate(found) if one.time_ns >= version.time_ns), len(found))
    last = next((at for at, one in enumerate(found) if one.time_ns > version.time_ns), len(found))
    if found and found[-1].is_head:
        last = min(last, len(found) - 1)
    place = max(first, min(summary.sequence, last))
    found.insert(place, version)
    note = body.purged
    behind = found[place + 1] if place + 1 < len(found) else None
    is_told = behind is not None and behind.kind is VersionKind.TOMBSTONE
    if note is None or note.deleted is None or is_told:
        return
    if all(one.id != note.deleted for one in found):
        deletion = Version(
            version.key, VersionId(note.deleted), VersionKind.TOMBSTONE, note.deleted_at
        )
        found.insert(place + 1, deletion)
