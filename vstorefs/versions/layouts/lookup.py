"""One path looked at: what its records and its plain key say together."""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs import errors
from vstorefs.model import Key
from vstorefs.stores.bucket import Bucket, Stat
from vstorefs.versions import records
from vstorefs.versions.layouts.plainkeys import as_plain
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Reckoning, misses_plain, purged_stamps, reckon
from vstorefs.versions.records import Area


@dataclass(frozen=True, slots=True)
class Looked:
    """What a path's records and its plain key said when they were asked.

    `stamp` is the plain key as records name it, `found` all that the store says of it.
    """

    state: Reckoning
    stamp: str
    found: Stat | None


class Lookup:
    """Looks at single paths of one bucket and prefix; nothing is kept. Raises: a StoreError."""

    def __init__(self, bucket: Bucket, record_store: RecordStore) -> None:
        self._bucket = bucket
        self._records = record_store

    def path(self, key: Key) -> Looked:
        """The records in force, then the plain key; notes of purges where a plain key is missed."""
        summaries = self._records.of_path(Area.HEADS, key)
        found = self.plain(key)
        plain = as_plain(key, found)
        stamp = plain.stamp if plain is not None else records.NO_PLAIN
        state = reckon(summaries, plain)
        if misses_plain(state, plain):
            notes = self._records.of_path(Area.PURGED, key)
            state = reckon(summaries, plain, purged_stamps(key, notes))
        return Looked(state, stamp, found)

    def plain(self, key: Key) -> Stat | None:
        """What the bucket says of a plain key; None where there is none."""
        try:
            return self._bucket.stat(key)
        except errors.NotFound:
            return None

    def is_implied_folder(self, key: Key) -> bool:
        """Whether anything lies below a path, by its key or by a record."""
        return any(page.objects for page in self._bucket.list(f"{key}/", limit=1)) or any(
            page.objects
            for page in self._bucket.list(self._records.names.folder(Area.HEADS, key), limit=1)
        )
