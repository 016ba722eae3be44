"""A store that shows exactly the versions of a lock file, and nothing else; it can only be read.

A version whose place is empty now (it was purged, or nobody kept it) is looked for among the others: one with the same
sha256 is the same content. Whether what comes is what the lock file says is checked by who reads it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

from vstorefs import errors
from vstorefs.checksums import Told
from vstorefs.model import (
    Capabilities,
    Entry,
    EntryKind,
    Hashes,
    Key,
    StoreId,
    Token,
    Version,
    VersionId,
    VersionKind,
)
from vstorefs.stores.base import Page, Store
from vstorefs.stores.readonly import ReadOnly


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedInput:
    """One version that a lock file names."""

    store: StoreId
    path: Key
    size: int
    token: Token
    version: str | None = None
    hashes: Hashes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What a lock file says; `source` names it for people, `time_ns` is the time that its files show."""

    source: str
    time_ns: int
    inputs: tuple[LockedInput, ...]


class LockedStore(ReadOnly):
    """One store of a locked mount."""

    def __init__(self, store: Store, lock: Lock) -> None:
        self.spec = store.spec
        self._store = store
        self._lock = lock
        self._inputs = {one.path: one for one in lock.inputs if one.store == store.spec.id}
        self._elsewhere: dict[Key, Version] = {}
        self._finding = threading.Lock()

    def capabilities(self) -> Capabilities:
        """See `base.Store`."""
        why = f"it shows what {self._lock.source} says"
        return Capabilities(False, why, layout=self._store.capabilities().layout)

    def look(self) -> None:
        """See `base.Store`."""
        self._store.look()

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`."""
        prefix = f"{directory}/" if directory else ""
        entries: dict[Key, Entry] = {}
        for path, one in self._inputs.items():
            if path.startswith(prefix):
                name, _, deeper = path[len(prefix) :].partition("/")
                key = Key(prefix + name)
                entries[key] = Entry(key, EntryKind.DIRECTORY) if deeper else self._entry(one)
        if directory and not entries:
            raise self._not_locked(directory)
        yield Page(tuple(entries.values()))

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        del version
        one = self._inputs.get(key)
        if one is None:
            raise self._not_locked(key)
        return self._version(one)

    def read(
        self,
        key: Key,
        token: Token,
        start: int,
        end: int,
        *,
        version: VersionId | None = None,
        told: Told | None = None,
    ) -> Iterator[bytes]:
        """See `base.Store`. Raises: Corrupt where the content cannot be had any more."""
        elsewhere = self._elsewhere.get(key)
        if elsewhere is not None:
            yield from self._read(elsewhere, start, end, told)
            return
        came = False
        try:
            for block in self._store.read(key, token, start, end, version=version, told=told):
                came = True
                yield block
        except (errors.Changed, errors.NotFound) as error:
            if came:
                raise
            yield from self._read(self._find(key, error), start, end, told)

    def _read(self, found: Version, start: int, end: int, told: Told | None) -> Iterator[bytes]:
        return self._store.read(found.key, found.token, start, end, version=found.id, told=told)

    def _find(self, key: Key, error: errors.StoreError) -> Version:
        """Another version of the same content."""
        one = self._inputs[key]
        with self._finding:
            for version in reversed(self._store.history(key)):
                if (
                    one.hashes is not None
                    and version.hashes is not None
                    and version.hashes.sha256 == one.hashes.sha256
                    and version.token
                    and version.token != one.token
                ):
                    self._elsewhere[key] = version
                    return version
        raise errors.Corrupt(
            f"{self._lock.source} wants version {one.version or one.token} of it, and the store does not have that any "
            f"more ({error.message})",
            store=self.spec.alias,
            key=key,
            operation="read",
        ) from error

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return (
            one.key
            for page in self.list(directory)
            for one in page.entries
            if one.kind is EntryKind.FILE
        )

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`. One version of each."""
        for key in self.paths(directory):
            yield key, self.history(key)

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`. The same at every moment."""
        del moment_ns
        for key in self.paths(directory):
            yield self._entry(self._inputs[key])

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        prefix = f"{directory}/" if directory else ""
        return iter(sorted(path for path in self._inputs if path.startswith(prefix)))

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`. The one version."""
        one = self._inputs.get(key)
        return (self._version(one),) if one is not None else ()

    def close(self) -> None:
        """See `base.Store`."""
        self._store.close()

    def _entry(self, one: LockedInput) -> Entry:
        return Entry(
            one.path,
            EntryKind.FILE,
            one.size,
            self._lock.time_ns,
            one.token,
            version=VersionId(one.version) if one.version is not None else None,
            mode=0o444,
        )

    def _version(self, one: LockedInput) -> Version:
        return Version(
            one.path,
            VersionId(one.version or one.token),
            VersionKind.CONTENT,
            self._lock.time_ns,
            one.token,
            size=one.size,
            mtime_ns=self._lock.time_ns,
            mode=0o444,
            hashes=one.hashes,
            is_head=True,
        )

    def _not_locked(self, key: Key) -> errors.NotFound:
        return errors.NotFound(
            f"{self._lock.source} names nothing there", store=self.spec.alias, key=key
        )
