"""Files, symlinks and directories as a listing shows them, from what records and plain keys say."""

from __future__ import annotations

import stat

from vstorefs.model import Entry, EntryKind, Key, Token, VersionId
from vstorefs.versions.layouts.plainkeys import PlainKeys
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Plain, Reckoning
from vstorefs.versions.records import Flag, RecordKind, Summary


class Entries:
    """Makes entries of one store. A record's body is asked for only where its name does not say all."""

    def __init__(self, record_store: RecordStore, plain_keys: PlainKeys) -> None:
        self._records = record_store
        self._plain_keys = plain_keys

    def file(self, key: Key, head: Summary | Plain, about: Summary | None) -> Entry:
        """A file or a symlink; `about` is the record that tells its attributes. Raises: a StoreError."""
        if isinstance(head, Plain):
            token, size = self._plain_keys.token(head), head.size
            mtime_ns, mode = head.modified_ns, None
            version = self._plain_keys.version_id(head)
        else:
            token, size = Token(head.encode()), head.size
            version = VersionId(head.id)
            mtime_ns, mode = head.mtime_ns, stat.S_IMODE(head.mode)
        if about is not None:
            mtime_ns, mode = about.mtime_ns, stat.S_IMODE(about.mode)
        uid, gid = self._owner(key, about)
        is_link = isinstance(head, Summary) and stat.S_ISLNK(head.mode)
        target = None
        if is_link:
            assert isinstance(head, Summary)
            body = self._records.body_or_none(key, head)
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

    def folder(self, key: Key, state: Reckoning) -> Entry:
        """A directory. Raises: a StoreError."""
        about = state.directory_attributes
        if about is None or about.kind is RecordKind.TOMBSTONE:
            return Entry(key, EntryKind.DIRECTORY)
        uid, gid = self._owner(key, about)
        return Entry(
            key,
            EntryKind.DIRECTORY,
            mtime_ns=about.mtime_ns,
            mode=stat.S_IMODE(about.mode),
            uid=uid,
            gid=gid,
        )

    def _owner(self, key: Key, about: Summary | None) -> tuple[int | None, int | None]:
        """User and group that a record names."""
        if about is None or Flag.MORE not in about.flags:
            return None, None
        body = self._records.body_or_none(key, about)
        return (body.uid, body.gid) if body is not None else (None, None)
