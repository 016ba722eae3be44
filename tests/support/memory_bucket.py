"""A bucket in memory whose every request is a step that a test decides about.

For the model of the protocol only: real servers are what everything else runs against. Listings come
in small pages, each a request of its own, so that what happens in between is seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vstorefs import errors
from vstorefs.model import StoreId, StoreSpec, Token, VersionId
from vstorefs.stores.bucket import ListedVersion, Object, ObjectPage, Source, Stat, Versioning

_SECOND = 1_000_000_000
_PAGE = 3


@dataclass
class Stored:
    data: bytes
    modified_ns: int
    metadata: dict[str, str]

    @property
    def token(self) -> Token:
        return Token(hashlib.md5(self.data).hexdigest())


@dataclass
class Shelf:
    """What all hosts share. `clock` is the store's own."""

    objects: dict[str, Stored] = field(default_factory=dict)
    clock: int = 1_790_000_000 * _SECOND
    atomic: bool = True
    taken_away: list[str] = field(default_factory=list)

    def write(self, name: str, data: bytes, metadata: Mapping[str, str], *, absent: bool) -> None:
        self.clock += _SECOND
        present = self.objects.get(name)
        if present is not None and absent and self.atomic:
            raise errors.AlreadyExists("there is such an object", key=name)
        if present is not None and not name.startswith(".vstorefs/heads/") and present.data != data:
            self.taken_away.append(name)
        self.objects[name] = Stored(data, self.clock, dict(metadata))

    def remove(self, name: str) -> None:
        if self.objects.pop(name, None) is not None and not name.startswith(".vstorefs/heads/"):
            self.taken_away.append(name)


#: Called with what a request does and the request itself; may leave it out, put it off, or raise.
Step = Callable[[str, Callable[[], Any]], Any]


def at_once(_label: str, request: Callable[[], Any]) -> Any:
    return request()


class MemoryBucket:
    """One host's way to the shelf."""

    prefix_bytes = 0
    whole_bytes = 1 << 30
    atomic = True

    def __init__(self, shelf: Shelf, step: Step = at_once) -> None:
        self.spec = StoreSpec(StoreId("memory"), "memory", "s3://memory")
        self.shelf = shelf
        self.step = step

    def birth(self) -> str:
        return ""

    def versioning(self) -> Versioning:
        return Versioning.OFF

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        after = ""
        while True:
            page, after = self.step(f"list {prefix}", lambda: self._page(prefix, by_folder, after))  # noqa: B023
            yield page
            if not after or limit is not None:
                return

    def _page(self, prefix: str, by_folder: bool, after: str) -> tuple[ObjectPage, str]:
        objects: list[Object] = []
        prefixes: list[str] = []
        for name in sorted(self.shelf.objects):
            if not name.startswith(prefix) or name <= after:
                continue
            if prefixes and name.startswith(prefixes[-1]):
                after = name
                continue
            if len(objects) + len(prefixes) == _PAGE:
                return ObjectPage(tuple(objects), tuple(prefixes)), after
            rest = name[len(prefix) :]
            if by_folder and "/" in rest:
                prefixes.append(prefix + rest.partition("/")[0] + "/")
            else:
                one = self.shelf.objects[name]
                objects.append(Object(name, len(one.data), one.modified_ns, one.token))
            after = name
        return ObjectPage(tuple(objects), tuple(prefixes)), ""

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        def request() -> Stat:
            one = self._get(name)
            return Stat(name, len(one.data), one.modified_ns, one.token, None, one.metadata)

        return self.step(f"stat {name}", request)

    def _get(self, name: str) -> Stored:
        if name not in self.shelf.objects:
            raise errors.NotFound("no such object", key=name)
        return self.shelf.objects[name]

    def read(
        self,
        name: str,
        start: int,
        end: int,
        *,
        token: Token | None = None,
        version: VersionId | None = None,
        size: int | None = None,
    ) -> Iterator[bytes]:
        one = self.step(f"read {name}", lambda: self._get(name))
        assert isinstance(one, Stored)
        if (token is not None and one.token != token) or size not in {None, len(one.data)}:
            raise errors.Changed("other content", key=name)
        yield one.data[start:end]

    def get(self, name: str) -> bytes:
        return self.step(f"get {name}", lambda: self._get(name).data)

    def put(
        self,
        name: str,
        source: Source,
        *,
        metadata: Mapping[str, str],
        content_type: str,
        md5: str | None = None,
        absent: bool = False,
        in_parts: bool = False,
    ) -> None:
        data = source.read_bytes() if isinstance(source, Path) else source
        self.step(f"put {name}", lambda: self.shelf.write(name, data, metadata, absent=absent))

    def copy(
        self,
        name: str,
        target: str,
        *,
        source: Stat,
        metadata: Mapping[str, str],
        content_type: str,
        absent: bool = False,
    ) -> None:
        def request() -> None:
            one = self._get(name)
            if one.token != source.token:
                raise errors.Changed("other content", key=name)
            self.shelf.write(target, one.data, metadata, absent=absent)

        self.step(f"copy {target}", request)

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        raise errors.NotSupported("no versions")

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        self.step(f"delete {name}", lambda: self.shelf.remove(name))
        return None

    def enable_versioning(self) -> None:
        raise errors.NotSupported("no versions")

    def close(self) -> None:
        pass
