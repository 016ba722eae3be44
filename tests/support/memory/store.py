"""The `memory` kind: a bucket on a shelf, every request of which is a step that somebody decides about.

Real servers are what promises are shown on; this is for models and simulations, which need each
request to be a moment of its own. Listings come in small pages, each a request, so that what happens
in between is seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.memory.errors import Refused, translated
from tests.support.memory.shelf import Shelf, Stored
from vstorefs.model import StoreId, StoreSpec, Token, VersionId
from vstorefs.stores.addresses import bucket_and_prefix
from vstorefs.stores.bucket import ListedVersion, Object, ObjectPage, Said, Source, Stat, Versioning

_BLOCK = 1 << 20
_SPEC = StoreSpec(StoreId("memory"), "memory", "memory://memory")

Step = Callable[[str, Callable[[], Any]], Any]
"""Called with what a request does and the request itself; may leave it out, put it off, or raise."""


def at_once(_label: str, request: Callable[[], Any]) -> Any:
    """As a store does that never fails."""
    return request()


class MemoryBucket:
    """One host's way to a shelf."""

    whole_bytes = 1 << 30
    atomic = True
    version_bytes = 0

    def __init__(self, shelf: Shelf, step: Step = at_once, spec: StoreSpec = _SPEC) -> None:
        self.spec = spec
        self.shelf = shelf
        self.step = step
        _, self._prefix = bucket_and_prefix(spec.url)
        self.prefix_bytes = len(self._prefix.encode())

    def _ask(self, what: str, name: str, act: Callable[[], Any], *, absent: bool = False) -> Any:
        """One request. Its error is translated in it: it may happen when nobody waits for it any more."""

        def request() -> Any:
            with translated(self.spec.alias, name, what, absent=absent):
                return act()

        return self.step(f"{what} {name}", request)

    def birth(self) -> str:
        """See `bucket.Bucket`."""
        return ""

    def versioning(self) -> Versioning:
        """See `bucket.Bucket`."""
        found: Versioning = self._ask("check", "", lambda: self.shelf.versioning)
        return found

    def keeps(self, version: VersionId | None) -> bool:
        """See `bucket.Bucket`. What happens to any version is up to the setting."""
        del version
        return False

    # --- looking

    def list(
        self, prefix: str, *, by_folder: bool = False, limit: int | None = None
    ) -> Iterator[ObjectPage]:
        """See `bucket.Bucket`."""
        after = ""
        while True:
            page, after = self._ask(
                "list",
                prefix,
                lambda: self.shelf.listed(
                    self._prefix + prefix,
                    after,  # noqa: B023 — asked before it changes
                    by_folder=by_folder,
                    limit=limit,
                ),
            )
            yield ObjectPage(
                tuple(
                    Object(self._relative(one.name), one.size, one.modified_ns, one.token)
                    for one in page.objects
                ),
                tuple(self._relative(one) for one in page.prefixes),
            )
            if not after or limit is not None:
                return

    def stat(self, name: str, version: VersionId | None = None) -> Stat:
        """See `bucket.Bucket`."""
        one = self._ask("stat", name, lambda: self._find(name, version))
        keeps = self.shelf.versioning is not Versioning.OFF
        number = one.version if keeps else None
        return Stat(name, len(one.data), one.modified_ns, one.token, number, one.metadata)

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
        """See `bucket.Bucket`."""
        if start >= end:
            return

        def act() -> Stored:
            one = self._find(name, version)
            if (token is not None and one.token != token) or size not in {None, len(one.data)}:
                raise Refused(412, "other content")
            if end > len(one.data):
                raise Refused(416, "there is no such range")
            return one

        one: Stored = self._ask("read", name, act)
        data = one.data[start:end]
        if said is not None:
            said((), one.metadata)
        for at in range(0, len(data), _BLOCK):
            yield data[at : at + _BLOCK]

    def get(self, name: str) -> bytes:
        """See `bucket.Bucket`."""
        return bytes(self._ask("get", name, lambda: self._find(name).data))

    def versions(
        self, prefix: str, *, by_folder: bool = False
    ) -> Iterator[tuple[ListedVersion, ...]]:
        """See `bucket.Bucket`."""
        after = ""
        while True:
            page, after = self._ask(
                "versions",
                prefix,
                lambda: self.shelf.listed_versions(
                    self._prefix + prefix,
                    after,  # noqa: B023 — as above
                    by_folder=by_folder,
                ),
            )
            yield tuple(replace(one, name=self._relative(one.name)) for one in page)
            if not after:
                return

    # --- changing

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
        """See `bucket.Bucket`. One request, in parts too."""
        del content_type, in_parts, headers
        data = source.read_bytes() if isinstance(source, Path) else source

        def act() -> None:
            if md5 is not None and hashlib.md5(data).hexdigest() != md5:
                raise Refused(422, "the content does not have this MD5")
            self.shelf.write(self._prefix + name, data, metadata, absent=absent)

        self._ask("put", name, act, absent=absent)

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
        """See `bucket.Bucket`."""
        del content_type, headers

        def act() -> None:
            one = self._find(name, source.version)
            with translated(self.spec.alias, name, "copy"):
                if one.token != source.token:
                    raise Refused(412, "other content")
            self.shelf.write(self._prefix + target, one.data, metadata, absent=absent)

        self._ask("copy", target, act, absent=absent)

    def delete(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """See `bucket.Bucket`."""
        found: VersionId | None = self._ask(
            "delete", name, lambda: self.shelf.remove(self._prefix + name, version)
        )
        return found

    def enable_versioning(self) -> None:
        """See `bucket.Bucket`."""

        def act() -> None:
            self.shelf.versioning = Versioning.ENABLED

        self._ask("enable versioning", "", act)

    def close(self) -> None:
        """See `bucket.Bucket`."""

    def _find(self, name: str, version: VersionId | None = None) -> Stored:
        return self.shelf.find(self._prefix + name, version)

    def _relative(self, name: str) -> str:
        return name[len(self._prefix) :]
