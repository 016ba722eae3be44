"""What a store on a bucket shows: directories made of records and plain keys together.

Where the content of a plain key is to be found is the business of a layout; which names there are, with
which attributes, is the same in both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from vstorefs.model import HIDDEN_FOLDER, Entry, Key, Unshown, join
from vstorefs.stores.base import Page
from vstorefs.stores.bucket import Bucket, Object
from vstorefs.versions.layouts.entries import Entries
from vstorefs.versions.layouts.plainkeys import (
    NAME_BYTES,
    PlainKeys,
    as_plain,
    can_be_path,
    is_name,
    name_bytes,
)
from vstorefs.versions.layouts.recordstore import Folder, RecordStore
from vstorefs.versions.order import misses_plain, purged_stamps, reckon
from vstorefs.versions.records import Area, RecordKind, Summary


class Listing:
    """Directories of one bucket and prefix. Raises: a StoreError, wherever it asks."""

    def __init__(
        self, bucket: Bucket, record_store: RecordStore, plain_keys: PlainKeys, entries: Entries
    ) -> None:
        self._bucket = bucket
        self._records = record_store
        self._plain_keys = plain_keys
        self._entries = entries

    def look(self) -> None:
        """See `base.Store`. Asked of names of ours only: a server may fail at a page with the name of somebody else."""
        next(iter(self._bucket.list(f"{HIDDEN_FOLDER}/", by_folder=True, limit=1)), None)

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
                for entry in self._shown(join(directory, name), folder.names.get(name, []), one)
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
            for entry in self._shown(
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

    def _shown(
        self,
        key: Key,
        summaries: Sequence[Summary],
        one: Object | None,
        purged: frozenset[str] = frozenset(),
    ) -> Sequence[Entry]:
        """What a name shows: what is a file there, and what its records say is a directory."""
        plain = as_plain(key, one)
        state = reckon(summaries, plain, purged)
        entries = []
        if state.head is not None:
            entries.append(self._entries.file(key, state.head, state.attributes, listed=True))
        if state.directory is not None and (
            state.directory.kind is RecordKind.DIRECTORY or self._lives(key)
        ):
            entries.append(self._entries.folder(key, state))
        return entries

    def _implied_folders(self, directory: Key, folder: Folder, plain: set[str]) -> Iterator[Entry]:
        """Directories that no record of their own tells of: they are there while something is in them."""
        for name in sorted(plain | folder.folders):
            if not is_name(name) or (not directory and name == HIDDEN_FOLDER):
                continue
            key = join(directory, name)
            state = reckon(folder.names.get(name, []), None)
            if state.directory is None and (name in plain or self._lives(key)):
                yield self._entries.folder(key, state)

    def _lives(self, directory: Key) -> bool:
        """Whether a file or a directory is in force anywhere below a directory."""
        below = self._records.below(Area.HEADS, directory)
        if any(
            one.directory is not None and one.directory.kind is RecordKind.DIRECTORY
            for one in (reckon(summaries, None) for summaries in below.values())
        ):
            return True
        for page in self._bucket.list(f"{directory}/"):
            for one in page.objects:
                path = Key(one.name)
                if path.endswith("/") and not self._plain_keys.folders_are_keys:
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
        found |= set(self._plain_keys.names_in(directory))
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
        found |= set(self._plain_keys.names_below(prefix))
        return iter(sorted(key for key in found if can_be_path(key)))


def _unshown(key: str) -> Unshown:
    why = (
        "a part of it is longer than 255 bytes"
        if max(map(name_bytes, key.split("/"))) > NAME_BYTES
        else ""
    )
    return Unshown(key, why or "no file can have that name")
