"""Records in one bucket: found, read, published, and moved out of the way once superseded."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from vstorefs import errors
from vstorefs.model import Key
from vstorefs.stores.bucket import Bucket
from vstorefs.versions import metadata, records
from vstorefs.versions.order import reckon
from vstorefs.versions.records import Area, Body, Names, Summary

log = logging.getLogger(__name__)

_BODIES = 4096
_AT_ONCE = 8


@dataclass(slots=True)
class Folder:
    """The records of what lies directly in a directory, by name, and the directories that have records below."""

    names: dict[str, list[Summary]] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)


class RecordStore:
    """The records of one store; safe from many threads."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.names = Names(bucket.prefix_bytes)
        self.alias = bucket.spec.alias
        self._bodies: OrderedDict[str, Body] = OrderedDict()
        self._lock = threading.Lock()
        self._may_move = True
        self._untidy: set[Key] = set()
        self._told: set[str] = set()

    # --- finding

    def in_directory(self, area: Area, directory: Key) -> Folder:
        """All records of one directory: one LIST, whatever their number below a page. Raises: a StoreError."""
        found = Folder()
        prefix = self.names.folder(area, directory)
        for page in self.bucket.list(prefix, by_folder=True):
            for one in page.objects:
                parsed = self.names.parse(one.name)
                if parsed is None:
                    self._tell(
                        one.name,
                        "is no record of a format that this vstorefs knows; it is left alone",
                    )
                    continue
                name = (
                    parsed.name if parsed.name is not None else self._told_name(one.name, directory)
                )
                if name is not None:
                    found.names.setdefault(name, []).append(parsed.summary)
            for folder in page.prefixes:
                name = self.names.directory_of(folder)
                if name:
                    found.folders.add(name)
        return found

    def of_path(self, area: Area, path: Key) -> list[Summary]:
        """All records of one path. Raises: a StoreError."""
        prefix = self.names.prefix(area, path)
        length = len(prefix) + records.SUMMARY_CHARS
        found = []
        for page in self.bucket.list(prefix):
            for one in page.objects:
                parsed = self.names.parse(one.name) if len(one.name) == length else None
                if parsed is not None:
                    found.append(parsed.summary)
        return found

    def all_of_path(self, path: Key) -> list[Summary]:
        """Records in force, then superseded ones: in this order, what moves meanwhile is seen.

        Raises: a StoreError.
        """
        areas = (Area.HEADS, Area.HISTORY)
        found = {one.encode(): one for area in areas for one in self.of_path(area, path)}
        return list(found.values())

    def below(self, area: Area, directory: Key) -> dict[Key, list[Summary]]:
        """Records of everything below a directory, by path. Raises: a StoreError."""
        found: dict[Key, list[Summary]] = {}
        for page in self.bucket.list(self.names.folder(area, directory)):
            for one in page.objects:
                parsed = self.names.parse(one.name)
                if parsed is None:
                    continue
                path = self.names.path_of(one.name)
                if path is None:
                    body = self.read(one.name)
                    path = Key(body.path) if body is not None else None
                if path is not None:
                    found.setdefault(path, []).append(parsed.summary)
        return found

    def all_below(
        self, directory: Key, areas: Sequence[Area] = (Area.HEADS, Area.HISTORY)
    ) -> dict[Key, list[Summary]]:
        """Records of everything below a directory, in force and superseded, by path. Raises: a StoreError.

        In this order, what moves meanwhile is seen. Records of long paths lie together at the top.
        """
        found: dict[Key, dict[str, Summary]] = {}
        for area in areas:
            prefixes = [self.names.folder(area, directory)]
            if directory:
                prefixes.append(f"{area.value}~")
            for name in (
                one.name
                for prefix in prefixes
                for page in self.bucket.list(prefix)
                for one in page.objects
            ):
                parsed = self.names.parse(name)
                path = self._path_of(name) if parsed is not None else None
                if parsed is not None and path is not None and is_below(path, directory):
                    found.setdefault(path, {})[parsed.summary.encode()] = parsed.summary
        return {path: list(summaries.values()) for path, summaries in found.items()}

    def _path_of(self, name: str) -> Key | None:
        """The path that a record is of, from its body where its name does not tell."""
        path = self.names.path_of(name)
        if path is not None:
            return path
        try:
            body = self.read(name)
        except errors.NotFound:
            return None
        return Key(body.path) if body is not None else None

    # --- bodies

    def body(self, path: Key, summary: Summary) -> Body:
        """What a record says beside its name.

        Raises: NotFound where it is gone, Corrupt where it is damaged or another path's; a StoreError.
        """
        for area in (Area.HEADS, Area.HISTORY, Area.HEADS, Area.PURGED):
            key = self.names.key(area, path, summary)
            try:
                body = self.read(key)
            except errors.NotFound:
                continue
            if body is None or body.path != path:
                why = "is damaged" if body is None else f"is that of {body.path}"
                raise errors.Corrupt(
                    f"its record {key} {why}; the version cannot be used",
                    store=self.alias,
                    key=path,
                    operation="read",
                )
            return body
        raise errors.NotFound(
            "its record is gone from the store", store=self.alias, key=path, operation="read"
        )

    def body_or_none(self, path: Key, summary: Summary | None) -> Body | None:
        """The same; None where there is none, or it cannot be used, which is logged. Raises: a StoreError."""
        if summary is None:
            return None
        try:
            return self.body(path, summary)
        except (errors.Corrupt, errors.NotFound) as error:
            log.warning("%s", error)
            return None

    def notes(self, path: Key) -> list[tuple[Summary, Body]]:
        """What purges have left of a path's versions. Raises: a StoreError."""
        summaries = self.of_path(Area.PURGED, path)
        if not summaries:
            return []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            bodies = pool.map(lambda one: self.note(path, one), summaries)
            return [
                (one, body) for one, body in zip(summaries, bodies, strict=True) if body is not None
            ]

    def note(self, path: Key, summary: Summary) -> Body | None:
        """What a purge has left of a version; None where it is damaged. Raises: a StoreError."""
        body = self.read(self.names.key(Area.PURGED, path, summary))
        return body if body is not None and body.path == path and body.purged is not None else None

    def read(self, key: str) -> Body | None:
        """The body under a record's key; None where it is damaged. Raises: NotFound; a StoreError."""
        identity = key if key.startswith(Area.PURGED.value) else key.rpartition("/")[2]
        with self._lock:
            known = self._bodies.get(identity)
            if known is not None:
                self._bodies.move_to_end(identity)
                return known
        body = records.decode_body(self.bucket.get(key))
        if body is not None:
            with self._lock:
                self._bodies[identity] = body
                while len(self._bodies) > _BODIES:
                    self._bodies.popitem(last=False)
        return body

    def forget(self, key: str) -> None:
        """A record was removed with what it said."""
        with self._lock:
            self._bodies.pop(key.rpartition("/")[2], None)

    def _told_name(self, key: str, directory: Key) -> str | None:
        """The name that only a record's body tells."""
        try:
            body = self.read(key)
        except errors.NotFound:
            return None
        if body is None:
            self._tell(key, "is damaged; what it is about is not shown")
            return None
        parent, _, name = body.path.rpartition("/")
        return name if parent == directory else None

    def _tell(self, key: str, what: str) -> None:
        if key not in self._told:
            self._told.add(key)
            log.warning("%s: %s %s", self.alias, key, what)

    # --- changing

    def publish(self, area: Area, path: Key, summary: Summary, body: Body) -> None:
        """Make a version real: one request, the same at every try. Raises: a StoreError."""
        self.bucket.put(
            self.names.key(area, path, summary),
            records.encode_body(body),
            metadata={},
            content_type=metadata.JSON,
        )

    def publish_head(self, path: Key, summary: Summary, body: Body) -> None:
        """Publish a record that is in force. Raises: a StoreError."""
        self.publish(Area.HEADS, path, summary, body)
        if summary.sequence > 1:
            self._untidy.add(path)

    def tidy(self, path: Key) -> None:
        """Move a path's superseded records to `history/`, if this has published one on top of others.

        Where that is not allowed, nothing is tried again. Raises: a StoreError.
        """
        if path not in self._untidy:
            return
        self._untidy.discard(path)
        if not self._may_move:
            return
        try:
            for summary in reckon(self.of_path(Area.HEADS, path), None).superseded:
                self.move(path, summary)
        except errors.Denied:
            self._may_move = False
            log.info(
                "%s: superseded records stay where they are, as these credentials may not remove them; "
                "listings grow with history",
                self.alias,
            )

    def move(self, path: Key, summary: Summary) -> bool:
        """Move one record to `history/`: copied, read back, and only then removed. Raises: a StoreError."""
        source = self.names.key(Area.HEADS, path, summary)
        target = self.names.key(Area.HISTORY, path, summary)
        try:
            data = self.bucket.get(source)
        except errors.NotFound:
            return False
        try:
            present = self.bucket.get(target)
        except errors.NotFound:
            self.bucket.put(target, data, metadata={}, content_type=metadata.JSON)
            present = self.bucket.get(target)
        if present != data:
            self._tell(source, "differs from its copy in history/; both are kept")
            return False
        self.bucket.delete(source)
        return True


def is_below(path: Key, directory: Key) -> bool:
    """Whether a path is anywhere below a directory; the root is above all."""
    return not directory or path.startswith(f"{directory}/")


def base_id(token: str | None) -> str | None:
    """The id of the version that a token of either layout's records or plain keys names."""
    if token is None:
        return None
    summary = records.decode_summary(token)
    return summary.id if summary is not None else token.partition("/")[0]
