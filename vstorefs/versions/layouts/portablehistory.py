"""The history of a path in the portable layout: made of its records, its plain key, and notes of purges.

Which places a history has, `order.timeline` says; here each becomes a version, with what the bodies of the
newest records say, up to a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vstorefs.model import Key, Mark, Version, VersionId, VersionKind
from vstorefs.stores.bucket import ListedVersion, Stat
from vstorefs.versions import records
from vstorefs.versions.history.marks import marks_of
from vstorefs.versions.layouts.format import Agreement
from vstorefs.versions.layouts.lookup import Lookup
from vstorefs.versions.layouts.plainkeys import PortableKeys, as_plain
from vstorefs.versions.layouts.purge import purged_version
from vstorefs.versions.layouts.recorded import as_listed_version, as_version
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Place, PlaceKind, Plain, purged_stamps, timeline
from vstorefs.versions.records import Body, Seen, Summary

_BODIES = 100
_AT_ONCE = 8


class PortableHistory:
    """A `PathHistory` of one bucket. Raises: a StoreError, wherever it asks."""

    def __init__(
        self,
        record_store: RecordStore,
        agreement: Agreement,
        lookup: Lookup,
        plain_keys: PortableKeys,
    ) -> None:
        self._records = record_store
        self._agreement = agreement
        self._lookup = lookup
        self._plain_keys = plain_keys

    def of_path(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store.history`. The newest versions, up to a bound, with what their records' bodies say."""
        found = self._records.all_of_path(key)
        return self._versions(key, found, self._lookup.plain(key))

    def beside(self, key: Key, origin: Stat | None) -> tuple[Version, ...]:
        """The history as it was with another plain key, or none."""
        return self._versions(key, self._records.all_of_path(key), origin)

    def _versions(
        self, key: Key, found: Sequence[Summary], plain: Stat | None
    ) -> tuple[Version, ...]:
        self._agreement.look()
        notes = self._records.notes(key)
        left = {one.id: (one, body) for one, body in notes}
        gone = [one for one, body in notes if _is_of_record(one, body) and one not in found]
        stamps = purged_stamps(key, (one for one, _ in notes))
        places = timeline(key, [*found, *gone], as_plain(key, plain), stamps)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            recent = pool.map(
                lambda place: (
                    left[place.record.id][1]
                    if place.record is not None and place.record in gone
                    else self._records.body_or_none(key, place.record)
                ),
                places[-_BODIES:],
            )
            bodies = [*[None] * max(0, len(places) - _BODIES), *recent]
        versions = [
            _with_purge(key, self._of_place(key, place, body, plain), left.get(place.id), gone)
            for place, body in zip(places, bodies, strict=True)
        ]
        return tuple(
            replace(version, marks=(*version.marks, *marks))
            for version, marks in zip(versions, marks_of(places, bodies), strict=True)
        )

    def _of_place(self, key: Key, place: Place, body: Body | None, plain: Stat | None) -> Version:
        match place.kind:
            case PlaceKind.RECORD:
                assert place.record is not None
                return as_version(
                    key, place.record, body, self._agreement.id, is_head=place.is_head
                )
            case PlaceKind.PLAIN:
                assert plain is not None
                return self._plain_keys.version(key, plain, is_head=place.is_head)
            case PlaceKind.VANISHED:
                return _vanished(key, place, body.plain if body is not None else None)
            case PlaceKind.DELETED_OUTSIDE:
                assert place.record is not None
                return Version(
                    key,
                    VersionId(place.id),
                    VersionKind.TOMBSTONE,
                    place.record.time_ns,
                    marks=(Mark.OUTSIDE,),
                )

    def as_listed(
        self, key: Key, listed: Sequence[ListedVersion], told: Sequence[Summary]
    ) -> tuple[Version, ...]:
        """See `PathHistory`."""
        plain = next(
            (
                Plain(key, one.token, one.size, one.modified_ns)
                for one in listed
                if one.token is not None
            ),
            None,
        )
        return tuple(self._listed_place(key, place) for place in timeline(key, told, plain))

    def _listed_place(self, key: Key, place: Place) -> Version:
        match place.kind:
            case PlaceKind.RECORD:
                assert place.record is not None
                return as_listed_version(key, place.record, is_head=place.is_head)
            case PlaceKind.PLAIN:
                assert place.plain is not None
                plain = place.plain
                return Version(
                    key,
                    VersionId(plain.id),
                    VersionKind.CONTENT,
                    plain.modified_ns,
                    self._plain_keys.token(plain),
                    size=plain.size,
                    is_head=place.is_head,
                )
            case PlaceKind.VANISHED:
                return self._of_place(
                    key, place, self._records.body_or_none(key, place.record), None
                )
            case PlaceKind.DELETED_OUTSIDE:
                return self._of_place(key, place, None, None)


def _with_purge(
    key: Key, version: Version, left: tuple[Summary, Body] | None, gone: Sequence[Summary]
) -> Version:
    """What a version's note says of it; where its bytes are still there, that this is not finished."""
    if left is None:
        return version
    if left[0] in gone or not version.token:
        return purged_version(key, *left)
    return replace(version, marks=(*version.marks, Mark.PURGING))


def _is_of_record(summary: Summary, body: Body) -> bool:
    return body.purged is not None and body.purged.token == summary.encode()


def _vanished(key: Key, place: Place, seen: Seen | None) -> Version:
    """A plain key that another tool replaced or removed, and that nobody kept."""
    known = seen if seen is not None and seen.id == place.id else None
    told_at = place.record.time_ns if place.record is not None else 0
    return Version(
        key,
        VersionId(place.id),
        VersionKind.CONTENT,
        known.modified if known is not None else told_at,
        size=known.size if known is not None else 0,
        hashes=records.hashes_of(known) if known is not None else None,
        marks=(Mark.REPLACED_OUTSIDE,),
    )
