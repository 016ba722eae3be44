"""Plain keys: what lies in a bucket outside `.vstorefs/`, and what each layout takes it for.

All that differs between the layouts where a directory, a path or its attributes are shown is in `PlainKeys`.
In the native layout a plain key is the newest of the bucket's own versions; in the portable one, which relies
on no versioning, it is one version of a path, most often its first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from vstorefs.model import HIDDEN_FOLDER, Key, Token, Version, VersionId
from vstorefs.stores.bucket import Bucket, ListedVersion, Object, Stat
from vstorefs.versions import metadata
from vstorefs.versions.order import Plain

NAME_BYTES = 255


class PlainKeys(Protocol):
    """The plain keys of one bucket and prefix, as a layout sees them. Raises: a StoreError, wherever it asks."""

    folders_are_keys: bool
    """Whether a key that ends with a slash is what keeps an empty directory."""

    def token(self, plain: Plain) -> Token:
        """What names the content of a plain key."""
        ...

    def version_id(self, plain: Plain) -> VersionId | None:
        """The version that a plain key is, where a listing tells."""
        ...

    def names_in(self, directory: Key) -> Iterator[Key]:
        """Keys directly in a directory of which the bucket itself knows versions."""
        ...

    def names_below(self, prefix: str) -> Iterator[Key]:
        """Keys that begin so and of which the bucket itself knows versions, our own included."""
        ...

    def versions_below(self, prefix: str) -> Iterator[ListedVersion]:
        """What the bucket knows of keys that begin so: by key, newest first."""
        ...


class NativeKeys:
    """Plain keys of which the bucket keeps all versions."""

    folders_are_keys = True

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def token(self, plain: Plain) -> Token:
        """See `PlainKeys`. The bucket's own."""
        return plain.etag

    def version_id(self, plain: Plain) -> VersionId | None:
        """See `PlainKeys`. No listing tells."""
        del plain
        return None

    def names_in(self, directory: Key) -> Iterator[Key]:
        """See `PlainKeys`."""
        prefix = f"{directory}/" if directory else ""
        for page in self._bucket.versions(prefix, by_folder=True):
            for one in page:
                if is_name(one.name[len(prefix) :]):
                    yield Key(one.name)

    def names_below(self, prefix: str) -> Iterator[Key]:
        """See `PlainKeys`."""
        return (Key(one.name) for one in self.versions_below(prefix))

    def versions_below(self, prefix: str) -> Iterator[ListedVersion]:
        """See `PlainKeys`."""
        return (item for page in self._bucket.versions(prefix) for item in page)

    def version(self, key: Key, found: Stat, *, is_head: bool) -> Version:
        """What a request for one version of a plain key told, as that version."""
        identity = found.version or VersionId("null")
        return metadata.to_version(key, found, identity, found.token, is_head=is_head)


class PortableKeys:
    """Plain keys as one version each, named by what a listing says of them."""

    folders_are_keys = False

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def token(self, plain: Plain) -> Token:
        """See `PlainKeys`."""
        return Token(f"{plain.id}/{plain.etag}")

    def version_id(self, plain: Plain) -> VersionId | None:
        """See `PlainKeys`."""
        return VersionId(plain.id)

    def names_in(self, directory: Key) -> Iterator[Key]:
        """See `PlainKeys`."""
        prefix = f"{directory}/" if directory else ""
        for page in self._bucket.list(prefix, by_folder=True):
            for one in page.objects:
                if one.name != prefix:
                    yield Key(one.name)

    def names_below(self, prefix: str) -> Iterator[Key]:
        """See `PlainKeys`."""
        return (Key(one.name) for page in self._bucket.list(prefix) for one in page.objects)

    def versions_below(self, prefix: str) -> Iterator[ListedVersion]:
        """See `PlainKeys`."""
        for page in self._bucket.list(prefix):
            for one in page.objects:
                plain = Plain(Key(one.name), one.token, one.size, one.modified_ns)
                yield ListedVersion(
                    one.name,
                    VersionId(plain.id),
                    one.modified_ns,
                    one.size,
                    one.token,
                    is_latest=True,
                )

    def version(self, key: Key, found: Stat, *, is_head: bool = True) -> Version:
        """What a request for a plain key told, as the version that it is."""
        plain = Plain(key, found.token, found.size, found.modified_ns)
        return metadata.to_version(
            key, found, VersionId(plain.id), self.token(plain), is_head=is_head
        )


def as_plain(key: Key, one: Object | Stat | None) -> Plain | None:
    """The plain key of a path, as a listing and a stat tell it alike."""
    return Plain(key, one.token, one.size, one.modified_ns) if one is not None else None


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
        and name_bytes(name) <= NAME_BYTES
    )


def name_bytes(name: str) -> int:
    """How long a part of a key is as the name of a file."""
    return len(name.encode())
