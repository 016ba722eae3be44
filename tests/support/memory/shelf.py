"""A bucket in memory as its server keeps it: heads, superseded versions, delete markers, a clock of its own.

Times are whole seconds, as most providers give them. Safe from many threads: each method is one
request, which happens whole or not at all.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.support.memory.errors import Refused
from vstorefs.model import Token, VersionId
from vstorefs.stores.bucket import ListedVersion, Object, ObjectPage, Versioning

_SECOND = 1_000_000_000
_LONGEST_NAME = 1024
_UNNUMBERED = VersionId("null")


@dataclass(frozen=True)
class Stored:
    """One content under a name, or a delete marker. Contents that came with no version are all "null", as in S3."""

    data: bytes
    modified_ns: int
    metadata: Mapping[str, str]
    version: VersionId = _UNNUMBERED
    is_marker: bool = False

    @property
    def token(self) -> Token:
        return Token(hashlib.md5(self.data).hexdigest())


@dataclass
class Shelf:
    """What all hosts share. `clock` is the store's own.

    `conditions`: whether "only if absent" is looked at; some servers accept it and ignore it. `page`:
    how many names one answer holds at most. `taken_away`: names whose content was lost to a write or a
    removal; records of heads are made to be moved, and do not count.
    """

    versioning: Versioning = Versioning.OFF
    conditions: bool = True
    page: int = 3
    clock: int = 1_790_000_000 * _SECOND
    objects: dict[str, Stored] = field(default_factory=dict)
    older: dict[str, list[Stored]] = field(default_factory=dict)
    taken_away: list[str] = field(default_factory=list)
    _number: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def find(self, name: str, version: VersionId | None = None) -> Stored:
        """The head, or one version."""
        with self._lock:
            known = self.objects.get(name)
            if version is not None:
                all_of_it = (*self.older.get(name, ()), *([known] if known is not None else ()))
                known = next((one for one in all_of_it if one.version == version), None)
            if known is None or known.is_marker:
                raise Refused(404, "no such object")
            return known

    def write(
        self, name: str, data: bytes, metadata: Mapping[str, str], *, absent: bool = False
    ) -> None:
        """Make a head; what was there is kept where versions are."""
        with self._lock:
            self.clock += _SECOND
            if len(name.encode()) > _LONGEST_NAME:
                raise Refused(400, "the name is too long")
            present = self.objects.get(name)
            if present is not None and absent and self.conditions:
                raise Refused(412, "there is such an object")
            if present is not None and not self._keep(name, present) and present.data != data:
                self._note(name)
            self.objects[name] = Stored(data, self.clock, dict(metadata), self._next())

    def remove(self, name: str, version: VersionId | None = None) -> VersionId | None:
        """Remove an object, or where versions are kept put a marker on it; or remove one version."""
        with self._lock:
            if version is not None:
                return self._remove_version(name, version)
            present = self.objects.pop(name, None)
            if present is not None and not self._keep(name, present):
                self._note(name)
            if self.versioning is not Versioning.ENABLED:
                return None
            self.clock += _SECOND
            marker = Stored(b"", self.clock, {}, self._next(), is_marker=True)
            self.older.setdefault(name, []).append(marker)
            return marker.version

    def _remove_version(self, name: str, version: VersionId) -> VersionId | None:
        left = [one for one in self.older.get(name, ()) if one.version != version]
        head = self.objects.get(name)
        if head is not None and head.version == version:
            del self.objects[name]
        # What stood below is the newest again.
        if name not in self.objects and left and not left[-1].is_marker:
            self.objects[name] = left.pop()
        self.older[name] = left
        return version

    def _keep(self, name: str, present: Stored) -> bool:
        """Keep what is superseded, where versions are kept."""
        if self.versioning is not Versioning.ENABLED:
            return False
        self.older.setdefault(name, []).append(present)
        return True

    def _next(self) -> VersionId:
        if self.versioning is not Versioning.ENABLED:
            return _UNNUMBERED
        self._number += 1
        return VersionId(f"v{self._number:08d}")

    def _note(self, name: str) -> None:
        if ".vstorefs/heads/" not in name:
            self.taken_away.append(name)

    # --- listing

    def listed(
        self, prefix: str, after: str, *, by_folder: bool, limit: int | None = None
    ) -> tuple[ObjectPage, str]:
        """One page of what comes behind a name, and the name behind which the next begins; empty at the end."""
        with self._lock:
            room = min(self.page, limit or self.page)
            objects: list[Object] = []
            prefixes: list[str] = []
            for name in sorted(self.objects):
                if not name.startswith(prefix) or name <= after:
                    continue
                if prefixes and name.startswith(prefixes[-1]):
                    after = name
                    continue
                if len(objects) + len(prefixes) == room:
                    return ObjectPage(tuple(objects), tuple(prefixes)), after
                rest = name[len(prefix) :]
                if by_folder and "/" in rest:
                    prefixes.append(prefix + rest.partition("/")[0] + "/")
                else:
                    one = self.objects[name]
                    objects.append(Object(name, len(one.data), one.modified_ns, one.token))
                after = name
            return ObjectPage(tuple(objects), tuple(prefixes)), ""

    def listed_versions(
        self, prefix: str, after: str, *, by_folder: bool
    ) -> tuple[tuple[ListedVersion, ...], str]:
        """As `listed`; the versions of one name all come in one page, the newest first."""
        with self._lock:
            found: list[ListedVersion] = []
            for name in sorted({*self.objects, *self.older}):
                if not name.startswith(prefix) or name <= after:
                    continue
                if by_folder and "/" in name[len(prefix) :]:
                    continue
                if len(found) >= self.page:
                    return tuple(found), after
                found += self._versions_of(name)
                after = name
            return tuple(found), ""

    def _versions_of(self, name: str) -> list[ListedVersion]:
        head = self.objects.get(name)
        kept = [*self.older.get(name, ()), *([head] if head is not None else ())]
        return [
            ListedVersion(
                name,
                one.version,
                one.modified_ns,
                len(one.data),
                None if one.is_marker else one.token,
                one is kept[-1],
            )
            for one in reversed(kept)
        ]
