"""The native layout: the bucket keeps versions itself, and history is its own list.

A write is a PUT of the plain key, so other tools always see the newest; a deletion is the store's
delete marker. What we know of a version travels in its metadata. An empty directory is a zero-byte
key `d/`. Content that is no longer head is found by its ETag among the key's versions.

That the bucket goes on keeping versions is not taken for granted: it is asked now and then, and before a head is
superseded whose id does not tell that it stays.

Conditions on writes are not relied on: a HEAD just before tells whether the head is the writer's
base; a race inside that window is seen in the history, where nothing is lost. What comes late lies
in `.vstorefs/content/<id>` with a record in `history/`, and joins the list.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vstorefs import errors
from vstorefs.checksums import Told
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Capabilities,
    Entry,
    Key,
    Mark,
    Purger,
    StoreSpec,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.base import Condemned, Erased, Fix, Page, Same, is_base
from vstorefs.stores.bucket import Bucket, Stat
from vstorefs.versions import metadata, records
from vstorefs.versions.layouts.attributes import AttributeKeeper
from vstorefs.versions.layouts.buckethistory import BucketHistory
from vstorefs.versions.layouts.entries import Entries
from vstorefs.versions.layouts.format import NOBODY_KNOWS, Agreement, Known, Layout
from vstorefs.versions.layouts.gone import changed
from vstorefs.versions.layouts.listing import Listing
from vstorefs.versions.layouts.lookup import Lookup
from vstorefs.versions.layouts.nativehistory import LOOKS, NativeHistory
from vstorefs.versions.layouts.plainkeys import NativeKeys, versions_of
from vstorefs.versions.layouts.purge import Doomed, Object, Purge, note_body, note_of
from vstorefs.versions.layouts.recorded import as_copy, as_version, new_body
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Plain, reckon
from vstorefs.versions.records import Area, Flag, RecordKind, Summary


class NativeStore:
    """One bucket and prefix that keeps versions, as a `base.Store`."""

    def __init__(
        self, bucket: Bucket, capabilities: Capabilities, known: Known = NOBODY_KNOWS
    ) -> None:
        self.spec: StoreSpec = bucket.spec
        self._capabilities = capabilities
        self._bucket = bucket
        self._agreement = Agreement(bucket, Layout.NATIVE, known)
        self._records = RecordStore(bucket)
        self._plain_keys = NativeKeys(bucket)
        self._lookup = Lookup(bucket, self._records)
        self._entries = Entries(self._records, self._plain_keys)
        self._listing = Listing(bucket, self._records, self._plain_keys, self._entries)
        self._attributes = AttributeKeeper(
            self._records, self._agreement, self._lookup, self._entries
        )
        self._history = NativeHistory(bucket, self._records, self._agreement, self._plain_keys)
        self._bucket_history = BucketHistory(
            self._records, self._plain_keys, self._entries, self._history
        )

    def capabilities(self) -> Capabilities:
        """See `base.Store`. Found out when the store was opened."""
        return self._capabilities

    def ready(self) -> None:
        """See that this host may publish. Raises: as `format.Agreement.settle`."""
        self._agreement.agree()

    def close(self) -> None:
        """See `base.Store`."""
        self._bucket.close()

    # --- looking

    def look(self) -> None:
        """See `base.Store`."""
        self._listing.look()

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`."""
        return self._listing.list(directory)

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return self._listing.versions(directory)

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return self._listing.paths(directory)

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        try:
            return self._plain_keys.version(
                key, self._bucket.stat(key, version), is_head=version is None
            )
        except errors.NotFound:
            if version is not None:
                raise
            link = self._link_at(key)
            if link is None:
                raise
            body = self._records.body_or_none(key, link)
            return as_version(key, link, body, self._agreement.id, is_head=True)

    def _link_at(self, key: Key) -> Summary | None:
        """The symlink in force at a path that has no plain key."""
        head = reckon(self._records.of_path(Area.HEADS, key), None).head
        return head if isinstance(head, Summary) else None

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
        """See `base.Store`."""
        if start >= end:
            return
        said = metadata.claiming(told)
        summary = records.decode_summary(token)
        if summary is not None:
            name = records.CONTENT + summary.id
            yield from self._bucket.read(name, start, end, size=summary.size, said=said)
            return
        try:
            yield from self._bucket.read(key, start, end, token=token, version=version, said=said)
        except (errors.Changed, errors.NotFound):
            found = self._locate(key, token)
            yield from self._bucket.read(key, start, end, token=token, version=found, said=said)

    def _locate(self, key: Key, token: Token) -> VersionId:
        """Which version has a content that is not the head's."""
        for item in versions_of(self._bucket, key):
            if item.token == token:
                return item.version
        raise changed(self._records, key, token=token)

    # --- history

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`."""
        return self._history.of_path(key)

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`."""
        return self._bucket_history.histories(directory)

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`."""
        return self._bucket_history.as_of(directory, moment_ns)

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        found = [one for one in self._records.all_of_path(key) if one.id == write.write_id]
        for one in found:
            if one.kind is not RecordKind.ATTRIBUTES and not one.of_directory:
                late = Flag.LATE in one.flags
                body = self._records.body_or_none(key, one)
                return as_version(key, one, body, self._agreement.id, is_head=not late)
        items = versions_of(self._bucket, key)
        # The base is one of those with its token, and the write is newer: behind the oldest it cannot be.
        bases = [at for at, item in enumerate(items) if item.token == write.base]
        newer = items[: bases[-1]] if bases and write.base is not None else items
        for looked, item in enumerate(one for one in newer if one.token is not None):
            if looked >= LOOKS:
                raise errors.Unavailable(
                    f"more than {LOOKS} versions are newer than this write's base",
                    store=self.spec.alias,
                    key=key,
                    operation="find",
                )
            version = self._history.version(key, item, ask=True)
            if version.write_id == write.write_id:
                if item.is_latest and not found:
                    # A try that was cut short between the content and what tells its attributes.
                    self.ready()
                    self._tell_about(version, write)
                return version
        return None

    # --- writing

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
        """See `base.Store`."""
        del fix
        self.ready()
        before = self._lookup.plain(key)
        head = self._as_head(key, before)
        if head is not None and same is not None and same(head):
            return head
        if not _is_base(head, write):
            if overdue:
                return self._put_aside(key, source, replace(write, marks=(*write.marks, Mark.LATE)))
            write = replace(write, marks=(*write.marks, Mark.OLDER_HEAD))
        self._see_that_it_stays(head)
        sent = metadata.sent(key, write, before=before)
        self._bucket.put(
            key,
            source,
            metadata=sent.metadata,
            content_type=sent.content_type,
            headers=sent.headers,
            md5=write.hashes.md5 if write.hashes is not None else None,
        )
        return self._made(key, write)

    def _made(self, key: Key, write: Write) -> Version:
        """The version that a write has just made.

        Size and write id are compared before anyone is told yes.
        """
        made = self._head(key)
        if made is None or made.write_id != write.write_id:
            # Somebody else was there since, with a content or a deletion.
            found = self.find_write(key, write)
            if found is None:
                raise errors.Unavailable(
                    "the store does not show the version that it has taken",
                    store=self.spec.alias,
                    key=key,
                    operation="put",
                )
            made = found
        else:
            self._tell_about(made, write)
        if made.size != write.size:
            raise errors.Corrupt(
                f"the store has {made.size} bytes of {write.size}",
                store=self.spec.alias,
                key=key,
                operation="put",
            )
        return replace(made, is_head=True)

    def _tell_about(self, made: Version, write: Write) -> None:
        """Tell what the plain key that a write has just made cannot show."""
        # What was just made has the store's own time.
        plain = Plain(made.key, made.token, made.size, made.time_ns)
        self._attributes.complete(
            plain,
            write,
            lambda: reckon(self._records.of_path(Area.HEADS, made.key), plain).sequence,
        )

    def _put_aside(self, key: Key, source: Path, write: Write) -> Version:
        """Keep what came late beside the head."""
        self._bucket.put(
            records.CONTENT + write.write_id,
            source,
            metadata=metadata.encode(write),
            content_type=metadata.BYTES,
        )
        mode = write.mode if write.mode is not None else DEFAULT_FILE_MODE
        summary = Summary(
            1,
            RecordKind.CONTENT,
            write.time_ns,
            write.size,
            write.mtime_ns if write.mtime_ns is not None else write.time_ns,
            stat.S_IFREG | mode,
            records.NO_PLAIN,
            str(write.write_id),
            Flag.LATE,
        )
        body = new_body(self._agreement.store_id, key, replace(write, marks=()), base=write.base)
        self._records.publish(Area.HISTORY, key, summary, body)
        return as_version(key, summary, body, self._agreement.id, is_head=False)

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
        """See `base.Store`."""
        del fix
        self.ready()
        summary = records.decode_summary(token)
        if summary is not None:
            return self._attributes.copy_symlink(key, summary, target, write)
        found = self._source(key, token, version)
        write = as_copy(write, self._plain_keys.version(key, found, is_head=False))
        before = self._lookup.plain(target)
        head = self._as_head(target, before)
        if not _is_base(head, write):
            write = replace(write, marks=(*write.marks, Mark.OLDER_HEAD))
        self._see_that_it_stays(head)
        sent = metadata.sent(target, write, source=found, before=before)
        self._bucket.copy(
            key,
            target,
            source=found,
            metadata=sent.metadata,
            content_type=sent.content_type,
            headers=sent.headers,
        )
        return self._made(target, write)

    def _source(self, key: Key, token: Token, version: VersionId | None) -> Stat:
        """The version to copy.

        Conditions on the source are ignored by some servers, so it is named by its id.
        """
        if version is None:
            try:
                head = self._bucket.stat(key)
            except errors.NotFound:
                head = None
            if head is not None and head.token == token:
                return head
            version = self._locate(key, token)
        found = self._bucket.stat(key, version)
        if found.token != token:
            raise changed(self._records, key, "copy")
        return found

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`. What is no longer the base is left alone."""
        self.ready()
        head = self._head(key)
        if head is None:
            return self._remove_link(key, write, fix)
        if not _is_base(head, write):
            return None
        self._see_that_it_stays(head)
        marker = self._bucket.delete(key)
        return Version(
            key,
            marker or VersionId("null"),
            VersionKind.TOMBSTONE,
            write.time_ns,
            base=write.base,
            write_id=write.write_id,
        )

    def _remove_link(self, key: Key, write: Write, fix: Fix | None) -> Version | None:
        looked = self._lookup.path(key)
        head = looked.state.head
        if not isinstance(head, Summary):
            return None
        if not is_base(Token(head.encode()), WriteId(head.id), write):
            return None
        return self._attributes.bury(key, write, looked, stat.S_IFLNK, fix)

    # --- attributes and symlinks

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`."""
        self.ready()
        return self._attributes.set(key, write)

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`."""
        self.ready()
        return self._attributes.make_symlink(key, target, write)

    # --- directories

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self.ready()
        if self._lives_below(f"{key}/"):
            raise errors.AlreadyExists(
                "the directory exists already", store=self.spec.alias, key=key, operation="mkdir"
            )
        self._mark_folder(key, write)
        if write.mode not in {None, DEFAULT_FOLDER_MODE}:
            self.set_attributes(key, write)

    def _mark_folder(self, key: Key, write: Write) -> None:
        self._bucket.put(
            f"{key}/",
            b"",
            metadata=metadata.encode(replace(write, base=None)),
            content_type=metadata.FOLDER,
        )

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        marker = f"{key}/"
        if any(page.entries for page in self.list(key)):
            raise errors.NotSupported(
                "the directory is not empty", store=self.spec.alias, key=key, operation="rmdir"
            )
        if self._lives_below(marker):
            self._bucket.delete(marker)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        if key and not self._lives_below(f"{key}/"):
            self._mark_folder(key, write)

    # --- purging and tidying

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`."""
        self.ready()
        return Purge(self._bucket, self._records, purger, self._describe_plain).run(condemned)

    def _describe_plain(self, one: Condemned, purger: Purger) -> Doomed:
        """See `purge.Describe`."""
        version = one.version
        known = self.stat(version.key, version.id)
        full = replace(version, hashes=version.hashes or known.hashes)
        summary = Summary(
            one.rank,
            RecordKind.CONTENT,
            version.time_ns,
            version.size,
            version.mtime_ns,
            stat.S_IFREG | (known.mode if known.mode is not None else DEFAULT_FILE_MODE),
            records.NO_PLAIN,
            records.plain_id(version.key, f"purged {version.id}"),
        )
        body = note_body(self._agreement.store_id, full, note_of(one, purger))
        return Doomed(one, summary, body, None, (Object(version.key, version.id),))

    def tidy(self, key: Key) -> None:
        """See `base.Store`. Only what this has published on top of other records is looked at."""
        self._records.tidy(key)

    # --- parts

    def _head(self, key: Key) -> Version | None:
        return self._as_head(key, self._lookup.plain(key))

    def _as_head(self, key: Key, found: Stat | None) -> Version | None:
        return self._plain_keys.version(key, found, is_head=True) if found is not None else None

    def _see_that_it_stays(self, head: Version | None) -> None:
        """Before a head is superseded: see that it stays a version. Raises: NotSupported where it would be lost."""
        if head is not None and not self._bucket.keeps(head.id):
            self._agreement.see_that_versions_stay()

    def _lives_below(self, prefix: str) -> bool:
        return any(page.objects for page in self._bucket.list(prefix, limit=1))


def _is_base(head: Version | None, write: Write) -> bool:
    if head is None:
        return is_base(None, None, write)
    return is_base(head.token, head.write_id, write)
