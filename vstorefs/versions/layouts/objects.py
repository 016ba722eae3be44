"""What both layouts on an object store share beside listings: attributes, symlinks, tombstones and records.

Attributes that an object store's listing cannot show, and symlinks, are records in both layouts;
where the content is, differs, and is the business of `native` and `portable`.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
from abc import abstractmethod
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vstorefs import errors
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Capabilities,
    Entry,
    EntryKind,
    Key,
    Mark,
    Purger,
    RunId,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.base import Condemned, Erased, Fix, replaces
from vstorefs.stores.bucket import Bucket
from vstorefs.versions import records
from vstorefs.versions.layouts.format import Agreement, Layout
from vstorefs.versions.layouts.listing import Listing, Looked
from vstorefs.versions.layouts.purge import Doomed, Purge, doomed_record, with_note
from vstorefs.versions.order import Plain
from vstorefs.versions.records import Area, Body, Flag, PurgeNote, RecordKind, Summary

log = logging.getLogger(__name__)

_LINK = stat.S_IFLNK | 0o777
_HOST = socket.gethostname()


class ObjectStore(Listing):
    """One bucket and prefix as a Store; a layout fills in where content lies."""

    layout: Layout

    def __init__(self, bucket: Bucket, capabilities: Capabilities) -> None:
        super().__init__(bucket)
        self._capabilities = capabilities
        self._agreement = Agreement(bucket, self.layout)
        self._untidy: set[Key] = set()

    def capabilities(self) -> Capabilities:
        """See `base.Store`. Found out when the store was opened."""
        return self._capabilities

    # --- attributes and links

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`."""
        self.ready()
        looked = self._look(key)
        state = looked.state
        if state.head is not None:
            entry = self._file_entry(key, state.head, state.attributes)
            kind = stat.S_IFLNK if entry.kind is EntryKind.SYMLINK else stat.S_IFREG
            default = DEFAULT_FILE_MODE
        elif state.directory is not None or self._folder_implied(key):
            entry = self._folder_entry(key, state)
            kind, default = stat.S_IFDIR, DEFAULT_FOLDER_MODE
        else:
            raise self._not_found(key, "attributes")
        mode = write.mode if write.mode is not None else entry.mode
        changed = replace(
            entry,
            mode=mode if mode is not None else default,
            uid=write.uid if write.uid is not None else entry.uid,
            gid=write.gid if write.gid is not None else entry.gid,
            mtime_ns=write.mtime_ns if write.mtime_ns is not None else entry.mtime_ns,
        )
        self._publish_attributes(changed, kind, looked.stamp, state.sequence, write)
        return changed

    def _publish_attributes(
        self, entry: Entry, kind: int, stamp: str, sequence: int, write: Write
    ) -> None:
        summary = Summary(
            sequence,
            RecordKind.ATTRIBUTES,
            write.time_ns,
            0,
            entry.mtime_ns,
            kind | (entry.mode or 0),
            stamp,
            str(write.write_id),
            Flag.MORE if self._is_owned(entry) else Flag(0),
        )
        body = self._new_body(entry.key, write, uid=entry.uid, gid=entry.gid)
        self._publish_record(entry.key, summary, body)

    def _folder_implied(self, key: Key) -> bool:
        return any(page.objects for page in self._bucket.list(f"{key}/", limit=1)) or any(
            page.objects
            for page in self._bucket.list(self._records.names.folder(Area.HEADS, key), limit=1)
        )

    def _needs_attributes(self, write: Write) -> bool:
        """Whether a plain key cannot show what a writer means its file to be."""
        return (
            write.mtime_set or write.mode not in {None, DEFAULT_FILE_MODE} or self._is_owned(write)
        )

    @staticmethod
    def _is_owned(about: Write | Entry) -> bool:
        """Whether an owner is another than who mounts, whom a listing shows anyway."""
        return about.uid not in {None, os.getuid()} or about.gid not in {None, os.getgid()}

    def _tell_attributes(self, key: Key, plain: Plain, sequence: int, write: Write) -> None:
        """After a plain key was made: what it cannot show."""
        if not self._needs_attributes(write):
            return
        mtime_ns = write.mtime_ns if write.mtime_ns is not None else plain.modified_ns
        mode = write.mode if write.mode is not None else DEFAULT_FILE_MODE
        entry = Entry(
            key, EntryKind.FILE, plain.size, mtime_ns, mode=mode, uid=write.uid, gid=write.gid
        )
        self._publish_attributes(entry, stat.S_IFREG, plain.stamp, sequence, write)

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`."""
        self.ready()
        looked = self._look(key)
        head = looked.state.head
        if isinstance(head, Summary) and head.id == write.write_id:
            return self._of_summary(key, head, is_head=True)
        if head is not None and not (_is_link(head) and replaces(write)):
            raise errors.AlreadyExists(
                "there is such a name", store=self.spec.alias, key=key, operation="symlink"
            )
        return self._of_summary(key, self._link(key, target, write, looked), is_head=True)

    def _link(self, key: Key, target: str, write: Write, looked: Looked) -> Summary:
        summary = Summary(
            looked.state.sequence,
            RecordKind.CONTENT,
            write.time_ns,
            len(os.fsencode(target)),
            write.mtime_ns if write.mtime_ns is not None else write.time_ns,
            _LINK,
            looked.stamp,
            str(write.write_id),
            Flag.MORE,
        )
        body = self._new_body(key, write, link=target, uid=write.uid, gid=write.gid)
        self._publish_record(key, summary, body)
        return summary

    def _copy_link(self, key: Key, source: Summary, target: Key, write: Write) -> Version:
        body = self._records.body(key, source)
        made = self._link(target, body.link or "", write, self._look(target))
        return self._of_record(target, made, body, is_head=True)

    def _bury(
        self, key: Key, write: Write, looked: Looked, kind: int, fix: Fix | None = None
    ) -> Version:
        """Publish a tombstone."""
        fixed = records.decode_summary(write.record) if write.record is not None else None
        summary = fixed or Summary(
            looked.state.sequence,
            RecordKind.TOMBSTONE,
            write.time_ns,
            0,
            0,
            kind,
            looked.stamp,
            str(write.write_id),
        )
        if fix is not None and fixed is None:
            fix(summary.encode())
        body = self._new_body(key, write, base=looked.state.head_id)
        self._publish_record(key, summary, body)
        return self._of_record(key, summary, body, is_head=False)

    @staticmethod
    def _as_copy(write: Write, source: Version) -> Write:
        """A write that makes a copy: of what it does not say itself, what the source has."""
        return replace(
            write,
            size=source.size,
            mode=source.mode if write.mode is None else write.mode,
            mtime_ns=source.mtime_ns if write.mtime_ns is None else write.mtime_ns,
            hashes=write.hashes or source.hashes,
        )

    # --- records

    def _new_body(
        self,
        key: Key,
        write: Write,
        *,
        base: str | None = None,
        content: str | None = None,
        inline: bytes | None = None,
        link: str | None = None,
        uid: int | None = None,
        gid: int | None = None,
    ) -> Body:
        assert self._agreement.id is not None
        hashes = write.hashes
        return Body(
            store=self._agreement.id,
            path=key,
            base=base,
            content=content,
            inline=inline,
            link=link,
            md5=hashes.md5 if hashes is not None else None,
            sha1=hashes.sha1 if hashes is not None else None,
            sha256=hashes.sha256 if hashes is not None else None,
            uid=uid,
            gid=gid,
            marks=tuple(mark.name.lower() for mark in write.marks),
            host=_HOST,
            run=write.run,
        )

    def _of_record(
        self, key: Key, summary: Summary, body: Body | None, *, is_head: bool
    ) -> Version:
        """A record as a version."""
        version = self._of_summary(key, summary, is_head=is_head)
        if body is None:
            return replace(version, marks=(*version.marks, Mark.DAMAGED))
        marks = tuple(Mark[name.upper()] for name in body.marks if name.upper() in _MARKS)
        if body.store != (self._agreement.id or body.store):
            marks += (Mark.FOREIGN,)
        return replace(
            version,
            base=Token(body.base) if body.base is not None else None,
            hashes=records.hashes_of(body),
            marks=version.marks + marks,
            run=RunId(body.run) if body.run is not None else None,
        )

    @staticmethod
    def _of_summary(key: Key, summary: Summary, *, is_head: bool) -> Version:
        """A record as a version, as far as its name tells."""
        gone = summary.kind is RecordKind.TOMBSTONE
        return Version(
            key,
            VersionId(summary.id),
            VersionKind.TOMBSTONE if gone else VersionKind.CONTENT,
            summary.time_ns,
            Token("" if gone else summary.encode()),
            size=summary.size,
            mtime_ns=summary.mtime_ns,
            mode=stat.S_IMODE(summary.mode) if not gone else None,
            write_id=WriteId(summary.id),
            marks=(Mark.LATE,) if Flag.LATE in summary.flags else (),
            is_head=is_head,
        )

    def tidy(self, key: Key) -> None:
        """See `base.Store`. Only what this has published on top of other records is looked at."""
        if key in self._untidy:
            self._untidy.discard(key)
            self._records.tidy(key)

    def _publish_record(self, key: Key, summary: Summary, body: Body) -> None:
        """Publish a record that is in force."""
        self._records.publish(Area.HEADS, key, summary, body)
        if summary.sequence > 1:
            self._untidy.add(key)

    # --- purged versions

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`."""
        self.ready()
        purge = Purge(self._bucket, self._records)
        return purge.run(condemned, lambda one: self._describe(one, purger))

    def _describe(self, one: Condemned, purger: Purger) -> Doomed:
        """Where the bytes of a version are, and its note. Raises: a StoreError."""
        summary = records.decode_summary(one.version.token)
        if summary is None:
            return self._describe_object(one, purger)
        return doomed_record(one, summary, self._records, purger)

    @abstractmethod
    def _describe_object(self, one: Condemned, purger: Purger) -> Doomed:
        """The same of a version that lies under the plain key."""

    def _note_body(self, version: Version, note: PurgeNote) -> Body:
        """The note of a version that has no record."""
        assert self._agreement.id is not None
        body = Body(
            store=self._agreement.id,
            path=version.key,
            base=version.base,
            marks=tuple(mark.name.lower() for mark in version.marks if mark not in _OF_HISTORY),
            host=_HOST,
            run=version.run,
        )
        return with_note(body, note, version.hashes)

    def _notes(self, key: Key) -> list[tuple[Summary, Body]]:
        """What purges have left of a path's versions. Raises: a StoreError."""
        summaries = self._records.of_path(Area.PURGED, key)
        if not summaries:
            return []
        with ThreadPoolExecutor(8) as pool:
            bodies = pool.map(lambda one: self._records.note(key, one), summaries)
            return [
                (one, body) for one, body in zip(summaries, bodies, strict=True) if body is not None
            ]

    # --- the format

    def ready(self) -> None:
        """See that this host may publish. Raises: as `format.Agreement.settle`."""
        self._agreement.settle()

    def close(self) -> None:
        """See `base.Store`."""
        self._bucket.close()

    def _not_found(self, key: Key, operation: str) -> errors.NotFound:
        return errors.NotFound(
            "no such file, or no such version of it",
            store=self.spec.alias,
            key=key,
            operation=operation,
        )

    def _changed(
        self, key: Key, operation: str = "read", token: Token | None = None
    ) -> errors.Changed:
        """Content that is not there any more; if `token` was purged, that is said."""
        notes = self._notes(key) if token is not None else []
        why = next(
            (
                f"this version was purged by {body.purged.by}; its hashes are in its history"
                for _, body in notes
                if body.purged is not None and body.purged.token == token
            ),
            "the store has other content now and no longer this one",
        )
        return errors.Changed(
            why,
            store=self.spec.alias,
            key=key,
            operation=operation,
        )


def _is_link(head: Summary | Plain) -> bool:
    return isinstance(head, Summary) and stat.S_ISLNK(head.mode)


_MARKS = frozenset(mark.name for mark in Mark)
_OF_HISTORY = {Mark.RACE, Mark.DELETED_WHILE_WRITTEN, Mark.PURGING}
