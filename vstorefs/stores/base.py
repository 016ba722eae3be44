"""The Store interface: all that the rest of vstorefs knows about any kind of store.

Synchronous; called from workers' threads, so every method is safe to call from many threads at
once. A store knows nothing of mounts, caches or journals. It raises only the family in `errors`.
Nothing here retries: `retry.py` wraps any Store. A write is never retried blindly (see
`publish.py`).

The `file` kind is a Store; the kinds that are object stores are Buckets (`bucket.py`), and become
Stores by one of the layouts in `versions/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vstorefs import errors
from vstorefs.checksums import Told
from vstorefs.model import (
    Capabilities,
    Entry,
    Key,
    Purger,
    StoreSpec,
    Token,
    Unshown,
    Version,
    VersionId,
    Write,
    WriteId,
)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing: entries directly under the prefix, sub-prefixes as directories.

    `complete` is False where names that are not here may exist all the same. `unshown` are names that
    are there and cannot be shown.
    """

    entries: tuple[Entry, ...]
    complete: bool = True
    unshown: tuple[Unshown, ...] = ()


Same = Callable[[Version], bool]
"""Asked with the head as a write finds it: True where it has that content already."""
Fix = Callable[[str], None]
"""Told the name that a write's record will have; it is on disk here when this returns."""


@dataclass(frozen=True, slots=True)
class Condemned:
    """A version, not a head, whose bytes are to be removed: with its place in its history, the oldest at 0.

    `deletion` is the tombstone that stands right behind it, if one does.
    """

    version: Version
    rank: int
    deletion: Version | None = None


@dataclass(frozen=True, slots=True)
class Erased:
    """What became of a version that was to be purged.

    `error`: why bytes of it are still there. `kept`: which other version needs the same bytes.
    """

    version: Version
    error: errors.StoreError | None = None
    kept: str = ""


def is_base(head: Token | None, head_write: WriteId | None, write: Write) -> bool:
    """Whether the present head (its token and write id; None, None for no head) is what a writer started from."""
    if head is None:
        return write.base is None
    return head == write.base or (write.after is not None and head_write == write.after)


def replaces(write: Write) -> bool:
    """Whether a write started from something that was there."""
    return write.base is not None or write.after is not None


class Store(Protocol):
    """One bucket + prefix or directory with its versions, in whichever layout."""

    spec: StoreSpec

    def capabilities(self) -> Capabilities:
        """What this store can do, found out by asking it.

        Raises: NotFound (no such bucket or directory), Denied, Unavailable.
        """
        ...

    def look(self) -> None:
        """See whether the store answers, and is the one that was opened: one small request, whatever it holds.

        Raises: Displaced, Denied, Throttled, Unavailable.
        """
        ...

    def list(self, directory: Key) -> Iterator[Page]:
        """Yield the pages of one directory (`""` is the root); one entry per name, `key` is the full key.

        What cannot be a file name (empty, `.`, `..`, over 255 bytes, with NUL) is among `unshown`;
        `.vstorefs` at the root is left out. A directory that does not exist: NotFound where the kind knows
        directories, else no entries. Where a name is both a file and a directory, both entries are
        yielded.
        Raises: NotFound, Denied, Throttled, Unavailable.
        """
        ...

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """The head (or one version) of a key with all that the store keeps about it, write id and hashes included.

        Raises: NotFound (also where the head is a tombstone), Denied, Throttled, Unavailable.
        """
        ...

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
        """Yield bytes [start, end) of exactly the content that `token` names.

        In order, `end - start` bytes in all (never fewer), 1 byte to 8 MiB a block. `version` says
        where that content is, when known. Content that is no longer head is found among the
        versions. `told` is called with what the answer says of the whole content, where it says
        anything, before the first block; nothing is compared here.
        Raises: Changed (the store has other content now and no longer that), NotFound, Denied,
        Archived, Throttled, Unavailable (also for a body that ended early).
        """
        ...

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
        """Make the content of `source` the new head of `key`; the old head stays a version.

        `write.size` and `write.hashes` describe the content; write id, base, hashes, mode, mtime
        are kept with it. The head is the writer's base when its token is `write.base`, or its write
        id is `write.after`. If it is not: the new version is marked OLDER_HEAD; or, where
        `overdue`, it is kept beside the head, never on top, marked LATE, and returned with
        `is_head` False. Where `same` says that the head has this content already, nothing is written
        and the head returned. Large content goes in parallel parts.
        Raises: Denied, NotSupported, Throttled, Unavailable (the write may or may not have
        happened).
        """
        ...

    def copy(
        self,
        key: Key,
        token: Token,
        target: Key,
        write: Write,
        *,
        version: VersionId | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """Make the content that `token` names the new head of `target`, inside the store, no bytes through us.

        Raises: Changed, NotFound, Denied, Throttled, Unavailable (may or may not have happened).
        """
        ...

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """Make a tombstone the head of `key`; every version stays.

        Returns the tombstone, or None where there was nothing to remove or where the head is no
        longer `write.base` (a late removal changes nothing but is recorded where the kind can).
        """
        ...

    def versions(self, directory: Key) -> Iterator[Key]:
        """Yield the keys of all files directly in `directory` that have, or had, versions there."""
        ...

    def paths(self, directory: Key) -> Iterator[Key]:
        """Yield the keys of all files anywhere below `directory` that have, or had, versions; sorted, each once.

        Raises: Denied, Throttled, Unavailable.
        """
        ...

    def history(self, key: Key) -> tuple[Version, ...]:
        """All versions of one key, oldest first, tombstones and other tools' versions included.

        The same list for every reader. Empty where the key never existed.
        """
        ...

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """Yield every path below `directory` that has, or had, versions, with its history; sorted by key, each once.

        A history is what `history` gives, in a few requests for all of them together. So what a listing does
        not tell may be missing: hashes, base, write id, mode, mtime, and marks but for LATE and
        REPLACED_OUTSIDE. Key, id, kind, time, token, size and `is_head` are right.
        Raises: Denied, Throttled, Unavailable.
        """
        ...

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """Yield everything below `directory` as it was at a moment, with what was deleted since; in no order.

        Files, symlinks, and the directories of which the kind keeps that, each once. Attributes are those of
        then where they were kept. What nobody kept is missing. What was late never was in force.
        Raises: Denied, Throttled, Unavailable.
        """
        ...

    def find_write(self, key: Key, write: Write) -> Version | None:
        """The version that carries `write.write_id`, if this write has happened.

        Looks at each version newer than its base.

        Asked after any unclear reply and before a replay. Raises Unavailable where more than 100
        would have to be asked.
        """
        ...

    def make_directory(self, key: Key, write: Write) -> None:
        """Make an empty directory. Raises AlreadyExists."""
        ...

    def remove_directory(self, key: Key, write: Write) -> None:
        """Remove an empty directory.

        One that is gone already is no error. Raises NotSupported if not empty.
        """
        ...

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """Set the attributes of a file, directory or symlink that `write` has. Raises NotFound."""
        ...

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """Make a symlink.

        A `write` that started from something replaces the link that is there; the same write again
        changes nothing. Raises AlreadyExists where something else is there, NotSupported.
        """
        ...

    def keep_directory(self, key: Key, write: Write) -> None:
        """After the removal `write` inside it.

        See that an emptied directory goes on existing (no-op where directories are real).
        """
        ...

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """Remove the bytes of versions for good.

        Of each it is first written down what is known of it, so that at no time a version is gone
        without a trace. Stopped anywhere, the same call finishes what was begun. What cannot be
        removed is told in its `Erased`, and the others go on. Raises: NotSupported where nothing can
        be written.
        """
        ...

    def tidy(self, key: Key) -> None:
        """Move what is superseded out of the way of listings (no-op where nothing is in the way).

        Raises: a StoreError; nothing depends on it.
        """
        ...

    def close(self) -> None:
        """Drop connections."""
        ...
