"""What both layouts on an object store share: listings, folders, attributes and symlinks.

Attributes that an object store's listing cannot show, and symlinks, are records in both layouts;
where the content is, differs, and is the business of `native` and `portable`.
"""

from __future__ import annotations

import logging
import os
import socket
import stat
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

from vstorefs import errors
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    HIDDEN_FOLDER,
    Capabilities,
    Entry,
    EntryKind,
    Hashes,
    Key,
    Mark,
    StoreSpec,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
    join,
)
from vstorefs.stores.base import Fix, Page, Same
from vstorefs.stores.bucket import Bucket, Object, Stat
from vstorefs.stores.ids import new_id
from vstorefs.versions import records
from vstorefs.versions.order import Plain, State, state_of
from vstorefs.versions.records import Area, Body, Flag, RecordKind, Summary
from vstorefs.versions.recordstore import Folder, RecordStore

log = logging.getLogger(__name__)

_NAME_BYTES = 255
_LINK = stat.S_IFLNK | 0o777
_HOST = socket.gethostname()
_AGREED_S = 30.0


class Layout(Enum):
    """Where the versions of a store lie; values stand in `.vstorefs/format`."""

    NATIVE = "native"
    PORTABLE = "portable"


MIGRATING = "migrating"
"""Stands in `.vstorefs/format` while a store moves to the native layout, and nobody else may write."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a path's records and its plain key said when they were asked."""

    state: State
    plain: Plain | None

    @property
    def stamp(self) -> str:
        """The plain key, as records name it."""
        return self.plain.stamp if self.plain is not None else records.NO_PLAIN


class ObjectStore(ABC):
    """One bucket and prefix as a Store; a layout fills in where content lies."""

    layout: Layout
    _folders_are_keys: bool

    def __init__(self, bucket: Bucket, capabilities: Capabilities) -> None:
        self.spec: StoreSpec = bucket.spec
        self._bucket = bucket
        self._capabilities = capabilities
        self._records = RecordStore(bucket)
        self._id: str | None = None
        self._agreed_at = float("-inf")
        self._untidy: set[Key] = set()
        self._lock = threading.Lock()

    def capabilities(self) -> Capabilities:
        """See `base.Store`. Found out when the store was opened."""
        return self._capabilities

    # --- listing

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`. Records first: a plain key is never older than the records beside it."""
        folder = self._records.in_directory(Area.HEADS, directory)
        prefix = f"{directory}/" if directory else ""
        plain_folders: set[str] = set()
        seen: set[str] = set()
        for page in self._bucket.list(prefix, by_folder=True):
            named = {one.name[len(prefix) :]: one for one in page.objects}
            seen |= named.keys()
            entries = [
                entry
                for name, one in named.items()
                if is_name(name)
                for entry in self._entries(join(directory, name), folder.names.get(name, []), one)
            ]
            plain_folders.update(name[len(prefix) :].rstrip("/") for name in page.prefixes)
            yield Page(tuple(entries))
        rest = [
            entry
            for name, summaries in folder.names.items()
            if name not in seen and is_name(name)
            for entry in self._entries(join(directory, name), summaries, None)
        ]
        yield Page((*rest, *self._implied_folders(directory, folder, plain_folders)))

    def _entries(
        self, key: Key, summaries: Sequence[Summary], one: Object | None
    ) -> Sequence[Entry]:
        """What a name shows: what is a file there, and what its records say is a folder."""
        plain = as_plain(key, one) if one is not None else None
        state = state_of(summaries, plain)
        entries = []
        if state.head is not None:
            entries.append(self._file_entry(key, state))
        if state.directory is not None and (
            state.directory.kind is RecordKind.DIRECTORY or self._lives(key)
        ):
            entries.append(self._folder_entry(key, state))
        return entries

    def _file_entry(self, key: Key, state: State) -> Entry:
        head, about = state.head, state.attributes
        assert head is not None
        if isinstance(head, Plain):
            token, size, mtime_ns, mode = self._token(head), head.size, head.modified_ns, None
            version = self._version_id(head)
        else:
            token, size = Token(head.encode()), head.size
            version = VersionId(head.id)
            mtime_ns, mode = head.mtime_ns, stat.S_IMODE(head.mode)
        if about is not None:
            mtime_ns, mode = about.mtime_ns, stat.S_IMODE(about.mode)
        is_link = isinstance(head, Summary) and stat.S_ISLNK(head.mode)
        target = uid = gid = None
        if about is not None and Flag.MORE in about.flags:
            body = self._body_or_none(key, about)
            if body is not None:
                uid, gid = body.uid, body.gid
        if is_link:
            assert isinstance(head, Summary)
            body = self._body_or_none(key, head)
            target = body.link if body is not None else None
        return Entry(
            key,
            EntryKind.SYMLINK if is_link else EntryKind.FILE,
            size,
            mtime_ns,
            token,
            version=version,
            mode=mode,
            uid=uid,
            gid=gid,
            target=target,
        )

    @abstractmethod
    def _token(self, plain: Plain) -> Token:
        """What names the content of a plain key."""

    @abstractmethod
    def _version_id(self, plain: Plain) -> VersionId | None:
        """The version that a plain key is, where a listing tells."""

    def _body_or_none(self, key: Key, summary: Summary | None) -> Body | None:
        if summary is None:
            return None
        try:
            return self._records.body(key, summary)
        except (errors.Corrupt, errors.NotFound) as error:
            log.warning("%s", error)
            return None

    def _implied_folders(self, directory: Key, folder: Folder, plain: set[str]) -> Iterator[Entry]:
        """Folders that no record of their own tells of: they are there while something is in them."""
        for name in sorted(plain | folder.folders):
            if not is_name(name) or (not directory and name == HIDDEN_FOLDER):
                continue
            key = join(directory, name)
            state = state_of(folder.names.get(name, []), None)
            if state.directory is None and (name in plain or self._lives(key)):
                yield self._folder_entry(key, state)

    def _folder_entry(self, key: Key, state: State) -> Entry:
        about = state.directory_attributes
        if about is None or about.kind is RecordKind.TOMBSTONE:
            return Entry(key, EntryKind.DIRECTORY)
        body = self._body_or_none(key, about) if Flag.MORE in about.flags else None
        return Entry(
            key,
            EntryKind.DIRECTORY,
            mtime_ns=about.mtime_ns,
            mode=stat.S_IMODE(about.mode),
            uid=body.uid if body is not None else None,
            gid=body.gid if body is not None else None,
        )

    def _lives(self, directory: Key) -> bool:
        """Whether a file or a folder is in force anywhere below a directory."""
        below = self._records.below(directory)
        if any(
            one.directory is not None and one.directory.kind is RecordKind.DIRECTORY
            for one in (state_of(summaries, None) for summaries in below.values())
        ):
            return True
        for page in self._bucket.list(f"{directory}/"):
            for one in page.objects:
                path = Key(one.name)
                if path.endswith("/") and not self._folders_are_keys:
                    continue
                if state_of(below.pop(path, []), as_plain(path, one)).head is not None:
                    return True
        return any(state_of(one, None).head is not None for one in below.values())

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        folder = self._records.in_directory(Area.HEADS, directory)
        found = {
            join(directory, name)
            for name, summaries in folder.names.items()
            if is_name(name) and any(not one.of_directory for one in summaries)
        }
        found |= set(self._plain_versions(directory))
        return iter(sorted(found))

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        found = {
            path
            for path, summaries in self._records.below(directory).items()
            if any(not one.of_directory for one in summaries)
        }
        prefix = f"{directory}/" if directory else ""
        found |= set(self._plain_paths(prefix))
        return iter(sorted(key for key in found if can_be_path(key)))

    @abstractmethod
    def _plain_paths(self, prefix: str) -> Iterator[Key]:
        """Keys that begin so and of which the bucket itself knows versions, our own included."""

    @abstractmethod
    def _plain_versions(self, directory: Key) -> Iterator[Key]:
        """Keys directly in a directory of which the bucket itself knows versions."""

    # --- looking at one path

    def _look(self, key: Key) -> Looked:
        """The records in force, then the plain key."""
        found = self._records.of_path(Area.HEADS, key)
        plain = self.plain(key)
        return Looked(state_of(found, plain), plain)

    def plain(self, key: Key) -> Plain | None:
        """The plain key as a listing gives it."""
        for page in self._bucket.list(key, limit=1):
            for one in page.objects:
                if one.name == key:
                    return as_plain(key, one)
        return None

    def _plain_stat(self, key: Key) -> Stat | None:
        try:
            return self._bucket.stat(key)
        except errors.NotFound:
            return None

    # --- the contract of `base.Store` that a layout fulfils

    @abstractmethod
    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""

    @abstractmethod
    def read(
        self, key: Key, token: Token, start: int, end: int, *, version: VersionId | None = None
    ) -> Iterator[bytes]:
        """See `base.Store`."""

    @abstractmethod
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

    # --- attributes and links

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`."""
        self.ready()
        looked = self._look(key)
        state = looked.state
        if state.head is not None:
            entry = self._file_entry(key, state)
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

    def make_symlink(self, key: Key, target: str, write: Write) -> Entry:
        """See `base.Store`."""
        self.ready()
        looked = self._look(key)
        head = looked.state.head
        if head is not None:
            if head.id == write.write_id:
                return self._file_entry(key, looked.state)
            raise errors.AlreadyExists(
                "there is such a name", store=self.spec.alias, key=key, operation="symlink"
            )
        summary = self._link(key, target, write, looked)
        return self._file_entry(key, state_of([summary], None))

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
        assert self._id is not None
        hashes = write.hashes
        return Body(
            store=self._id,
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
        )

    def _of_record(
        self, key: Key, summary: Summary, body: Body | None, *, is_head: bool
    ) -> Version:
        """A record as a version."""
        gone = summary.kind is RecordKind.TOMBSTONE
        marks: tuple[Mark, ...] = (Mark.LATE,) if Flag.LATE in summary.flags else ()
        if body is None:
            marks += (Mark.DAMAGED,)
        else:
            marks += tuple(Mark[name.upper()] for name in body.marks if name.upper() in _MARKS)
            if self._id is not None and body.store != self._id:
                marks += (Mark.FOREIGN,)
        return Version(
            key,
            VersionId(summary.id),
            VersionKind.TOMBSTONE if gone else VersionKind.CONTENT,
            summary.time_ns,
            Token("" if gone else summary.encode()),
            size=summary.size,
            mtime_ns=summary.mtime_ns,
            mode=stat.S_IMODE(summary.mode) if not gone else None,
            base=Token(body.base) if body is not None and body.base is not None else None,
            write_id=WriteId(summary.id),
            hashes=hashes_of(body),
            marks=marks,
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

    # --- the format

    def ready(self) -> None:
        """See that `.vstorefs/format` is there and says what this host goes by, before anything is published.

        Raises: Denied where it cannot be written, Changed where another layout was chosen meanwhile.
        """
        with self._lock:
            now = time.monotonic()
            if self._id is None or now - self._agreed_at > _AGREED_S:
                self._id, self._agreed_at = self._agree(), now

    def _agree(self) -> str:
        """The store's id, once its format says the layout that this host goes by."""
        found = read_format(self._bucket)
        if found is None:
            data = records.encode_format(self.layout.value, new_id())
            try:
                self._bucket.put(
                    records.FORMAT_KEY,
                    data,
                    metadata={},
                    content_type="application/json",
                    absent=True,
                )
            except errors.AlreadyExists:
                log.info("%s: another host chose its layout at the same time", self.spec.alias)
            found = read_format(self._bucket)
        if found is None or found.layout != self.layout.value:
            raise errors.Changed(
                "the store's layout was changed since it was mounted; mount it again",
                store=self.spec.alias,
                operation="publish",
            )
        return found.id

    def identify(self) -> None:
        """Learn the store's id, where it has one yet. Raises: a StoreError."""
        if self._id is None:
            found = read_format(self._bucket)
            self._id = found.id if found is not None else None

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

    def _changed(self, key: Key, operation: str = "read") -> errors.Changed:
        return errors.Changed(
            "the store has other content now and no longer this one",
            store=self.spec.alias,
            key=key,
            operation=operation,
        )


_MARKS = frozenset(mark.name for mark in Mark)


def read_format(bucket: Bucket) -> records.Format | None:
    """What `.vstorefs/format` says; None where there is none.

    Raises: NotSupported for a newer one, Corrupt for a damaged one; a StoreError.
    """
    try:
        data = bucket.get(records.FORMAT_KEY)
    except errors.NotFound:
        return None
    found = records.decode_format(data)
    if found is None:
        raise errors.Corrupt(
            f"{records.FORMAT_KEY} is damaged; put it back from a copy, or see docs/reference/formats.md",
            store=bucket.spec.alias,
            operation="check",
        )
    if found.format > records.FORMAT:
        raise errors.NotSupported(
            f"the store has format {found.format}, and this vstorefs knows format {records.FORMAT}; "
            "install a newer vstorefs",
            store=bucket.spec.alias,
            operation="check",
        )
    return found


def as_plain(key: Key, one: Object) -> Plain:
    """An object of a listing as the plain key of a path."""
    return Plain(key, one.token, one.size, one.modified_ns)


def hashes_of(body: Body | None) -> Hashes | None:
    """The hashes that a record's body has."""
    if body is None or body.md5 is None or body.sha1 is None or body.sha256 is None:
        return None
    return Hashes(body.md5, body.sha1, body.sha256)


def can_be_path(key: Key) -> bool:
    """Whether a key can be the path of a file, and is not our own."""
    parts = key.split("/")
    return parts[0] != HIDDEN_FOLDER and all(is_name(part) for part in parts)


def is_name(name: str) -> bool:
    """Whether a part of a key can be the name of a file."""
    return (
        name not in {"", ".", ".."}
        and "/" not in name
        and "\0" not in name
        and len(name.encode()) <= _NAME_BYTES
    )
