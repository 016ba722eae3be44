"""What a store on a bucket shows: directories made of records and plain keys together.

Where the content of a plain key is to be found is the business of a layout; which names there are, with
which attributes, is the same in both.
"""

from __future__ import annotations

import logging
import stat
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vstorefs import errors
from vstorefs.model import (
    HIDDEN_FOLDER,
    Entry,
    EntryKind,
    Key,
    StoreSpec,
    Token,
    Unshown,
    VersionId,
    join,
)
from vstorefs.stores.base import Page
from vstorefs.stores.bucket import Bucket, ListedVersion, Object, Stat
from vstorefs.versions import records
from vstorefs.versions.layouts.recordstore import Folder, RecordStore
from vstorefs.versions.order import Plain, Reckoning, misses_plain, purged_stamps, reckon
from vstorefs.versions.records import Area, Body, Flag, RecordKind, Summary

log = logging.getLogger(__name__)

_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Looked:
    """What a path's records and its plain key said when they were asked.

    `stamp` is the plain key as records name it, `found` all that the store says of it.
    """

    state: Reckoning
    stamp: str
    found: Stat | None


class Listing(ABC):
    """Directories of one bucket and prefix."""

    _folders_are_keys: bool

    def __init__(self, bucket: Bucket) -> None:
        self.spec: StoreSpec = bucket.spec
        self._bucket = bucket
        self._records = RecordStore(bucket)

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
            below = {name[len(prefix) : -1]: name for name in page.prefixes}
            plain_folders.update(below)
            odd = {one.name for name, one in named.items() if name and not is_name(name)}
            odd |= {key for name, key in below.items() if not is_name(name)}
            yield Page(tuple(entries), unshown=tuple(_unshown(key) for key in sorted(odd)))
        alone = {
            name: summaries
            for name, summaries in folder.names.items()
            if name not in seen and is_name(name)
        }
        purged = self._purged_in(directory, alone)
        rest = [
            entry
            for name, summaries in alone.items()
            for entry in self._entries(
                join(directory, name), summaries, None, purged.get(name, frozenset())
            )
        ]
        yield Page((*rest, *self._implied_folders(directory, folder, plain_folders)))

    def _purged_in(
        self, directory: Key, alone: Mapping[str, Sequence[Summary]]
    ) -> dict[str, frozenset[str]]:
        """Stamps of purged plain keys by name; asked for only where a plain key is missed."""
        if not any(misses_plain(reckon(one, None), None) for one in alone.values()):
            return {}
        notes = self._records.in_directory(Area.PURGED, directory).names
        return {name: purged_stamps(join(directory, name), one) for name, one in notes.items()}

    def _entries(
        self,
        key: Key,
        summaries: Sequence[Summary],
        one: Object | None,
        purged: frozenset[str] = frozenset(),
    ) -> Sequence[Entry]:
        """What a name shows: what is a file there, and what its records say is a folder."""
        plain = as_plain(key, one)
        state = reckon(summaries, plain, purged)
        entries = []
        if state.head is not None:
            entries.append(self._file_entry(key, state.head, state.attributes))
        if state.directory is not None and (
            state.directory.kind is RecordKind.DIRECTORY or self._lives(key)
        ):
            entries.append(self._folder_entry(key, state))
        return entries

    def _file_entry(self, key: Key, head: Summary | Plain, about: Summary | None) -> Entry:
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
            state = reckon(folder.names.get(name, []), None)
            if state.directory is None and (name in plain or self._lives(key)):
                yield self._folder_entry(key, state)

    def _folder_entry(self, key: Key, state: Reckoning) -> Entry:
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
        below = self._records.below(Area.HEADS, directory)
        if any(
            one.directory is not None and one.directory.kind is RecordKind.DIRECTORY
            for one in (reckon(summaries, None) for summaries in below.values())
        ):
            return True
        for page in self._bucket.list(f"{directory}/"):
            for one in page.objects:
                path = Key(one.name)
                if path.endswith("/") and not self._folders_are_keys:
                    continue
                if reckon(below.pop(path, []), as_plain(path, one)).head is not None:
                    return True
        states = {path: reckon(one, None) for path, one in below.items()}
        if any(state.head is not None for state in states.values()):
            return True
        missing = [path for path, state in states.items() if misses_plain(state, None)]
        notes = self._records.below(Area.PURGED, directory) if missing else {}
        return any(
            reckon(below[path], None, purged_stamps(path, notes.get(path, ()))).head is not None
            for path in missing
        )

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        folder = self._records.in_directory(Area.HEADS, directory)
        found = {
            join(directory, name)
            for name, summaries in folder.names.items()
            if is_name(name) and any(not one.of_directory for one in summaries)
        }
        found |= set(self._plain_versions(directory))
        notes = self._records.in_directory(Area.PURGED, directory).names
        found |= {join(directory, name) for name in notes if is_name(name)}
        return iter(sorted(found))

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        found = {
            path
            for path, summaries in self._records.below(Area.HEADS, directory).items()
            if any(not one.of_directory for one in summaries)
        }
        found |= self._records.below(Area.PURGED, directory).keys()
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
        summaries = self._records.of_path(Area.HEADS, key)
        found = self._plain_stat(key)
        plain = as_plain(key, found)
        stamp = plain.stamp if plain is not None else records.NO_PLAIN
        state = reckon(summaries, plain)
        if misses_plain(state, plain):
            notes = self._records.of_path(Area.PURGED, key)
            state = reckon(summaries, plain, purged_stamps(key, notes))
        return Looked(state, stamp, found)

    def _plain_stat(self, key: Key) -> Stat | None:
        try:
            return self._bucket.stat(key)
        except errors.NotFound:
            return None


def versions_of(bucket: Bucket, key: Key) -> list[ListedVersion]:
    """A key's versions and delete markers as the store lists them, newest first. Raises: a StoreError."""
    found: list[ListedVersion] = []
    for page in bucket.versions(key):
        found += [item for item in page if item.name == key]
        # Names come in order: behind this one there are only longer ones.
        if any(item.name > key for item in page):
            break
    return latest_first(found)


def latest_first(items: Sequence[ListedVersion]) -> list[ListedVersion]:
    """The store's own order; what is latest comes first, whatever else a look-alike does."""
    return sorted(items, key=lambda item: not item.is_latest)


def _unshown(key: str) -> Unshown:
    why = (
        "a part of it is longer than 255 bytes"
        if max(map(_size, key.split("/"))) > _NAME_BYTES
        else ""
    )
    return Unshown(key, why or "no file can have that name")


def _size(name: str) -> int:
    return len(name.encode())


def as_plain(key: Key, one: Object | Stat | None) -> Plain | None:
    """The plain key of a path, as a listing and a stat tell it alike."""
    return Plain(key, one.token, one.size, one.modified_ns) if one is not None else None


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
        and _size(name) <= _NAME_BYTES
    )
