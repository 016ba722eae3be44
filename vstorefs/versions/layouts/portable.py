"""The portable layout: versions on any bucket, made of nothing but "create if absent".

A path's first version lies under its plain key and needs no record. Every later one lies in
`.vstorefs/content/` (a small one in its record), and one PUT of its record makes it real. No object
outside `heads/` is ever written twice or deleted. What the records of a path say together is in
`order`; what they consist of, in `records`.
"""

from __future__ import annotations

import contextlib
import functools
import stat
from collections.abc import Callable, Iterator, Sequence
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
)
from vstorefs.stores.base import Condemned, Fix, Same
from vstorefs.stores.bucket import Bucket, ListedVersion, Source, Stat
from vstorefs.versions import metadata, records
from vstorefs.versions.history.marks import marks_of
from vstorefs.versions.layouts.format import Layout
from vstorefs.versions.layouts.listing import Looked, as_plain
from vstorefs.versions.layouts.past import Past
from vstorefs.versions.layouts.probe import Findings
from vstorefs.versions.layouts.purge import Doomed, Object, note_of, purged_version
from vstorefs.versions.layouts.recordstore import base_id
from vstorefs.versions.order import (
    Place,
    PlaceKind,
    Plain,
    late_sequence,
    purged_stamps,
    reckon,
    timeline,
)
from vstorefs.versions.records import Area, Body, Flag, RecordKind, Seen, Summary, stamp_of

_INLINE = 16 << 10
_THROUGH_US = 8 << 20
_BODIES = 100


class PortableStore(Past):
    """One bucket and prefix whose versions vstorefs keeps itself."""

    layout = Layout.PORTABLE
    _folders_are_keys = False

    def __init__(
        self, bucket: Bucket, capabilities: Capabilities, find: Callable[[], Findings]
    ) -> None:
        super().__init__(bucket, capabilities)
        self._find = find
        self._findings = Findings()
        self._found = False

    def ready(self) -> None:
        """See `objects.ObjectStore`; then, what the bucket holds to."""
        super().ready()
        if not self._found:
            self._findings = self._find()
            self._found = True

    # --- looking

    def _token(self, plain: Plain) -> Token:
        return Token(f"{plain.id}/{plain.etag}")

    def _version_id(self, plain: Plain) -> VersionId | None:
        return VersionId(plain.id)

    def _plain_versions(self, directory: Key) -> Iterator[Key]:
        prefix = f"{directory}/" if directory else ""
        for page in self._bucket.list(prefix, by_folder=True):
            for one in page.objects:
                if one.name != prefix:
                    yield Key(one.name)

    def _plain_paths(self, prefix: str) -> Iterator[Key]:
        for page in self._bucket.list(prefix):
            for one in page.objects:
                yield Key(one.name)

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        if version is not None:
            for one in self.history(key):
                if one.id == version:
                    return one
            raise self._not_found(key, "stat")
        return self._head(key, self._look(key))

    def _head(self, key: Key, looked: Looked) -> Version:
        head, about = looked.state.head, looked.state.attributes
        if head is None:
            raise self._not_found(key, "stat")
        if isinstance(head, Plain):
            assert looked.found is not None
            found = self._of_stat(key, looked.found)
        else:
            found = self._of_record(key, head, self._body_or_none(key, head), is_head=True)
        if about is not None:
            found = replace(found, mode=stat.S_IMODE(about.mode), mtime_ns=about.mtime_ns)
        return found

    def read(
        self, key: Key, token: Token, start: int, end: int, *, version: VersionId | None = None
    ) -> Iterator[bytes]:
        """See `base.Store`."""
        del version
        if start >= end:
            return
        summary = records.decode_summary(token)
        if summary is None:
            etag = token.partition("/")[2]
            if not etag:
                raise self._changed(key)
            try:
                yield from self._bucket.read(key, start, end, token=Token(etag))
            except (errors.NotFound, errors.Changed) as error:
                raise self._changed(key, token=token) from error
            return
        if Flag.INLINE in summary.flags:
            yield (self._body(key, summary).inline or b"")[start:end]
            return
        name = self._content_of(key, summary)
        try:
            yield from self._bucket.read(name, start, end, size=summary.size)
        except (errors.NotFound, errors.Changed) as error:
            if self._is_purged(key, summary):
                raise self._changed(key, token=token) from error
            raise errors.Corrupt(
                f"the content of version {summary.id} is gone from the store, or is not what its record says; "
                "vstorefs verify --structure tells more",
                store=self.spec.alias,
                key=key,
                operation="read",
            ) from error

    def _is_purged(self, key: Key, summary: Summary) -> bool:
        return summary in self._records.of_path(Area.PURGED, key)

    def _content_of(self, key: Key, summary: Summary) -> str:
        """The name of the object that has a record's content."""
        shared = self._body(key, summary).content if Flag.SHARED in summary.flags else None
        return records.CONTENT + (shared or summary.id)

    def content_name(self, key: Key, version: Version) -> str | None:
        """The name of the object that has a version's content; None where its record has it. Raises: a StoreError."""
        summary = records.decode_summary(version.token)
        if summary is None:
            return key
        return None if Flag.INLINE in summary.flags else self._content_of(key, summary)

    def _body(self, key: Key, summary: Summary) -> Body:
        """A body that content is taken from: it must be of this store, and fit its name."""
        try:
            body = self._records.body(key, summary)
        except errors.NotFound as error:
            raise self._changed(key) from error
        if body.purged is not None:
            raise self._changed(key, token=Token(summary.encode()))
        self._agreement.look()
        wrong = body.inline is not None and len(body.inline) != summary.size
        if wrong or body.store != (self._agreement.id or body.store):
            why = "is damaged" if wrong else "belongs to another store"
            raise errors.Corrupt(
                f"the record of version {summary.id} {why}; it cannot be read",
                store=self.spec.alias,
                key=key,
                operation="read",
            )
        return body

    # --- history

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`. The newest versions, up to a bound, with what their records' bodies say."""
        found = self._records.all_of_path(key)
        return self._history(key, found, self._plain_stat(key))

    def _listed_below(self, prefix: str) -> Iterator[ListedVersion]:
        for page in self._bucket.list(prefix):
            for one in page.objects:
                plain = Plain(Key(one.name), one.token, one.size, one.modified_ns)
                yield ListedVersion(
                    one.name,
                    VersionId(plain.id),
                    one.modified_ns,
                    one.size,
                    one.token,
                    is_latest=True,
                )

    def _listed_history(
        self, key: Key, listed: Sequence[ListedVersion], told: Sequence[Summary]
    ) -> tuple[Version, ...]:
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
                return self._of_summary(key, place.record, is_head=place.is_head)
            case PlaceKind.PLAIN:
                assert place.plain is not None
                plain = place.plain
                return Version(
                    key,
                    VersionId(plain.id),
                    VersionKind.CONTENT,
                    plain.modified_ns,
                    self._token(plain),
                    size=plain.size,
                    is_head=place.is_head,
                )
            case PlaceKind.VANISHED:
                return self._of_place(key, place, self._body_or_none(key, place.record), None)
            case PlaceKind.DELETED_OUTSIDE:
                return self._of_place(key, place, None, None)

    def history_beside(self, key: Key, origin: Stat | None) -> tuple[Version, ...]:
        """The history as it was with another plain key, or none. Raises: a StoreError."""
        return self._history(key, self._records.all_of_path(key), origin)

    def _history(
        self, key: Key, found: Sequence[Summary], plain: Stat | None
    ) -> tuple[Version, ...]:
        self._agreement.look()
        notes = self._notes(key)
        left = {one.id: (one, body) for one, body in notes}
        gone = [one for one, body in notes if _is_of_record(one, body) and one not in found]
        stamps = purged_stamps(key, (one for one, _ in notes))
        places = timeline(key, [*found, *gone], as_plain(key, plain), stamps)
        with ThreadPoolExecutor(8) as pool:
            recent = pool.map(
                lambda place: (
                    left[place.record.id][1]
                    if place.record is not None and place.record in gone
                    else self._body_or_none(key, place.record)
                ),
                places[-_BODIES:],
            )
            bodies = [*[None] * max(0, len(places) - _BODIES), *recent]
        versions = [
            self._with_purge(key, self._of_place(key, place, body, plain), left.get(place.id), gone)
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
                return self._of_record(key, place.record, body, is_head=place.is_head)
            case PlaceKind.PLAIN:
                assert plain is not None
                return self._of_stat(key, plain, is_head=place.is_head)
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

    @staticmethod
    def _with_purge(
        key: Key, version: Version, left: tuple[Summary, Body] | None, gone: Sequence[Summary]
    ) -> Version:
        """What a version's note says of it; where its bytes are still there, that this is not finished."""
        if left is None:
            return version
        if left[0] in gone or not version.token:
            return purged_version(key, *left)
        return replace(version, marks=(*version.marks, Mark.PURGING))

    def _describe_object(self, one: Condemned, purger: Purger) -> Doomed:
        version = one.version
        found = self._bucket.stat(version.key)
        if self._token(Plain(version.key, found.token, found.size, found.modified_ns)) != (
            version.token
        ):
            raise self._changed(version.key, "purge")
        summary = Summary(
            0,
            RecordKind.CONTENT,
            version.time_ns,
            version.size,
            version.mtime_ns,
            stat.S_IFREG | (version.mode if version.mode is not None else DEFAULT_FILE_MODE),
            stamp_of(found.token, found.size, found.modified_ns),
            version.id,
        )
        body = self._note_body(version, note_of(one, purger))
        return Doomed(one, summary, body, None, (Object(version.key, token=found.token),))

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        found = [one for one in self._records.all_of_path(key) if one.id == write.write_id]
        for one in found:
            if one.kind in {RecordKind.CONTENT, RecordKind.TOMBSTONE} and not one.of_directory:
                body = self._body_or_none(key, one)
                return self._of_record(key, one, body, is_head=Flag.LATE not in one.flags)
        made = self._plain_of_write(key, write)
        if made is not None and not found:
            # A try that was cut short between the content and what tells its attributes.
            self.ready()
            self._complete(key, replace(write, mode=made.mode), made)
        return made

    def _plain_of_write(self, key: Key, write: Write) -> Version | None:
        found = self._plain_stat(key)
        if found is None or metadata.decode(found.metadata).write_id != write.write_id:
            return None
        return self._of_stat(key, found)

    def _of_stat(self, key: Key, found: Stat, *, is_head: bool = True) -> Version:
        plain = Plain(key, found.token, found.size, found.modified_ns)
        return metadata.to_version(
            key, found, VersionId(plain.id), self._token(plain), is_head=is_head
        )

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
        self.ready()
        if self._is_first(write, write.size):
            made = self._create_plain(key, source, write)
            if made is not None:
                return made
        looked = self._look(key)
        head = looked.state.head
        if head is not None and same is not None and head.size == write.size:
            version = self._head(key, looked)
            if same(version):
                return version
        inline = source.read_bytes() if write.size <= _INLINE else None
        if inline is None:
            self._send(write, source)
            # What was seen before a long upload is old by now.
            looked = self._look(key)
        return self._publish(key, write, looked, overdue=overdue, fix=fix, inline=inline)

    def _is_first(self, write: Write, size: int) -> bool:
        """Whether a path's first version may be made under its plain key."""
        fresh = write.base is None and write.after is None and write.record is None
        return fresh and self._holds(size)

    def _holds(self, size: int) -> bool:
        """Whether "only if absent" holds for content of a size."""
        whole = size <= self._bucket.whole_bytes
        return self._findings.put if whole else self._findings.parts

    def _create_plain(self, key: Key, source: Source, write: Write) -> Version | None:
        """Make a first version; None where there is something under the plain key, and it is not this write."""
        return self._create(
            key,
            write,
            lambda: self._bucket.put(
                key,
                source,
                metadata=metadata.encode(write),
                content_type=metadata.content_type(key),
                md5=write.hashes.md5 if write.hashes is not None else None,
                absent=True,
            ),
        )

    def _create(self, key: Key, write: Write, request: Callable[[], None]) -> Version | None:
        """Ask for an object where there is none; None where there is one, and it is not this write's."""
        there = False
        try:
            request()
        except errors.AlreadyExists:
            there = True
        made = self._plain_of_write(key, write)
        return None if made is None and there else self._made_plain(key, write, made)

    def _made_plain(self, key: Key, write: Write, made: Version | None) -> Version:
        if made is None:
            raise errors.Unavailable(
                "another tool replaced the file at the moment when it was made; it will be sent again",
                store=self.spec.alias,
                key=key,
                operation="put",
            )
        if made.size != write.size:
            raise errors.Corrupt(
                f"the store has {made.size} bytes of {write.size}",
                store=self.spec.alias,
                key=key,
                operation="put",
            )
        self._complete(key, write, made)
        return made

    def _complete(self, key: Key, write: Write, made: Version) -> None:
        """Tell what the plain key of a version cannot show."""
        if self._needs_attributes(write):
            plain = Plain(key, Token(made.token.partition("/")[2]), made.size, made.time_ns)
            self._tell_attributes(key, plain, self._look(key).state.sequence, write)

    def _send(self, write: Write, source: Source) -> None:
        """Content to where nothing else ever is. A name that is taken is this write's, from an earlier try."""
        name = records.CONTENT + write.write_id
        size = write.size
        holds = self._holds(size)
        if write.record is not None or not holds:
            found = self._plain_stat(Key(name))
            if found is not None and found.size == size:
                return
        with contextlib.suppress(errors.AlreadyExists):
            self._bucket.put(
                name,
                source,
                metadata=metadata.encode(write),
                content_type=metadata.BYTES,
                md5=write.hashes.md5 if write.hashes is not None else None,
                absent=holds,
            )
        self._check_sent(name, size)

    def _check_sent(self, name: str, size: int) -> None:
        found = self._bucket.stat(name)
        if found.size != size:
            raise errors.Corrupt(
                f"the store has {found.size} bytes of {size}",
                store=self.spec.alias,
                key=name,
                operation="put",
            )

    def _publish(
        self,
        key: Key,
        write: Write,
        looked: Looked,
        *,
        overdue: bool,
        fix: Fix | None,
        inline: bytes | None = None,
        content: str | None = None,
    ) -> Version:
        """Make a version real with its record."""
        state = looked.state
        is_base = self._is_base(looked, write)
        fixed = records.decode_summary(write.record) if write.record is not None else None
        if fixed is None:
            late = overdue and not is_base
            flags = Flag.LATE if late else Flag(0)
            flags |= Flag.INLINE if inline is not None else Flag(0)
            flags |= Flag.SHARED if content is not None else Flag(0)
            flags |= Flag.MORE if self._is_owned(write) else Flag(0)
            base = records.decode_summary(write.base) if write.base is not None else None
            mode = write.mode if write.mode is not None else DEFAULT_FILE_MODE
            fixed = Summary(
                late_sequence(base, state) if late else state.sequence,
                RecordKind.CONTENT,
                write.time_ns,
                write.size,
                write.mtime_ns if write.mtime_ns is not None else write.time_ns,
                stat.S_IFREG | mode,
                looked.stamp,
                str(write.write_id),
                flags,
            )
            if fix is not None:
                fix(fixed.encode())
        body = self._new_body(
            key,
            write,
            base=state.head_id if is_base else base_id(write.base),
            content=content,
            inline=inline,
            uid=write.uid,
            gid=write.gid,
        )
        if isinstance(state.head, Plain):
            body = self._with_seen(body, state.head, looked.found)
        late = Flag.LATE in fixed.flags
        if late:
            self._records.publish(Area.HISTORY, key, fixed, body)
        else:
            self._publish_record(key, fixed, body)
        made = self._of_record(key, fixed, body, is_head=not late)
        if not is_base and not late:
            made = replace(made, marks=(*made.marks, Mark.OLDER_HEAD))
        return made

    @staticmethod
    def _with_seen(body: Body, plain: Plain, found: Stat | None) -> Body:
        """What is known of the plain key that a record goes on top of, for when another tool destroys it."""
        hashes = metadata.decode(found.metadata).hashes if found is not None else None
        seen = Seen(
            plain.id,
            plain.size,
            plain.modified_ns,
            hashes.md5 if hashes is not None else None,
            hashes.sha1 if hashes is not None else None,
            hashes.sha256 if hashes is not None else None,
        )
        return records.with_plain(body, seen)

    @staticmethod
    def _is_base(looked: Looked, write: Write) -> bool:
        """Whether the head is what a writer started from."""
        head = looked.state.head
        if head is None:
            return write.base is None and write.after is None
        if head.id == base_id(write.base):
            return True
        if write.after is None:
            return False
        if isinstance(head, Summary):
            return head.id == write.after
        found = looked.found
        return found is not None and metadata.decode(found.metadata).write_id == write.after

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
        """See `base.Store`. Content in `.vstorefs/content/` is shared: no byte moves."""
        self.ready()
        summary = records.decode_summary(token)
        if summary is None:
            return self._copy_plain(key, token, target, write, fix)
        if stat.S_ISLNK(summary.mode):
            return self._copy_link(key, summary, target, write)
        body = self._body(key, summary)
        write = self._as_copy(write, self._of_record(key, summary, body, is_head=False))
        content = body.content or summary.id
        if self._is_first(write, summary.size):
            whole = functools.partial(self.read, key, token, 0, summary.size)
            made = (
                self._create_plain(target, body.inline, write)
                if body.inline is not None
                else self._create_copy(records.CONTENT + content, whole, target, write)
            )
            if made is not None:
                return made
        looked = self._look(target)
        if body.inline is not None:
            return self._publish(target, write, looked, overdue=False, fix=fix, inline=body.inline)
        return self._publish(target, write, looked, overdue=False, fix=fix, content=content)

    def _copy_plain(
        self, key: Key, token: Token, target: Key, write: Write, fix: Fix | None
    ) -> Version:
        found = self._bucket.stat(key)
        if found.token != token.partition("/")[2]:
            raise self._changed(key, "copy")
        write = self._as_copy(write, self._of_stat(key, found))
        if self._is_first(write, found.size):
            whole = functools.partial(self.read, key, token, 0, found.size)
            made = self._create_copy(key, whole, target, write, found)
            if made is not None:
                return made
        name = records.CONTENT + write.write_id
        if self._plain_stat(Key(name)) is None:
            self._bucket.copy(
                key,
                name,
                source=found,
                metadata=metadata.encode(write),
                content_type=metadata.BYTES,
            )
        self._check_sent(name, found.size)
        return self._publish(target, write, self._look(target), overdue=False, fix=fix)

    def _create_copy(
        self,
        name: str,
        blocks: Callable[[], Iterator[bytes]],
        target: Key,
        write: Write,
        found: Stat | None = None,
    ) -> Version | None:
        """Make a first version out of content that the store has; None where it must be a later one."""
        if not self._findings.copy:
            if write.size > _THROUGH_US:
                return None
            return self._create_plain(target, b"".join(blocks()), write)
        return self._create(
            target,
            write,
            lambda: self._bucket.copy(
                name,
                target,
                source=found or self._bucket.stat(name),
                metadata=metadata.encode(write),
                content_type=metadata.content_type(target),
                absent=True,
            ),
        )

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`. What is no longer the base is left alone."""
        self.ready()
        looked = self._look(key)
        head = looked.state.head
        if head is None or not self._is_base(looked, write):
            return None
        kind = stat.S_IFREG if isinstance(head, Plain) else stat.S_IFMT(head.mode)
        return self._bury(key, write, looked, kind, fix)

    # --- directories

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self.ready()
        looked = self._look(key)
        present = looked.state.directory
        if present is not None and present.kind is RecordKind.DIRECTORY:
            if present.id == write.write_id:
                return
            raise errors.AlreadyExists(
                "there is such a folder", store=self.spec.alias, key=key, operation="mkdir"
            )
        self._found_directory(key, write, looked)

    def _found_directory(self, key: Key, write: Write, looked: Looked) -> None:
        summary = Summary(
            looked.state.sequence,
            RecordKind.DIRECTORY,
            write.time_ns,
            0,
            write.mtime_ns if write.mtime_ns is not None else write.time_ns,
            stat.S_IFDIR | (write.mode if write.mode is not None else DEFAULT_FOLDER_MODE),
            looked.stamp,
            str(write.write_id),
            Flag.MORE if self._is_owned(write) else Flag(0),
        )
        body = self._new_body(key, write, uid=write.uid, gid=write.gid)
        self._publish_record(key, summary, body)

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self.ready()
        if any(page.entries for page in self.list(key)):
            raise errors.NotSupported(
                "the folder is not empty", store=self.spec.alias, key=key, operation="rmdir"
            )
        looked = self._look(key)
        present = looked.state.directory
        if present is not None and present.kind is RecordKind.TOMBSTONE:
            return
        if present is None and not self._folder_implied(key):
            return
        self._bury(key, write, looked, stat.S_IFDIR)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`. Only one that was removed, and came back with a file, would go with it."""
        if not key:
            return
        present = reckon(self._records.of_path(Area.HEADS, key), None).directory
        if present is not None and present.kind is RecordKind.TOMBSTONE:
            looked = self._look(key)
            self._found_directory(key, replace(write, mode=None, mtime_ns=None), looked)


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
