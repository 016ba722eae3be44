"""Removes the bytes of versions in a bucket for good, in an order that leaves no version without a trace.

1. A note is written below `.vstorefs/purged/`: all that is known of the version, its hashes, who purges
   it and when. From then on its purge has begun.
2. Its bytes are removed: the content that no other version needs, or the store's own version.
3. Its record is removed, which may hold the bytes of a small content. Now it is purged.

Stopped anywhere, the next purge sees a note and what should be gone, and goes on. What the store does
not allow to be removed gets its note taken back. A head is never purged: the plain key of a version
that is not the head can go without any reader taking that for a deletion (see `order.reckon`).
"""

from __future__ import annotations

import contextlib
import functools
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from vstorefs import errors
from vstorefs.model import (
    Hashes,
    Key,
    Mark,
    Purger,
    RunId,
    Token,
    Version,
    VersionId,
    VersionKind,
    WriteId,
)
from vstorefs.stores.base import Condemned, Erased
from vstorefs.stores.bucket import Bucket, Segmented, Versioning
from vstorefs.stores.retry import ask_again
from vstorefs.versions import records
from vstorefs.versions.layouts.plainkeys import versions_of
from vstorefs.versions.layouts.recorded import HOST
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.records import Area, Body, Flag, PurgeNote, RecordKind, Summary

T = TypeVar("T")

_AT_ONCE = 8
_BOUND_S = 20.0
_MARKS = {mark.name.lower(): mark for mark in Mark}
_OF_HISTORY = {Mark.RACE, Mark.DELETED_WHILE_WRITTEN, Mark.PURGING}


@dataclass(frozen=True, slots=True)
class Object:
    """An object with bytes of a version: one version of it where `version` is given.

    `token`: only what has this content, of a name that others may have written to since.
    """

    name: str
    version: VersionId | None = None
    token: Token | None = None


@dataclass(frozen=True, slots=True)
class Doomed:
    """A version that is purged: its note, and where its bytes are.

    `content` is the id of a content that other versions may share; `objects` are its own.
    """

    condemned: Condemned
    summary: Summary
    body: Body
    content: str | None
    objects: tuple[Object, ...]


Describe = Callable[[Condemned, Purger], Doomed]
"""Where a layout keeps a version that lies under its plain key. Raises: a StoreError."""


class Purge:
    """One purge of some versions of one store."""

    def __init__(
        self, bucket: Bucket, record_store: RecordStore, purger: Purger, describe_plain: Describe
    ) -> None:
        self._bucket = bucket
        self._records = record_store
        self._purger = purger
        self._describe_plain = describe_plain
        self._alias = bucket.spec.alias
        self._keeps = False

    def run(self, condemned: Sequence[Condemned]) -> tuple[Erased, ...]:
        """Purge all that can be; in the order given. Raises: a StoreError, before anything is removed."""
        with contextlib.suppress(errors.Denied):
            self._keeps = self._bucket.versioning() is not Versioning.OFF
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            noted = list(pool.map(self._note, condemned))
            doomed = [one for one in noted if isinstance(one, Doomed)]
            needed = self._needed(doomed)
            return tuple(pool.map(lambda one: self._erased(one, needed), noted))

    def _note(self, one: Condemned) -> Doomed | Erased:
        """Write down what is known of a version, unless an earlier purge has."""
        try:
            self._see_that_it_can_go(one.version)
            doomed = _again(lambda: self._describe(one))
            if Mark.PURGING not in one.version.marks:
                key = one.version.key
                _again(lambda: self._records.publish(Area.PURGED, key, doomed.summary, doomed.body))
        except errors.StoreError as error:
            return Erased(one.version, error)
        return doomed

    def _describe(self, one: Condemned) -> Doomed:
        """Where the bytes of a version are, and its note."""
        summary = records.decode_summary(one.version.token)
        if summary is None:
            return self._describe_plain(one, self._purger)
        return _doomed_record(one, summary, self._records, self._purger)

    def _see_that_it_can_go(self, version: Version) -> None:
        if isinstance(self._bucket, Segmented) and self._bucket.in_segments(version.size):
            raise errors.NotSupported(
                "content of this size lies in segments here, which other versions may share; it cannot be purged",
                store=self._alias,
                key=version.key,
                operation="purge",
            )

    def _needed(self, doomed: Iterable[Doomed]) -> dict[str, str]:
        """Which of these versions' contents others need, and who they are.

        Raises: Corrupt where a damaged record does not tell what it needs; a StoreError.
        """
        wanted = {one.content for one in doomed if one.content is not None}
        going = {one.summary.id for one in doomed}
        found: dict[str, str] = {}
        for area in (Area.HEADS, Area.HISTORY) if wanted else ():
            for page in self._bucket.list(area.value):
                for one in page.objects:
                    parsed = self._records.names.parse(one.name)
                    if parsed is None or parsed.summary.id in going:
                        continue
                    content = self._content_of(one.name, parsed.summary)
                    if content in wanted:
                        path = self._records.names.path_of(one.name) or one.name
                        found[content] = f"version {parsed.summary.id} of {path}"
        return found

    def _content_of(self, name: str, summary: Summary) -> str | None:
        if summary.kind is not RecordKind.CONTENT or Flag.INLINE in summary.flags:
            return None
        if Flag.SHARED not in summary.flags:
            return summary.id
        try:
            body = self._records.read(name)
        except errors.NotFound:
            # Moved to `history/` meanwhile, and seen there; or purged.
            return None
        if body is None or body.content is None:
            raise errors.Corrupt(
                f"the record {name} is damaged, so nobody can tell which content it needs; "
                "vstorefs verify --structure tells more",
                store=self._alias,
                operation="purge",
            )
        return body.content

    def _erased(self, one: Doomed | Erased, needed: dict[str, str]) -> Erased:
        if isinstance(one, Erased):
            return one
        version = one.condemned.version
        kept = needed.get(one.content, "") if one.content is not None else ""
        begun = False
        try:
            if one.content is not None and not kept:
                content = Object(records.CONTENT + one.content)
                _again(lambda: self._erase(content))
                begun = True
            for item in one.objects:
                _again(functools.partial(self._erase, item))
                self._records.forget(item.name)
                begun = True
        except errors.Denied as error:
            if not begun:
                self._take_back(one)
            return Erased(version, error)
        except errors.StoreError as error:
            return Erased(version, error)
        return Erased(version, kept=kept)

    def _take_back(self, one: Doomed) -> None:
        """What the store keeps is not purged, and its history must not say that it will be."""
        with contextlib.suppress(errors.StoreError):
            key = one.condemned.version.key
            self._bucket.delete(self._records.names.key(Area.PURGED, key, one.summary))

    def _erase(self, one: Object) -> None:
        if one.version is not None:
            self._bucket.delete(one.name, one.version)
            return
        if not self._keeps:
            self._bucket.delete(one.name)
            return
        # A bucket that keeps versions would only put a marker on it.
        items = versions_of(self._bucket, Key(one.name))
        for item in items:
            if one.token is None or item.token == one.token:
                self._bucket.delete(one.name, item.version)
        if one.token is not None and items and items[0].token == one.token and len(items) > 1:
            # What was below must not come back.
            self._bucket.delete(one.name)


def _again(call: Callable[[], T]) -> T:
    return ask_again(call, _BOUND_S)


def note_of(one: Condemned, purger: Purger) -> PurgeNote:
    """What a note says beside its name."""
    version, deletion = one.version, one.deletion
    return PurgeNote(
        purger.by,
        purger.time_ns,
        version.id,
        version.token,
        version.write_id,
        deletion.id if deletion is not None else None,
        deletion.time_ns if deletion is not None else 0,
    )


def note_body(store_id: str, version: Version, note: PurgeNote) -> Body:
    """The note of a version that has no record."""
    body = Body(
        store=store_id,
        path=version.key,
        base=version.base,
        marks=tuple(mark.name.lower() for mark in version.marks if mark not in _OF_HISTORY),
        host=HOST,
        run=version.run,
    )
    return _with_note(body, note, version.hashes)


def _with_note(body: Body, note: PurgeNote, hashes: Hashes | None) -> Body:
    """A record's body as its note has it: without the content, with all hashes that are known."""
    known = records.hashes_of(body) or hashes
    return msgspec.structs.replace(
        body,
        inline=None,
        link=None,
        md5=known.md5 if known is not None else None,
        sha1=known.sha1 if known is not None else None,
        sha256=known.sha256 if known is not None else None,
        purged=note,
    )


def purged_version(path: Key, summary: Summary, body: Body) -> Version:
    """What is left of a version, as its history shows it."""
    note = body.purged
    assert note is not None
    return Version(
        path,
        VersionId(note.version),
        VersionKind.CONTENT,
        summary.time_ns,
        size=summary.size,
        mtime_ns=summary.mtime_ns,
        mode=stat.S_IMODE(summary.mode),
        base=Token(body.base) if body.base is not None else None,
        write_id=WriteId(note.write) if note.write is not None else None,
        hashes=records.hashes_of(body),
        marks=(*(_MARKS[name] for name in body.marks if name in _MARKS), Mark.PURGED),
        run=RunId(body.run) if body.run is not None else None,
        purged=Purger(note.by, note.at),
    )


def _doomed_record(
    one: Condemned, summary: Summary, record_store: RecordStore, purger: Purger
) -> Doomed:
    """A version that a record tells of. Raises: a StoreError where the record cannot be read."""
    path = one.version.key
    body = record_store.body(path, summary)
    is_apart = Flag.INLINE not in summary.flags and stat.S_ISREG(summary.mode)
    return Doomed(
        one,
        summary,
        _with_note(body, note_of(one, purger), one.version.hashes),
        (body.content or summary.id) if is_apart else None,
        tuple(
            Object(record_store.names.key(area, path, summary))
            for area in (Area.HEADS, Area.HISTORY)
        ),
    )
