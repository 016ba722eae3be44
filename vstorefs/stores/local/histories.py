"""The histories of a `file` store's paths: what is filed, what is head, and what other programs did in between."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace

from vstorefs import errors
from vstorefs.model import (
    Entry,
    Key,
    Mark,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    parent_of,
)
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.listing import Listing
from vstorefs.stores.local.names import Identity
from vstorefs.stores.local.root import Root
from vstorefs.stores.local.versions import Filed, PathVersions, to_version
from vstorefs.stores.past import as_entry, version_at


class Histories:
    """Reads histories under each path's lock."""

    def __init__(self, root: Root, listing: Listing) -> None:
        self._root = root
        self._listing = listing

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        with translated(self._root.alias, key, "stat"):
            if version is None:
                path = self._root.path / key
                about = path.lstat()
                if stat.S_ISREG(about.st_mode):
                    head = self._root.versions(key).live_head()
                    if head is not None:
                        return to_version(key, head, head.time_ns, is_head=True)
            else:
                for one in self.history(key):
                    if one.id == version:
                        return one
        self._root.look("stat")
        raise errors.NotFound("no such version", store=self._root.alias, key=key, operation="stat")

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`."""
        versions = self._root.versions(key)
        with translated(self._root.alias, key, "history"), versions.locked(exclusive=False):
            found = _filed_versions(key, versions.filed())
            head, live = versions.head(), versions.live_head()
            if live is not None:
                found = sorted([*found, *_destroyed(versions, live)], key=_moment)
                found.append(to_version(key, live, versions.head_time_ns(live), is_head=True))
            elif head is not None:
                # A removal was cut short: what its tombstone, the newest of all, names stands before it.
                time_ns = min(versions.head_time_ns(head), found[-1].time_ns - 1)
                cut_short = [*_destroyed(versions, head), to_version(key, head, time_ns)]
                found = sorted([*found, *cut_short], key=_moment)
        if not found:
            self._root.look("history")
        return tuple(found)

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`. Nothing is missing here."""
        self._root.look("histories")
        for key in self._listing.paths(directory):
            history = self.history(key)
            if history:
                yield key, history

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`.

        Directories and links have no versions: what has not been touched since was there; other directories, where
        something was in them.
        """
        used: set[Key] = set()
        for key, history in self.histories(directory):
            version = version_at(history, moment_ns)
            if version is not None:
                used.add(parent_of(key))
                yield as_entry(version)
        yield from self._listing.beside_files(directory, moment_ns, used)

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        return next((one for one in self.history(key) if one.write_id == write.write_id), None)

    def finish(self, key: Key) -> None:
        """Complete what a process that died left undone at a path. Raises: a StoreError."""
        versions = self._root.versions(key)
        if versions.folder.is_dir():
            with translated(self._root.alias, key, "find"), versions.locked(exclusive=True):
                versions.finish()


def _filed_versions(key: Key, filed: list[Filed]) -> list[Version]:
    """What is filed, as versions. One whose bytes and note are both there is being purged."""
    noted = {one.id for one in filed if one.suffix == names.PURGED}
    there = {one.id for one in filed if not one.suffix}
    found = []
    for one in filed:
        if one.suffix == names.PURGED and one.id in there:
            continue
        version = _filed_version(key, one)
        if not one.suffix and one.id in noted:
            version = replace(version, marks=(*version.marks, Mark.PURGING))
        found.append(version)
    return found


def _filed_version(key: Key, one: Filed) -> Version:
    identity, time_ns = one.identity, one.time_ns
    if one.suffix == names.DELETED:
        return to_version(key, identity, time_ns, kind=VersionKind.TOMBSTONE)
    if one.suffix == names.REPLACED:
        gone = replace(identity, marks=(*identity.marks, Mark.REPLACED_OUTSIDE))
        return to_version(key, gone, time_ns)
    if one.suffix == names.PURGED:
        gone = replace(identity, marks=(*identity.marks, Mark.PURGED))
        return replace(
            to_version(key, gone, time_ns), token=Token(""), strong=True, purged=identity.purged
        )
    if not one.sound:
        about = one.path.lstat()
        changed = names.derive(about, key)
        version = to_version(key, identity, time_ns)
        return replace(
            version,
            token=Token(changed.id),
            strong=False,
            size=about.st_size,
            hashes=None,
            marks=(*identity.marks, Mark.CHANGED_AFTER),
        )
    return to_version(key, identity, time_ns)


def _moment(version: Version) -> tuple[int, str]:
    return version.time_ns, version.id


def _destroyed(versions: PathVersions, head: Identity) -> list[Version]:
    """What was head until another program wrote over its bytes in place."""
    own = names.carried(versions.plain, versions.folder) if head.derived else None
    if own is None or own.path != versions.key or any(one.id == own.id for one in versions.filed()):
        return []
    gone = replace(own, marks=(*own.marks, Mark.REPLACED_OUTSIDE))
    return [to_version(versions.key, gone, own.time_ns)]
