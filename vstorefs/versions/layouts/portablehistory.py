"""The history of a path in the portable layout: made of its records, its plain key, and notes of purges.

Which positions a history has, `order.timeline` says; here each becomes a version, with what the bodies of the
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
from vstorefs.versions.order import Plain, Position, PositionKind, purged_stamps, timeline
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
        positions = timeline(key, [*found, *gone], as_plain(key, plain), stamps)
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            recent = pool.map(
                lambda position: (
                    left[position.record.id][1]
                    if position.record is not None and position.record in gone
                    else self._records.body_or_none(key, position.record)
                ),
                positions[-_BODIES:],
            )
            bodies = [*[None] * max(0, len(positions) - _BODIES), *recent]
        versions = [
            _with_purge(
                key, self._of_position(key, position, body, plain), left.get(position.id), gone
            )
            for position, body in zip(positions, bodies, strict=True)
        ]
        return tuple(
            replace(version, marks=(*version.marks, *marks))
            for version, marks in zip(versions, marks_of(positions, bodies), strict=True)
        )

    def _of_position(
        self, key: Key, position: Position, body: Body | None, plain: Stat | None
    ) -> Version:
        match position.kind:
            case PositionKind.RECORD:
                assert position.record is not None
                return as_version(
                    key, position.record, body, self._agreement.id, is_head=position.is_head
                )
            case PositionKind.PLAIN:
                assert plain is not None
                return self._plain_keys.version(key, plain, is_head=position.is_head)
            case PositionKind.VANISHED:
                return _vanished(key, position, body.plain if body is not None else None)
            case PositionKind.DELETED_OUTSIDE:
                assert position.record is not None
                return Version(
                    key,
                    VersionId(position.id),
                    VersionKind.TOMBSTONE,
                    position.record.time_ns,
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
        return tuple(
            self._listed_position(key, position) for position in timeline(key, told, plain)
        )

    def _listed_position(self, key: Key, position: Position) -> Version:
        match position.kind:
            case PositionKind.RECORD:
                assert position.record is not None
                return as_listed_version(key, position.record, is_head=position.is_head)
            case PositionKind.PLAIN:
                assert position.plain is not None
                plain = position.plain
                return Version(
                    key,
                    VersionId(plain.id),
                    VersionKind.CONTENT,
                    plain.modified_ns,
                    self._plain_keys.token(plain),
                    size=plain.size,
                    is_head=position.is_head,
                )
            case PositionKind.VANISHED:
                return self._of_position(
                    key, position, self._records.body_or_none(key, position.record), None
                )
            case PositionKind.DELETED_OUTSIDE:
                return self._of_position(key, position, None, None)


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


def _vanished(key: Key, position: Position, seen: Seen | None) -> Version:
    """A plain key that another tool replaced or removed, and that nobody kept."""
    known = seen if seen is not None and seen.id == position.id else None
    told_at = position.record.time_ns if position.record is not None else 0
    return Version(
        key,
        VersionId(position.id),
        VersionKind.CONTENT,
        known.modified if known is not None else told_at,
        size=known.size if known is not None else 0,
        hashes=records.hashes_of(known) if known is not None else None,
        marks=(Mark.REPLACED_OUTSIDE,),
    )
