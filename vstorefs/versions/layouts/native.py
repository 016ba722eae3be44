"""The native layout: the bucket keeps versions itself, and history is its own list.

A write is a PUT of the plain key, so other tools always see the newest; a deletion is the store's
delete marker. What we know of a version travels in its metadata. An empty directory is a zero-byte
key `d/`. Content that is no longer head is found by its ETag among the key's versions.

Conditions on writes are not relied on: a HEAD just before tells whether the head is the writer's
base; a race inside that window is seen in the history, where nothing is lost. What comes late lies
in `.vstorefs/content/<id>` with a record in `history/`, and joins the list.
"""

from __future__ import annotations

import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from vstorefs import errors
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Capabilities,
    Key,
    Mark,
    Purger,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.base import Condemned, Fix, Same, is_base
from vstorefs.stores.bucket import Bucket, ListedVersion, Stat
from vstorefs.versions import metadata, records
from vstorefs.versions.layouts.format import Layout
from vstorefs.versions.layouts.listing import is_name, latest_first, versions_of
from vstorefs.versions.layouts.past import Past
from vstorefs.versions.layouts.purge import Doomed, Object, note_of, purged_version
from vstorefs.versions.order import Plain, reckon
from vstorefs.versions.records import Area, Body, Flag, RecordKind, Summary

_LOOKS = 100
_KNOWN = 10_000


class NativeStore(Past):
    """One bucket and prefix that keeps versions."""

    layout = Layout.NATIVE
    _folders_are_keys = True

    def __init__(self, bucket: Bucket, capabilities: Capabilities) -> None:
        super().__init__(bucket, capabilities)
        self._known: OrderedDict[tuple[Key, VersionId], Version] = OrderedDict()
        self._known_lock = threading.Lock()

    # --- looking

    def _token(self, plain: Plain) -> Token:
        return plain.etag

    def _version_id(self, plain: Plain) -> VersionId | None:
        return None

    def _plain_versions(self, directory: Key) -> Iterator[Key]:
        prefix = f"{directory}/" if directory else ""
        for page in self._bucket.versions(prefix, by_folder=True):
            for one in page:
                if is_name(one.name[len(prefix) :]):
                    yield Key(one.name)

    def _plain_paths(self, prefix: str) -> Iterator[Key]:
        for page in self._bucket.versions(prefix):
            for one in page:
                yield Key(one.name)

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        try:
            return _of_stat(key, self._bucket.stat(key, version), is_head=version is None)
        except errors.NotFound:
            if version is not None:
                raise
            link = self._link_at(key)
            if link is None:
                raise
            return self._of_record(key, link, self._body_or_none(key, link), is_head=True)

    def _link_at(self, key: Key) -> Summary | None:
        """The symlink in force at a path that has no plain key."""
        head = reckon(self._records.of_path(Area.HEADS, key), None).head
        return head if isinstance(head, Summary) else None

    def read(
        self, key: Key, token: Token, start: int, end: int, *, version: VersionId | None = None
    ) -> Iterator[bytes]:
        """See `base.Store`."""
        if start >= end:
            return
        summary = records.decode_summary(token)
        if summary is not None:
            name = records.CONTENT + summary.id
            yield from self._bucket.read(name, start, end, size=summary.size)
            return
        try:
            yield from self._bucket.read(key, start, end, token=token, version=version)
        except (errors.Changed, errors.NotFound):
            found = self._locate(key, token)
            yield from self._bucket.read(key, start, end, token=token, version=found)

    def _locate(self, key: Key, token: Token) -> VersionId:
        """Which version has a content that is not the head's."""
        for item in versions_of(self._bucket, key):
            if item.token == token:
                return item.version
        raise self._changed(key, token=token)

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`. The newest versions, up to a bound, with what their metadata says."""
        self._agreement.look()
        items = versions_of(self._bucket, key)
        # Notes last: what was purged meanwhile is then seen twice and not never.
        found = self._listed(key, items)
        notes = self._notes(key)
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
        with ThreadPoolExecutor(8) as pool:
            asked = pool.map(
                lambda pair: self._version(key, pair[1], ask=pair[0] < _LOOKS), enumerate(items)
            )
            found = reversed(list(asked))
        recorded = [
            self._of_record(key, one, self._body_or_none(key, one), is_head=is_head)
            for one, is_head in _recorded(items, self._records.all_of_path(key))
        ]
        return _placed(found, recorded)

    def _describe_object(self, one: Condemned, purger: Purger) -> Doomed:
        version = one.version
        known = self.stat(version.key, version.id)
        full = replace(version, hashes=version.hashes or known.hashes)
        summary = Summary(
            one.rank,
            RecordKind.CONTENT,
            version.time_ns,
            version.size,
            version.mtime_ns,
            stat.S_IFREG | (known.mode if known.mode is not None else DEFAULT_FILE_MODE),
            records.NO_PLAIN,
            records.plain_id(version.key, f"purged {version.id}"),
        )
        body = self._note_body(full, note_of(one, purger))
        return Doomed(one, summary, body, None, (Object(version.key, version.id),))

    def _listed_below(self, prefix: str) -> Iterator[ListedVersion]:
        return (item for page in self._bucket.versions(prefix) for item in page)

    def _listed_history(
        self, key: Key, listed: Sequence[ListedVersion], told: Sequence[Summary]
    ) -> tuple[Version, ...]:
        if any(_was_portable(one) for one in told):
            # The list has the time of the migration; when it was made, only the version itself tells.
            return self.history(key)
        items = latest_first(listed)
        found = (self._version(key, item, ask=False) for item in reversed(items))
        recorded = [
            self._of_summary(key, one, is_head=is_head) for one, is_head in _recorded(items, told)
        ]
        return tuple(_placed(found, recorded))

    def _version(self, key: Key, item: ListedVersion, *, ask: bool) -> Version:
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
            known = self.stat(key, item.version)
            with self._known_lock:
                self._known[key, item.version] = known
                while len(self._known) > _KNOWN:
                    self._known.popitem(last=False)
        return replace(known, is_head=item.is_latest)

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        found = [one for one in self._records.all_of_path(key) if one.id == write.write_id]
        for one in found:
            if one.kind is not RecordKind.ATTRIBUTES and not one.of_directory:
                late = Flag.LATE in one.flags
                return self._of_record(key, one, self._body_or_none(key, one), is_head=not late)
        items = versions_of(self._bucket, key)
        # The base is one of those with its token, and the write is newer: behind the oldest it cannot be.
        bases = [at for at, item in enumerate(items) if item.token == write.base]
        newer = items[: bases[-1]] if bases and write.base is not None else items
        for looked, item in enumerate(one for one in newer if one.token is not None):
            if looked >= _LOOKS:
                raise errors.Unavailable(
                    f"more than {_LOOKS} versions are newer than this write's base",
                    store=self.spec.alias,
                    key=key,
                    operation="find",
                )
            version = self._version(key, item, ask=True)
            if version.write_id == write.write_id:
                if item.is_latest and not found:
                    # A try that was cut short between the content and what tells its attributes.
                    self.ready()
                    self._tell_about(version, write)
                return version
        return None

    # --- writing

    def put(
        self,
        key: Key,
        source: Path,
        write: Write,
        *,
        overdue: bool = False,
        same: Same | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """See `base.Store`."""
        del fix
        self.ready()
        head = self._head(key)
        if head is not None and same is not None and same(head):
            return head
        if not _is_base(head, write):
            if overdue:
                return self._put_aside(key, source, replace(write, marks=(*write.marks, Mark.LATE)))
            write = replace(write, marks=(*write.marks, Mark.OLDER_HEAD))
        self._bucket.put(
            key,
            source,
            metadata=metadata.encode(write),
            content_type=metadata.content_type(key),
            md5=write.hashes.md5 if write.hashes is not None else None,
        )
        return self._made(key, write)

    def _made(self, key: Key, write: Write) -> Version:
        """The version that a write has just made.

        Size and write id are compared before anyone is told yes.
        """
        made = self._head(key)
        if made is None or made.write_id != write.write_id:
            # Somebody else was there since, with a content or a deletion.
            found = self.find_write(key, write)
            if found is None:
                raise errors.Unavailable(
                    "the store does not show the version that it has taken",
                    store=self.spec.alias,
                    key=key,
                    operation="put",
                )
            made = found
        else:
            self._tell_about(made, write)
        if made.size != write.size:
            raise errors.Corrupt(
                f"the store has {made.size} bytes of {write.size}",
                store=self.spec.alias,
                key=key,
                operation="put",
            )
        return replace(made, is_head=True)

    def _tell_about(self, made: Version, write: Write) -> None:
        if self._needs_attributes(write):
            # What was just made has the store's own time.
            plain = Plain(made.key, made.token, made.size, made.time_ns)
            sequence = reckon(self._records.of_path(Area.HEADS, made.key), plain).sequence
            self._tell_attributes(made.key, plain, sequence, write)

    def _put_aside(self, key: Key, source: Path, write: Write) -> Version:
        """Keep what came late beside the head."""
        self._bucket.put(
            records.CONTENT + write.write_id,
            source,
            metadata=metadata.encode(write),
            content_type=metadata.BYTES,
        )
        mode = write.mode if write.mode is not None else DEFAULT_FILE_MODE
        summary = Summary(
            1,
            RecordKind.CONTENT,
            write.time_ns,
            write.size,
            write.mtime_ns if write.mtime_ns is not None else write.time_ns,
            stat.S_IFREG | mode,
            records.NO_PLAIN,
            str(write.write_id),
            Flag.LATE,
        )
        body = self._new_body(key, replace(write, marks=()), base=write.base)
        self._records.publish(Area.HISTORY, key, summary, body)
        return self._of_record(key, summary, body, is_head=False)

    def copy(
        self,
        key: Key,
        token: Token,
        target: Key,
        write: Write,
        *,
        version: VersionId | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """See `base.Store`."""
        del fix
        self.ready()
        summary = records.decode_summary(token)
        if summary is not None:
            return self._copy_link(key, summary, target, write)
        found = self._source(key, token, version)
        write = self._as_copy(write, _of_stat(key, found, is_head=False))
        if not _is_base(self._head(target), write):
            write = replace(write, marks=(*write.marks, Mark.OLDER_HEAD))
        self._bucket.copy(
            key,
            target,
            source=found,
            metadata=metadata.encode(write),
            content_type=metadata.content_type(target),
        )
        return self._made(target, write)

    def _source(self, key: Key, token: Token, version: VersionId | None) -> Stat:
        """The version to copy.

        Conditions on the source are ignored by some servers, so it is named by its id.
        """
        if version is None:
            try:
                head = self._bucket.stat(key)
            except errors.NotFound:
                head = None
            if head is not None and head.token == token:
                return head
            version = self._locate(key, token)
        found = self._bucket.stat(key, version)
        if found.token != token:
            raise self._changed(key, "copy")
        return found

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`. What is no longer the base is left alone."""
        self.ready()
        head = self._head(key)
        if head is None:
            return self._remove_link(key, write, fix)
        if not _is_base(head, write):
            return None
        marker = self._bucket.delete(key)
        return Version(
            key,
            marker or VersionId("null"),
            VersionKind.TOMBSTONE,
            write.time_ns,
            base=write.base,
            write_id=write.write_id,
        )

    def _remove_link(self, key: Key, write: Write, fix: Fix | None) -> Version | None:
        looked = self._look(key)
        head = looked.state.head
        if not isinstance(head, Summary):
            return None
        if not is_base(Token(head.encode()), WriteId(head.id), write):
            return None
        return self._bury(key, write, looked, stat.S_IFLNK, fix)

    # --- directories

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self.ready()
        if self._lives_below(f"{key}/"):
            raise errors.AlreadyExists(
                "there is such a folder", store=self.spec.alias, key=key, operation="mkdir"
            )
        self._mark_folder(key, write)
        if write.mode not in {None, DEFAULT_FOLDER_MODE}:
            self.set_attributes(key, write)

    def _mark_folder(self, key: Key, write: Write) -> None:
        self._bucket.put(
            f"{key}/",
            b"",
            metadata=metadata.encode(replace(write, base=None)),
            content_type=metadata.FOLDER,
        )

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        marker = f"{key}/"
        if any(page.entries for page in self.list(key)):
            raise errors.NotSupported(
                "the folder is not empty", store=self.spec.alias, key=key, operation="rmdir"
            )
        if self._lives_below(marker):
            self._bucket.delete(marker)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        if key and not self._lives_below(f"{key}/"):
            self._mark_folder(key, write)

    # --- parts

    def _head(self, key: Key) -> Version | None:
        try:
            return _of_stat(key, self._bucket.stat(key), is_head=True)
        except errors.NotFound:
            return None

    def _lives_below(self, prefix: str) -> bool:
        return any(page.objects for page in self._bucket.list(prefix, limit=1))


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


def _of_stat(key: Key, found: Stat, *, is_head: bool) -> Version:
    version = found.version or VersionId("null")
    return metadata.to_version(key, found, version, found.token, is_head=is_head)


def _is_base(head: Version | None, write: Write) -> bool:
    if head is None:
        return is_base(None, None, write)
    return is_base(head.token, head.write_id, write)
