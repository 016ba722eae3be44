"""Everything below a directory of a bucket, with its histories, and as it was at a moment.

One LIST of records in force, one of superseded ones, then one of what the bucket itself knows: its
versions, or plain keys. Which version a path had at a moment, its history says; its attributes, and
which directories there were, the records say that had been made by then.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from operator import itemgetter
from typing import Protocol

from vstorefs.model import Entry, Key, Version, parent_of
from vstorefs.stores.bucket import ListedVersion
from vstorefs.stores.past import version_at
from vstorefs.versions import records
from vstorefs.versions.layouts.entries import Entries
from vstorefs.versions.layouts.plainkeys import PlainKeys, can_be_path
from vstorefs.versions.layouts.recordstore import RecordStore, is_below
from vstorefs.versions.order import Plain, reckon
from vstorefs.versions.records import Area, Flag, RecordKind, Summary

Told = dict[Key, list[Summary]]
"""Records by path."""


class PathHistory(Protocol):
    """The history of one path, as a layout tells it. Raises: a StoreError."""

    def of_path(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store.history`."""
        ...

    def as_listed(
        self, key: Key, listed: Sequence[ListedVersion], told: Sequence[Summary]
    ) -> tuple[Version, ...]:
        """The same from what the bucket listed of the path, newest first, and all of its records."""
        ...


class BucketHistory:
    """The histories of all that one store has, or had. Raises: a StoreError, wherever it asks."""

    def __init__(
        self,
        record_store: RecordStore,
        plain_keys: PlainKeys,
        entries: Entries,
        history: PathHistory,
    ) -> None:
        self._records = record_store
        self._plain_keys = plain_keys
        self._entries = entries
        self._history = history

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`. What only a version's own metadata or its record's body tells is not asked."""
        told = self._records.all_below(directory)
        notes = self._records.all_below(directory, (Area.PURGED,))
        for key, listed in self._below(directory, told, notes):
            history = self._history_of(key, listed, told, notes)
            if history and can_be_path(key):
                yield key, history

    def _history_of(
        self,
        key: Key,
        listed: Sequence[ListedVersion],
        told: Told,
        notes: Told,
    ) -> tuple[Version, ...]:
        """The history of a path. What was purged of it, only the notes themselves tell."""
        if key in notes:
            return self._history.of_path(key)
        return self._history.as_listed(key, listed, told.get(key, []))

    def _below(
        self, directory: Key, told: Told, notes: Told
    ) -> Iterator[tuple[Key, list[ListedVersion]]]:
        """Each key that the bucket lists or a record tells of, in order."""
        listed = self._plain_keys.versions_below(f"{directory}/" if directory else "")
        by_name = (
            (Key(name), list(items))
            for name, items in itertools.groupby(listed, key=lambda item: item.name)
        )
        beside = ((key, list[ListedVersion]()) for key in sorted({*told, *notes}))
        merged = heapq.merge(by_name, beside, key=itemgetter(0))
        for key, pairs in itertools.groupby(merged, key=itemgetter(0)):
            yield key, [item for _, some in pairs for item in some]

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`."""
        told = self._records.all_below(directory)
        then = {
            path: [
                one for one in summaries if one.time_ns <= moment_ns and Flag.LATE not in one.flags
            ]
            for path, summaries in told.items()
        }
        folders = set() if self._plain_keys.folders_are_keys else _folders_in(then)
        notes = self._records.all_below(directory, (Area.PURGED,))
        for key, listed in self._below(directory, told, notes):
            path = Key(key.removesuffix("/"))
            if not can_be_path(path) or not is_below(path, directory):
                continue
            version = version_at(self._history_of(key, listed, told, notes), moment_ns)
            if version is not None:
                folders.update(_above(path, directory))
                if path == key:
                    yield self._entry_at(key, version, listed, then.get(key, []))
                else:
                    folders.add(path)
            elif not self._plain_keys.folders_are_keys and any(
                one.modified_ns <= moment_ns for one in listed
            ):
                folders.update(_kept_by_prefix(path, directory, then))
        for folder in sorted(
            folders | {one for path in folders for one in _above(path, directory)}
        ):
            yield self._entries.folder(folder, reckon(then.get(folder, []), None))

    def _entry_at(
        self, key: Key, version: Version, listed: list[ListedVersion], then: list[Summary]
    ) -> Entry:
        head: Summary | Plain | None = records.decode_summary(version.token)
        if head is None:
            head = next(
                Plain(key, one.token, one.size, one.modified_ns)
                for one in listed
                if one.version == version.id and one.token is not None
            )
        about = _attributes_of(head, then)
        entry = replace(self._entries.file(key, head, about, listed=True), version=version.id)
        if about is None and version.mode is not None:
            entry = replace(entry, mode=version.mode, mtime_ns=version.mtime_ns or entry.mtime_ns)
        return entry


def _attributes_of(head: Summary | Plain, then: Sequence[Summary]) -> Summary | None:
    """The record that told the attributes of a content, of those that there were."""
    of_file = sorted((one for one in then if not one.of_directory), key=lambda one: one.order)
    if isinstance(head, Plain):
        about = [
            one for one in of_file if one.kind is RecordKind.ATTRIBUTES and one.stamp == head.stamp
        ]
    else:
        about = [one for one in of_file if one.order >= head.order]
    return about[-1] if about else None


def _folders_in(then: dict[Key, list[Summary]]) -> set[Key]:
    """Directories of which a record said that they are there."""
    return {
        path
        for path, summaries in then.items()
        if can_be_path(path) and _kind_of_folder(summaries) is RecordKind.DIRECTORY
    }


def _kept_by_prefix(path: Key, directory: Key, then: dict[Key, list[Summary]]) -> Iterator[Key]:
    """Directories above a plain key whose file was deleted: there until a record says that they were removed."""
    for folder in reversed(list(_above(path, directory))):
        if _kind_of_folder(then.get(folder, [])) is RecordKind.TOMBSTONE:
            return
        yield folder


def _kind_of_folder(summaries: Sequence[Summary]) -> RecordKind | None:
    state = reckon(summaries, None)
    return state.directory.kind if state.directory is not None else None


def _above(path: Key, directory: Key) -> Iterator[Key]:
    """The directories between a path and a directory that it is below, from the inmost."""
    folder = parent_of(path)
    while folder != directory:
        yield folder
        folder = parent_of(folder)
