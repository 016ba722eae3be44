"""Takes a store from the portable to the native layout, once its bucket keeps versions.

Every version becomes one of the bucket's own, in the same order, with its hashes and its time in its
metadata; then a path's records move to `history/`, where they stay. The plain key that was the first
version all along is the first one in the bucket's list. What is done is seen in the bucket, so a
migration that stopped goes on where it was.

No other host may write meanwhile: the format says `migrating`, which hosts obey within the time that
`WAIT_S` gives them.
"""

from __future__ import annotations

import shlex
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from vstorefs import errors
from vstorefs.model import Key, Mark, Version, VersionId, VersionKind, Write, WriteId
from vstorefs.stores.bucket import Bucket, ListedVersion, Stat, Versioning
from vstorefs.stores.compared import Reading
from vstorefs.versions import metadata, records
from vstorefs.versions.layouts.format import MIGRATING, Layout, read_format
from vstorefs.versions.layouts.plainkeys import as_plain, versions_of
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Plain
from vstorefs.versions.records import Area, RecordKind, Summary

WAIT_S = 90.0


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of one path: versions made, versions that cannot be kept, and why."""

    path: Key
    made: int
    lost: int = 0


@dataclass(frozen=True, slots=True)
class _Way:
    """A path's versions, oldest first; how many are done; how many have no content; the plain key of before."""

    wanted: tuple[Version, ...]
    done: int
    lost: int
    origin: Stat | None


class Migration:
    """One store on its way."""

    def __init__(self, bucket: Bucket, store: PortableStore) -> None:
        self._bucket = bucket
        self._store = store
        self._records = RecordStore(bucket)

    def check(self) -> None:
        """Raises: NotSupported where the bucket keeps no versions, or the store is native already."""
        if self._bucket.versioning() is not Versioning.ENABLED:
            raise errors.NotSupported(
                "the bucket keeps no versions; turn that on first: vstorefs doctor --enable-versioning "
                f"{shlex.quote(self._bucket.spec.url)}",
                store=self._bucket.spec.alias,
                operation="migrate",
            )
        found = read_format(self._bucket)
        if found is None or found.layout not in {Layout.PORTABLE.value, MIGRATING}:
            raise errors.NotSupported(
                "the store is not in the portable layout; there is nothing to migrate",
                store=self._bucket.spec.alias,
                operation="migrate",
            )

    def plan(self) -> Iterator[Moved]:
        """What `run` would do; changes nothing."""
        for path in self._store.paths(Key("")):
            way = self._way(path)
            yield Moved(path, len(way.wanted) - way.done, way.lost)

    def run(
        self, *, wait_s: float = WAIT_S, sleep: Callable[[float], None] = time.sleep
    ) -> Iterator[Moved]:
        """Migrate, path by path."""
        found = read_format(self._bucket)
        assert found is not None
        if found.layout != MIGRATING:
            self._say(MIGRATING, found.id)
            sleep(wait_s)
        for path in self._store.paths(Key("")):
            yield self._migrate(path)
        self._folders()
        self._say(Layout.NATIVE.value, found.id)

    def _say(self, layout: str, store_id: str) -> None:
        self._bucket.put(
            records.FORMAT_KEY,
            records.encode_format(layout, store_id),
            metadata={},
            content_type=metadata.JSON,
        )

    def _way(self, path: Key) -> _Way:
        """What a path's versions are to be, and which of them the bucket has."""
        present = versions_of(self._bucket, path)[::-1]
        origin = self._origin(path, present)
        history = [
            one
            for one in self._store.history_beside(path, origin)
            if Mark.LATE not in one.marks and not _is_link(one)
        ]
        gone = [one for one in history if one.kind is VersionKind.CONTENT and not one.token]
        wanted = [one for one in history if one not in gone]
        # Before anything was there, a deletion says nothing.
        while wanted and wanted[0].kind is VersionKind.TOMBSTONE:
            wanted.pop(0)
        if origin is not None:
            while present and present[0].version != origin.version:
                present.pop(0)
            if not wanted or not _is_plain(wanted[0]):
                # It is made again where it stands.
                present.pop(0)
        done = 0
        for item, version in zip(present, wanted, strict=False):
            if not self._is(path, item, version):
                break
            done += 1
        lost = sum(Mark.PURGED not in one.marks for one in gone)
        return _Way(tuple(wanted), done, lost, origin)

    def _origin(self, path: Key, present: list[ListedVersion]) -> Stat | None:
        """The plain key as it was before the migration: the newest version that this did not make."""
        for item in reversed(present):
            if item.token is not None:
                found = self._bucket.stat(path, item.version)
                if metadata.decode(found.metadata).time_ns is None:
                    return replace(found, version=item.version)
        return None

    def _is(self, path: Key, item: ListedVersion, version: Version) -> bool:
        if item.token is None or version.kind is VersionKind.TOMBSTONE:
            return (item.token is None) == (version.kind is VersionKind.TOMBSTONE)
        if _is_plain(version):
            return item.token == version.token.partition("/")[2]
        found = self._bucket.stat(path, item.version)
        return metadata.decode(found.metadata).write_id == version.write_id

    def _migrate(self, path: Key) -> Moved:
        way = self._way(path)
        rest = way.wanted[way.done :]
        for version in rest:
            if version.kind is VersionKind.TOMBSTONE:
                self._bucket.delete(path)
            else:
                self._make(path, version, way.origin)
        self._put_away(path)
        return Moved(path, len(rest), way.lost)

    def _make(self, path: Key, version: Version, origin: Stat | None) -> None:
        write = Write(
            version.write_id or WriteId(version.id),
            VersionId(version.id),
            version.time_ns,
            version.base,
            size=version.size,
            mode=version.mode,
            mtime_ns=version.mtime_ns,
            hashes=version.hashes,
            marks=tuple(mark for mark in version.marks if mark is Mark.INTERRUPTED),
        )
        when = metadata.encode_time(version.time_ns)
        name = self._store.content_name(path, version)
        if name is None:
            data = Reading(self._store, path, version.token, version.size).whole()
            about = metadata.encode(write) | when
            kind = metadata.content_type(path)
            self._bucket.put(path, data, metadata=about, content_type=kind)
            return
        source = origin if _is_plain(version) and origin is not None else self._bucket.stat(name)
        sent = metadata.sent(path, write, source=source)
        self._bucket.copy(
            name,
            path,
            source=source,
            metadata={**sent.metadata, **when},
            content_type=sent.content_type,
            headers=sent.headers,
        )

    def _put_away(self, path: Key) -> None:
        """Records that the native layout does not go by move to `history/`, once it has what it needs of them."""
        present = [
            one
            for one in self._records.of_path(Area.HEADS, path)
            if not one.of_directory and not stat.S_ISLNK(one.mode)
        ]
        if all(one.kind is RecordKind.ATTRIBUTES for one in present) and self._is_told(
            path, present
        ):
            return
        last = max(present, key=lambda one: one.order)
        plain = self._plain(path)
        if plain is not None and last.kind is not RecordKind.TOMBSTONE:
            self._tell(path, last, plain)
        for one in present:
            self._records.move(path, one)

    def _is_told(self, path: Key, present: list[Summary]) -> bool:
        """Whether all that is left are the attributes of the plain key that there is."""
        plain = self._plain(path) if present else None
        return all(plain is not None and one.stamp == plain.stamp for one in present)

    def _plain(self, path: Key) -> Plain | None:
        try:
            return as_plain(path, self._bucket.stat(path))
        except errors.NotFound:
            return None

    def _tell(self, path: Key, last: Summary, plain: Plain) -> None:
        """What the plain key of the newest version cannot show."""
        body = self._records.body(path, last)
        summary = replace(
            last,
            kind=RecordKind.ATTRIBUTES,
            id=_anew(path, last),
            sequence=1,
            size=0,
            stamp=plain.stamp,
            flags=last.flags & records.Flag.MORE,
        )
        about = records.attributes_of(body)
        self._records.publish(Area.HEADS, path, summary, about)

    def _folders(self) -> None:
        """Directories that had a record get a key of their own."""
        for path, summaries in self._records.below(Area.HEADS, Key("")).items():
            of_directory = [one for one in summaries if one.of_directory]
            if all(one.kind is RecordKind.ATTRIBUTES for one in of_directory):
                continue
            last = max(of_directory, key=lambda one: one.order)
            if last.kind is not RecordKind.TOMBSTONE:
                self._bucket.put(f"{path}/", b"", metadata={}, content_type=metadata.FOLDER)
                body = self._records.body(path, last)
                summary = replace(last, kind=RecordKind.ATTRIBUTES, id=_anew(path, last))
                self._records.publish(Area.HEADS, path, summary, records.attributes_of(body))
            for one in of_directory:
                self._records.move(path, one)


def _anew(path: Key, summary: Summary) -> str:
    """The id of the record that says in the new layout what another said: the same at every try."""
    return records.plain_id(path, f"attributes of {summary.id}")


def _is_plain(version: Version) -> bool:
    return "/" in version.token


def _is_link(version: Version) -> bool:
    summary = records.decode_summary(version.token)
    return summary is not None and stat.S_ISLNK(summary.mode)
