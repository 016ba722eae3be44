"""Files, symlinks and directories as a listing shows them, from what records and plain keys say."""

from __future__ import annotations

import logging
import stat

from vstorefs import errors
from vstorefs.model import Entry, EntryKind, Key, Token, VersionId
from vstorefs.versions.layouts.plainkeys import PlainKeys
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Plain, Reckoning
from vstorefs.versions.records import Flag, RecordKind, Summary

log = logging.getLogger(__name__)

_OFTEN = 3
_FEW = 16


class Entries:
    """Makes entries of one store. A record's body is asked for only where its name does not say all.

    `_failing`: symlinks whose records could not be read when they were asked for last, and how often in a row.
    """

    def __init__(self, record_store: RecordStore, plain_keys: PlainKeys) -> None:
        self._records = record_store
        self._plain_keys = plain_keys
        self._failing: dict[str, int] = {}

    def file(
        self, key: Key, head: Summary | Plain, about: Summary | None, *, listed: bool = False
    ) -> Entry:
        """A file or a symlink; `about` is the record that tells its attributes.

        `listed`: among others, which a record that alone cannot be read must not hide: such a symlink has no target.
        Raises: a StoreError.
        """
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
        is_link = isinstance(head, Summary) and stat.S_ISLNK(head.mode)
        target = None
        if is_link:
            assert isinstance(head, Summary)
            uid, gid, target = self._link(key, head, about, listed=listed)
        else:
            uid, gid = self._owner(key, about)
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

    def _link(
        self, key: Key, head: Summary, about: Summary | None, *, listed: bool
    ) -> tuple[int | None, int | None, str | None]:
        """A symlink's user, group and target; nothing of that where a record of it cannot be read now."""
        try:
            uid, gid = self._owner(key, about)
            body = self._records.body_or_none(key, head)
        except (errors.Unavailable, errors.Throttled, errors.Denied) as error:
            if not listed or isinstance(error, errors.Displaced):
                raise
            if not isinstance(error, errors.Denied) and not self._fails_alone(head.id):
                raise
            log.warning("%s: shown without its target, which cannot be read: %s", key, error)
            return None, None, None
        self._failing.pop(head.id, None)
        return uid, gid, body.link if body is not None else None

    def _fails_alone(self, record: str) -> bool:
        """Whether a record failed each time that it was asked for, and few others do: then it is not the store."""
        self._failing[record] = self._failing.get(record, 0) + 1
        if len(self._failing) > _FEW:
            self._failing.clear()
            return False
        return self._failing[record] >= _OFTEN

    def _owner(self, key: Key, about: Summary | None) -> tuple[int | None, int | None]:
        """User and group that a record names."""
        if about is None or Flag.MORE not in about.flags:
            return None, None
        body = self._records.body_or_none(key, about)
        return (body.uid, body.gid) if body is not None else (None, None)
