"""Whether a store's structure is whole: every record reads, its content is there, nothing is out of reach.

Contents are not read, only listed; that takes time in proportion to their number.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors
from vstorefs.clock import Clock, SystemClock
from vstorefs.model import HIDDEN_FOLDER, JournalEntry, Key
from vstorefs.stores.bucket import Bucket, Object
from vstorefs.stores.local import names
from vstorefs.stores.local.store import LocalStore
from vstorefs.versions import records
from vstorefs.versions.layouts.format import Layout, agreed_format
from vstorefs.versions.layouts.plainkeys import as_plain, can_be_path
from vstorefs.versions.order import purged_stamps, reckon
from vstorefs.versions.records import Area, Body, Flag, Found, Names, RecordKind, Summary

_UNFINISHED = "its purge was stopped; the next vstorefs purge of {} finishes it"
_DAY_NS = 24 * 3600 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be: where, what, and what follows."""

    where: str
    what: str


class BucketVerifier:
    """Goes through all that `.vstorefs/` holds in a bucket."""

    def __init__(self, bucket: Bucket, clock: Clock | None = None) -> None:
        self._bucket = bucket
        self._clock = clock or SystemClock()
        self._names = Names(bucket.prefix_bytes)
        self._contents: dict[str, Object] = {}
        self._used: set[str] = set()
        self._of_path: dict[Area, dict[Key, list[Summary]]] = {area: {} for area in Area}
        self._purging: dict[str, str] = {}
        self.records = 0

    def problems(self) -> Iterator[Problem]:
        """Everything that is wrong. Raises: a StoreError where the store does not let us look."""
        try:
            found = agreed_format(self._bucket)
        except (errors.Corrupt, errors.NotSupported) as error:
            yield Problem(records.FORMAT_KEY, error.message)
            return
        for page in self._bucket.list(records.CONTENT):
            self._contents.update((one.name[len(records.CONTENT) :], one) for one in page.objects)
        # Notes first: a record whose version has one may have lost its content.
        for area in (Area.PURGED, Area.HEADS, Area.HISTORY):
            for page in self._bucket.list(area.value):
                for one in page.objects:
                    yield from self._record(area, one, found.id if found is not None else None)
        if found is None and (self.records or self._contents):
            yield Problem(
                records.FORMAT_KEY, "is gone, and there are records; put it back from a copy"
            )
        yield from self._strays()
        native = found is not None and found.layout == Layout.NATIVE.value
        yield from self._heads(links_only=native)

    def _record(self, area: Area, one: Object, store: str | None) -> Iterator[Problem]:
        self.records += 1
        parsed = self._names.parse(one.name)
        if parsed is None:
            yield Problem(one.name, "is no record of a format that this vstorefs knows")
            return
        try:
            body = records.decode_body(self._bucket.get(one.name))
        except errors.NotFound:
            return  # moved to history/ meanwhile, and seen there
        if body is None:
            self._used.add(parsed.summary.id)
            yield Problem(
                one.name,
                "its body is damaged; its version is marked, and can be read if its content is apart",
            )
            body_path = self._names.path_of(one.name)
            if body_path is not None:
                self._of_path[area].setdefault(body_path, []).append(parsed.summary)
            return
        path = Key(body.path)
        if self._names.key(area, path, parsed.summary) != one.name:
            yield Problem(one.name, f"says that it is of {body.path}; it is not used")
            return
        if body.format > records.FORMAT:
            yield Problem(
                one.name, f"is of format {body.format}, which this vstorefs does not know"
            )
        if store is not None and body.store != store:
            yield Problem(
                one.name, f"belongs to another store, {body.store}; its version is marked"
            )
        self._of_path[area].setdefault(path, []).append(parsed.summary)
        if area is Area.PURGED:
            self._purging[parsed.summary.id] = path
        elif parsed.summary.id in self._purging:
            self._used.add(body.content or parsed.summary.id)
            yield Problem(one.name, _UNFINISHED.format(path))
        else:
            yield from self._content(one.name, parsed, body)

    def _content(self, where: str, parsed: Found, body: Body) -> Iterator[Problem]:
        """Whether a record's content is there, with its size."""
        summary = parsed.summary
        is_file = stat.S_ISREG(summary.mode) and summary.kind is RecordKind.CONTENT
        if not is_file:
            if (
                stat.S_ISLNK(summary.mode)
                and summary.kind is RecordKind.CONTENT
                and body.link is None
            ):
                yield Problem(where, "is a link that leads nowhere")
            return
        if Flag.INLINE in summary.flags:
            if body.inline is None or len(body.inline) != summary.size:
                yield Problem(where, "does not have the content that its name says")
            return
        name = body.content if Flag.SHARED in summary.flags and body.content else summary.id
        self._used.add(name)
        content = self._contents.get(name)
        if content is None:
            yield Problem(where, f"its content {records.CONTENT}{name} is gone")
        elif content.size != summary.size:
            yield Problem(where, f"its content has {content.size} bytes instead of {summary.size}")

    def _strays(self) -> Iterator[Problem]:
        now = self._clock.wall_ns()
        for name, one in self._contents.items():
            if name not in self._used and now - one.modified_ns > _DAY_NS:
                yield Problem(
                    one.name,
                    "no record names this content, and it is older than a day; a crashed host may hold its record",
                )

    def _heads(self, *, links_only: bool) -> Iterator[Problem]:
        """Whether what is in force is where readers look for it.

        `links_only`: in the native layout, records of contents are what a migration has put away.
        """
        plain = {
            Key(one.name): as_plain(Key(one.name), one)
            for page in self._bucket.list("")
            for one in page.objects
            if can_be_path(Key(one.name))
        }
        heads, history = self._of_path[Area.HEADS], self._of_path[Area.HISTORY]
        for path in sorted({*heads, *history}):
            present, moved = heads.get(path, []), history.get(path, [])
            if links_only:
                moved = [one for one in moved if stat.S_ISLNK(one.mode)]
            purged = purged_stamps(path, self._of_path[Area.PURGED].get(path, ()))
            seen = reckon(present, plain.get(path), purged)
            whole = reckon([*present, *moved], plain.get(path), purged)
            if (seen.head, seen.attributes, seen.directory) != (
                whole.head,
                whole.attributes,
                whole.directory,
            ):
                yield Problem(
                    path, "what is in force lies in history/, where listings do not look for it"
                )


def local_problems(store: LocalStore) -> Iterator[Problem]:
    """Everything that is wrong with a `file` store."""
    kept = store.root / HIDDEN_FOLDER / "versions"
    for path in kept.rglob("*"):
        if path.is_dir() or path.name == names.LOCK:
            continue
        if path.name.endswith((names.NEW, names.ABOUT, ".tmp")):
            continue  # beside a version, on its way, or left by a dead host for the next writer
        parsed = names.parse_filed(path.name)
        where = str(path.relative_to(store.root))
        if parsed is not None and path.with_name(path.name + names.PURGED).exists():
            yield Problem(where, _UNFINISHED.format("the file"))
        if parsed is None:
            yield Problem(where, "is no version of a format that this vstorefs knows")
            continue
        identity = names.carried(path, path.parent)
        if identity is None:
            yield Problem(where, "has lost its identity (extended attribute user.vstorefs)")
        elif identity.id != parsed[1]:
            yield Problem(where, f"carries the identity of another version, {identity.id}")
        elif not parsed[2] and path.stat().st_size != identity.size:
            yield Problem(where, "was changed after it was superseded")


def journal_problems(entries: list[JournalEntry], state_dir: Path) -> Iterator[Problem]:
    """What waits in this host's journal for a store, and whether its content is there."""
    for entry in entries:
        if entry.staged is not None and not (state_dir / "staging" / entry.staged.name).exists():
            yield Problem(entry.path, "waits in the journal, and its staging file is gone")
