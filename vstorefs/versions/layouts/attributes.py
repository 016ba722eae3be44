"""Attributes, symlinks and tombstones: what an object store cannot show of a path, kept as records.

The same in both layouts; where content lies is their own business.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import replace

from vstorefs import errors
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Entry,
    EntryKind,
    Key,
    Version,
    Write,
)
from vstorefs.stores.base import Fix, replaces
from vstorefs.versions import records
from vstorefs.versions.layouts.entries import Entries
from vstorefs.versions.layouts.format import Agreement
from vstorefs.versions.layouts.gone import not_found
from vstorefs.versions.layouts.lookup import Looked, Lookup
from vstorefs.versions.layouts.recorded import (
    as_listed_version,
    as_version,
    is_owned,
    new_body,
    owner_flags,
)
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Plain
from vstorefs.versions.records import Flag, RecordKind, Summary

_LINK = stat.S_IFLNK | 0o777


class AttributeKeeper:
    """Keeps them for one store, whose format is agreed upon before anything is kept. Raises: a StoreError."""

    def __init__(
        self, record_store: RecordStore, agreement: Agreement, lookup: Lookup, entries: Entries
    ) -> None:
        self._records = record_store
        self._agreement = agreement
        self._lookup = lookup
        self._entries = entries
        self._alias = record_store.alias

    # --- attributes

    def set(self, key: Key, write: Write) -> Entry:
        """Set those that a write has, of a file, directory or symlink. Raises: NotFound."""
        looked = self._lookup.path(key)
        state = looked.state
        if state.head is not None:
            entry = self._entries.file(key, state.head, state.attributes)
            kind = stat.S_IFLNK if entry.kind is EntryKind.SYMLINK else stat.S_IFREG
            default = DEFAULT_FILE_MODE
        elif state.directory is not None or self._lookup.is_implied_folder(key):
            entry = self._entries.folder(key, state)
            kind, default = stat.S_IFDIR, DEFAULT_FOLDER_MODE
        else:
            raise not_found(self._alias, key, "attributes")
        mode = write.mode if write.mode is not None else entry.mode
        changed = replace(
            entry,
            mode=mode if mode is not None else default,
            uid=write.uid if write.uid is not None else entry.uid,
            gid=write.gid if write.gid is not None else entry.gid,
            mtime_ns=write.mtime_ns if write.mtime_ns is not None else entry.mtime_ns,
        )
        self._publish(changed, kind, looked.stamp, state.sequence, write)
        return changed

    def complete(self, plain: Plain, write: Write, sequence: Callable[[], int]) -> None:
        """After a write made a plain key: tell what that cannot show. `sequence` is asked only then."""
        if not _needs_attributes(write):
            return
        mtime_ns = write.mtime_ns if write.mtime_ns is not None else plain.modified_ns
        mode = write.mode if write.mode is not None else DEFAULT_FILE_MODE
        entry = Entry(
            plain.path,
            EntryKind.FILE,
            plain.size,
            mtime_ns,
            mode=mode,
            uid=write.uid,
            gid=write.gid,
        )
        self._publish(entry, stat.S_IFREG, plain.stamp, sequence(), write)

    def _publish(self, entry: Entry, kind: int, stamp: str, sequence: int, write: Write) -> None:
        summary = Summary(
            sequence,
            RecordKind.ATTRIBUTES,
            write.time_ns,
            0,
            entry.mtime_ns,
            kind | (entry.mode or 0),
            stamp,
            str(write.write_id),
            owner_flags(entry),
        )
        body = new_body(self._agreement.store_id, entry.key, write, uid=entry.uid, gid=entry.gid)
        self._records.publish_head(entry.key, summary, body)

    # --- symlinks

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`."""
        looked = self._lookup.path(key)
        head = looked.state.head
        if isinstance(head, Summary) and head.id == write.write_id:
            return as_listed_version(key, head, is_head=True)
        if head is not None and not (_is_link(head) and replaces(write)):
            raise errors.AlreadyExists(
                "the name exists already", store=self._alias, key=key, operation="symlink"
            )
        return as_listed_version(key, self._link(key, target, write, looked), is_head=True)

    def copy_symlink(self, key: Key, source: Summary, target: Key, write: Write) -> Version:
        """Make the symlink of a record anew at another path."""
        body = self._records.body(key, source)
        made = self._link(target, body.link or "", write, self._lookup.path(target))
        return as_version(target, made, body, self._agreement.id, is_head=True)

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
        body = new_body(
            self._agreement.store_id, key, write, link=target, uid=write.uid, gid=write.gid
        )
        self._records.publish_head(key, summary, body)
        return summary

    # --- tombstones

    def bury(
        self, key: Key, write: Write, looked: Looked, kind: int, fix: Fix | None = None
    ) -> Version:
        """Publish the tombstone of a file, symlink or directory; `kind` is its type as in a mode."""
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
        body = new_body(self._agreement.store_id, key, write, base=looked.state.head_id)
        self._records.publish_head(key, summary, body)
        return as_version(key, summary, body, self._agreement.id, is_head=False)


def _needs_attributes(write: Write) -> bool:
    """Whether a plain key cannot show what a writer means its file to be."""
    return write.mtime_set or write.mode not in {None, DEFAULT_FILE_MODE} or is_owned(write)


def _is_link(head: Summary | Plain) -> bool:
    return isinstance(head, Summary) and stat.S_ISLNK(head.mode)
