"""What is in the directories of a `file` store: entries of now, and the names that have, or had, versions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from vstorefs.model import Entry, EntryKind, Key, Unshown, join, name_of, parent_of
from vstorefs.stores.base import Page
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.entries import is_text, to_entry
from vstorefs.stores.local.root import Root

_PAGE_ENTRIES = 1000


class Listing:
    """Looks through the plain directories and those of versions beside them."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`."""
        self._root.look("list")
        entries: list[Entry] = []
        with (
            translated(self._root.alias, directory, "list"),
            os.scandir(self._root.path / directory) as scan,
        ):
            for item in scan:
                if not directory and item.name == names.HIDDEN:
                    continue
                entry = self._entry(item, directory)
                if isinstance(entry, Unshown):
                    yield Page((), unshown=(entry,))
                elif entry is not None:
                    entries.append(entry)
                if len(entries) == _PAGE_ENTRIES:
                    yield Page(tuple(entries))
                    entries = []
        if entries:
            yield Page(tuple(entries))

    def _entry(self, item: os.DirEntry[str], directory: Key) -> Entry | Unshown | None:
        key = join(directory, item.name)
        if not is_text(item.name):
            return Unshown(_printable(key), "its name is not UTF-8")
        try:
            about = item.stat(follow_symlinks=False)
            entry = to_entry(Path(item.path), about, key, names.folder_of(self._root.path, key))
        except FileNotFoundError:
            return None
        if entry is not None and entry.target is not None and not is_text(entry.target):
            return Unshown(_printable(key), "what it links to is not UTF-8")
        return entry

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        found: set[str] = set()
        with translated(self._root.alias, directory, "versions"):
            folder = names.folder_of(self._root.path, directory)
            for item in folder.iterdir() if folder.is_dir() else []:
                name = self._versioned_name(item)
                if name is not None:
                    found.add(name)
            for page in self.list(directory) if (self._root.path / directory).is_dir() else []:
                found.update(
                    name_of(entry.key) for entry in page.entries if entry.kind is EntryKind.FILE
                )
        return (join(directory, name) for name in sorted(found))

    def _versioned_name(self, folder: Path) -> str | None:
        filed = (
            [one for one in folder.iterdir() if names.parse_filed(one.name)]
            if folder.is_dir()
            else []
        )
        if not filed:
            return None
        if not folder.name.startswith("~"):
            return folder.name.removesuffix("@")
        identity = names.carried(filed[0], folder)
        return name_of(Key(identity.path)) if identity is not None else None

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        found: set[Key] = set()
        waiting = [directory]
        while waiting:
            folder = waiting.pop()
            found.update(self.versions(folder))
            waiting += self._folders(folder)
        return iter(sorted(found))

    def _folders(self, directory: Key) -> Iterator[Key]:
        """Directories directly in a directory, those included of which only versions are left."""
        known: set[str] = set()
        kept = names.folder_of(self._root.path, join(directory, "x")).parent
        with translated(self._root.alias, directory, "list"):
            for place, mark in ((self._root.path / directory, ""), (kept, "@")):
                for item in place.iterdir() if place.is_dir() else ():
                    is_hidden = not directory and item.name == names.HIDDEN
                    if not is_hidden and item.is_dir() and not item.is_symlink():
                        known.add(item.name.removesuffix(mark) if mark else item.name)
        return (join(directory, name) for name in sorted(known) if is_text(name))

    def beside_files(self, directory: Key, moment_ns: int, used: set[Key]) -> Iterator[Entry]:
        """Directories and links of now that were there at a moment; `used` are directories that had files in them."""
        above = {key for one in used for key in _with_parents(one)}
        waiting = [directory]
        while waiting:
            folder = waiting.pop()
            for page in self.list(folder) if (self._root.path / folder).is_dir() else ():
                for entry in page.entries:
                    if entry.kind is EntryKind.FILE:
                        continue
                    if entry.kind is EntryKind.DIRECTORY:
                        waiting.append(entry.key)
                    if entry.key in above or self._is_untouched(entry.key, moment_ns):
                        yield entry

    def _is_untouched(self, key: Key, moment_ns: int) -> bool:
        try:
            return (self._root.path / key).lstat().st_ctime_ns <= moment_ns
        except (FileNotFoundError, NotADirectoryError):
            return False


def _with_parents(key: Key) -> Iterator[Key]:
    while key:
        yield key
        key = parent_of(key)


def _printable(key: str) -> str:
    return os.fsencode(key).decode("utf-8", "backslashreplace")
