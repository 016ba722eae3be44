"""The Bucket interface: an object store as its provider's SDK gives it, and nothing more.

One bucket (or container) and a prefix in it; names are relative to the prefix. Synchronous, and safe
to call from many threads. A bucket knows nothing of versions' meaning, of mounts or of caches; what
is built on it lies in `versions/`. It raises only the family in `errors`, and never asks twice.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

from vstorefs import errors
from vstorefs.checksums import Claims
from vstorefs.model import StoreSpec, Token, VersionId

Said = Callable[[Claims, Mapping[str, str]], None]
"""Told what a provider says of a whole object in an answer with bytes of it: its checksums and its metadata."""
Source = Path | bytes
"""Content to send: a file, or bytes."""


CONTENT_TYPE = "content-type"
STORAGE_CLASS = "storage-class"
HEADERS = (
    CONTENT_TYPE,
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    STORAGE_CLASS,
)
"""What people give to an object beside its metadata; each kind knows those that its provider has."""


def size_of(source: Source) -> int:
    """How many bytes there are to send."""
    return source.stat().st_size if isinstance(source, Path) else len(source)


def opened(source: Source) -> BinaryIO:
    """The content from its beginning; several may be open at once."""
    return source.open("rb") if isinstance(source, Path) else io.BytesIO(source)


def sendable(name: str, alias: str) -> str:
    """The name, for libraries that make another address of one with `.` or `..` in it.

    Raises: NotSupported; whatever lies under such a name is out of reach, and never taken for another.
    """
    if {".", ".."} & set(name.split("/")):
        raise errors.NotSupported(
            "a name with '.' or '..' as a part cannot be asked for here", store=alias, key=name
        )
    return name


class Versioning(Enum):
    """Whether a bucket keeps versions itself; values are shown to people."""

    ENABLED = "enabled"
    SUSPENDED = "suspended"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Object:
    """An object as a listing gives it. `token` is its ETag without quotes."""

    name: str
    size: int
    modified_ns: int
    token: Token


@dataclass(frozen=True, slots=True)
class ObjectPage:
    """One page of a listing; `prefixes` end with the delimiter."""

    objects: tuple[Object, ...]
    prefixes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stat:
    """An object, or one version of it, with what the store keeps about it. `version` where it has one.

    `headers`: those of `HEADERS` that were given to it, named so.
    """

    name: str
    size: int
    modified_ns: int
    token: Token
    version: VersionId | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ListedVersion:
    """A version as the store lists it; `token` is None for a delete marker."""

    name: str
    version: VersionId
    modified_ns: int
    size: int
    token: Token | None
    is_latest: bool


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload in parts that was begun and neither finished nor taken back; its parts are paid for."""

    name: str
    id: str
    since_ns: int


@runtime_checkable
class Expiring(Protocol):
    """A bucket whose provider can be asked what it removes by itself."""

    def expiring(self) -> tuple[str, ...]:
        """The rules by which objects or versions are removed, in words. Raises: Denied, Unavailable."""
        ...


@runtime_checkable
class Unfinishing(Protocol):
    """A bucket that keeps the parts of unfinished uploads for ever."""

    def unfinished(self) -> Iterator[Unfinished]:
        """Unfinished uploads below the prefix, whoever began them. Raises: Denied, Unavailable."""
        ...

    def abort(self, upload: Unfinished) -> None:
        """Take back the parts of one. Raises: Denied, Unavailable."""
        ...


@runtime_checkable
class Segmented(Protocol):
    """A bucket that keeps large content in other objects, which versions of equal content share."""

    def in_segments(self, size: int) -> bool:
        """Whether content of a size may lie so."""
        ...


class Bucket(Protocol):
    """One bucket and prefix."""

    spec: StoreSpec
    prefix_bytes: int
    """How much of every key the prefix takes."""
    version_bytes: int
    """How much longer than its key the name is under which the provider itself keeps a version."""
    whole_bytes: int
    """Content up to this size goes in one request, larger in parts."""
    atomic: bool
    """Whether of several who create one name at once only one is told yes, where conditions hold at all."""

    def birth(self) -> str:
        """Something about the bucket that every host sees alike and that never changes.

        Empty where `atomic`: hosts then agree by creating. Raises: as `versioning`.
        """
        ...

    def versioning(self) -> Versioning:
        """Whether the bucket keeps versions.

        Raises: NotFound (no such bucket), Denied (also where only this question is), Unavailable.
        """
        ...

    def keeps(self, version: VersionId | None) -> bool:
        """Whether the content of this version stays when its name is written or deleted, whatever the setting is then.

        False where versioning has to be asked for before. None: an object without a version.
        """
        ...

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        """Objects whose names begin so, in order of their names, page by page.

        `by_folder`: what lies deeper is one prefix each. `limit`: one page of so many at most.
        Raises: Displaced (the bucket was deleted), Denied, Throttled, Unavailable.
        """
        ...

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        """An object's head, or one version. Raises: NotFound, Denied, Throttled, Unavailable."""
        ...

    def read(
        self,
        name: str,
        start: int,
        end: int,
        *,
        token: Token | None = None,
        version: VersionId | None = None,
        size: int | None = None,
        said: Said | None = None,
    ) -> Iterator[bytes]:
        """Bytes [start, end), never fewer; of the content that `token` names, where one is given.

        `size`: how large the whole must be. `said`: told what the answer says of the whole, before the first byte.

        Raises: Changed (other content than `token`, or not of that size), NotFound, Denied, Archived,
        Throttled, Unavailable.
        """
        ...

    def get(self, name: str) -> bytes:
        """A small object, whole. Raises: as `read`."""
        ...

    def put(
        self,
        name: str,
        source: Source,
        *,
        metadata: Mapping[str, str],
        content_type: str,
        headers: Mapping[str, str] | None = None,
        md5: str | None = None,
        absent: bool = False,
        in_parts: bool = False,
    ) -> None:
        """Make an object. `md5` (hex) is sent where the provider checks it; `headers` as in `Stat`.

        `in_parts`: even where one request would do. `absent`: only if there is none.
        Raises: AlreadyExists, Displaced, Denied, Throttled, Unavailable (may or may not have happened).
        """
        ...

    def copy(
        self,
        name: str,
        target: str,
        *,
        source: Stat,
        metadata: Mapping[str, str],
        content_type: str,
        headers: Mapping[str, str] | None = None,
        absent: bool = False,
    ) -> None:
        """Copy inside the store the content that `source` describes. Raises: as `put`, NotFound, Changed."""
        ...

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        """Versions and delete markers, by name, newest first within a name, page by page."""
        ...

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """Delete an object (where versions are kept: put a delete marker on it) or one version.

        Gives the marker's id. One that is not there is no error. Raises: Denied, Throttled, Unavailable.
        """
        ...

    def enable_versioning(self) -> None:
        """From now on keep versions. Raises: Denied, NotSupported, Unavailable."""
        ...

    def close(self) -> None:
        """Drop connections."""
        ...
