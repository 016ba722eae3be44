"""The portable layout: versions on any bucket, made of nothing but "create if absent".

A path's first version lies under its plain key and needs no record. Every later one lies in
`.vstorefs/content/` (a small one in its record), and one PUT of its record makes it real. No object
outside `heads/` is ever written twice or deleted. What the records of a path say together is in
`order`; what they consist of, in `records`.
"""

from __future__ import annotations

import functools
import stat
from collections.abc import Callable, Iterator, Sequence
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
    Purger,
    StoreSpec,
    Token,
    Version,
    VersionId,
    Write,
)
from vstorefs.stores.base import Condemned, Erased, Fix, Page, Same
from vstorefs.stores.bucket import Bucket, Stat
from vstorefs.versions import records
from vstorefs.versions.layouts.attributes import AttributeKeeper
from vstorefs.versions.layouts.buckethistory import BucketHistory
from vstorefs.versions.layouts.contents import Contents
from vstorefs.versions.layouts.entries import Entries
from vstorefs.versions.layouts.firstversions import FirstVersions
from vstorefs.versions.layouts.format import NOBODY_KNOWS, Agreement, Known, Layout
from vstorefs.versions.layouts.gone import changed, not_found
from vstorefs.versions.layouts.laterversions import LaterVersions, is_base
from vstorefs.versions.layouts.listing import Listing
from vstorefs.versions.layouts.lookup import Looked, Lookup
from vstorefs.versions.layouts.plainkeys import PortableKeys
from vstorefs.versions.layouts.portablehistory import PortableHistory
from vstorefs.versions.layouts.probe import Conditions, Findings
from vstorefs.versions.layouts.purge import Doomed, Object, Purge, note_body, note_of
from vstorefs.versions.layouts.recorded import as_copy, as_version, new_body, owner_flags
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.order import Plain, reckon
from vstorefs.versions.records import Area, Flag, RecordKind, Summary

_INLINE = 16 << 10


class PortableStore:
    """One bucket and prefix whose versions vstorefs keeps itself, as a `base.Store`."""

    def __init__(
        self,
        bucket: Bucket,
        capabilities: Capabilities,
        find: Callable[[], Findings],
        known: Known = NOBODY_KNOWS,
    ) -> None:
        self.spec: StoreSpec = bucket.spec
        self._capabilities = capabilities
        self._bucket = bucket
        self._agreement = Agreement(bucket, Layout.PORTABLE, known)
        self._conditions = Conditions(bucket, find)
        self._records = RecordStore(bucket)
        self._plain_keys = PortableKeys(bucket)
        self._lookup = Lookup(bucket, self._records)
        self._entries = Entries(self._records, self._plain_keys)
        self._listing = Listing(bucket, self._records, self._plain_keys, self._entries)
        self._attributes = AttributeKeeper(
            self._records, self._agreement, self._lookup, self._entries
        )
        self._contents = Contents(
            bucket, self._records, self._agreement, self._lookup, self._conditions
        )
        self._first_versions = FirstVersions(
            bucket, self._lookup, self._plain_keys, self._attributes, self._conditions
        )
        self._later_versions = LaterVersions(self._records, self._agreement)
        self._history = PortableHistory(
            self._records, self._agreement, self._lookup, self._plain_keys
        )
        self._bucket_history = BucketHistory(
            self._records, self._plain_keys, self._entries, self._history
        )

    def capabilities(self) -> Capabilities:
        """See `base.Store`. Found out when the store was opened."""
        return self._capabilities

    def ready(self) -> None:
        """See that this host may publish, and that it is known what the bucket holds to.

        Raises: as `format.Agreement.settle`; a StoreError.
        """
        self._agreement.agree()
        self._conditions.find_out()

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
        if version is not None:
            for one in self.history(key):
                if one.id == version:
                    return one
            raise not_found(self.spec.alias, key, "stat")
        return self._head(key, self._lookup.path(key))

    def _head(self, key: Key, looked: Looked) -> Version:
        head, about = looked.state.head, looked.state.attributes
        if head is None:
            raise not_found(self.spec.alias, key, "stat")
        if isinstance(head, Plain):
            assert looked.found is not None
            found = self._plain_keys.version(key, looked.found)
        else:
            body = self._records.body_or_none(key, head)
            found = as_version(key, head, body, self._agreement.id, is_head=True)
        if about is not None:
            found = replace(found, mode=stat.S_IMODE(about.mode), mtime_ns=about.mtime_ns)
        return found

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
        """See `base.Store`. The token says where the content is."""
        del version
        return self._contents.read(key, token, start, end, told)

    def content_name(self, key: Key, version: Version) -> str | None:
        """The name of the object that has a version's content; None where its record has it. Raises: a StoreError."""
        return self._contents.name(key, version)

    # --- history

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`."""
        return self._history.of_path(key)

    def history_beside(self, key: Key, origin: Stat | None) -> tuple[Version, ...]:
        """The history as it was with another plain key, or none. Raises: a StoreError."""
        return self._history.beside(key, origin)

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
            if one.kind in {RecordKind.CONTENT, RecordKind.TOMBSTONE} and not one.of_directory:
                body = self._records.body_or_none(key, one)
                is_head = Flag.LATE not in one.flags
                return as_version(key, one, body, self._agreement.id, is_head=is_head)
        made = self._first_versions.of_write(key, write)
        if made is not None and not found:
            # A try that was cut short between the content and what tells its attributes.
            self.ready()
            self._first_versions.complete(key, replace(write, mode=made.mode), made)
        return made

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
        self.ready()
        if self._first_versions.can_be(write, write.size):
            made = self._first_versions.create(key, source, write)
            if made is not None:
                return made
        looked = self._lookup.path(key)
        head = looked.state.head
        if head is not None and same is not None and head.size == write.size:
            version = self._head(key, looked)
            if same(version):
                return version
        inline = source.read_bytes() if write.size <= _INLINE else None
        if inline is None:
            self._contents.send(write, source)
            # What was seen before a long upload is old by now.
            looked = self._lookup.path(key)
        return self._later_versions.publish(
            key, write, looked, overdue=overdue, fix=fix, inline=inline
        )

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
        """See `base.Store`. Content in `.vstorefs/content/` is shared: no byte moves."""
        self.ready()
        summary = records.decode_summary(token)
        if summary is None:
            return self._copy_plain(key, token, target, write, fix)
        if stat.S_ISLNK(summary.mode):
            return self._attributes.copy_symlink(key, summary, target, write)
        body = self._contents.body(key, summary)
        write = as_copy(write, as_version(key, summary, body, self._agreement.id, is_head=False))
        content = body.content or summary.id
        if self._first_versions.can_be(write, summary.size):
            whole = functools.partial(self.read, key, token, 0, summary.size)
            made = (
                self._first_versions.create(target, body.inline, write)
                if body.inline is not None
                else self._first_versions.create_copy(
                    records.CONTENT + content, whole, target, write
                )
            )
            if made is not None:
                return made
        looked = self._lookup.path(target)
        if body.inline is not None:
            return self._later_versions.publish(target, write, looked, fix=fix, inline=body.inline)
        return self._later_versions.publish(target, write, looked, fix=fix, content=content)

    def _copy_plain(
        self, key: Key, token: Token, target: Key, write: Write, fix: Fix | None
    ) -> Version:
        found = self._bucket.stat(key)
        if found.token != token.partition("/")[2]:
            raise changed(self._records, key, "copy")
        write = as_copy(write, self._plain_keys.version(key, found))
        if self._first_versions.can_be(write, found.size):
            whole = functools.partial(self.read, key, token, 0, found.size)
            made = self._first_versions.create_copy(key, whole, target, write, found)
            if made is not None:
                return made
        self._contents.copy_plain(key, found, write)
        return self._later_versions.publish(target, write, self._lookup.path(target), fix=fix)

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`. What is no longer the base is left alone."""
        self.ready()
        looked = self._lookup.path(key)
        head = looked.state.head
        if head is None or not is_base(looked, write):
            return None
        kind = stat.S_IFREG if isinstance(head, Plain) else stat.S_IFMT(head.mode)
        return self._attributes.bury(key, write, looked, kind, fix)

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
        looked = self._lookup.path(key)
        present = looked.state.directory
        if present is not None and present.kind is RecordKind.DIRECTORY:
            if present.id == write.write_id:
                return
            raise errors.AlreadyExists(
                "the directory exists already", store=self.spec.alias, key=key, operation="mkdir"
            )
        self._found_directory(key, write, looked)

    def _found_directory(self, key: Key, write: Write, looked: Looked) -> None:
        summary = Summary(
            looked.state.sequence,
            RecordKind.DIRECTORY,
            write.time_ns,
            0,
            write.mtime_ns if write.mtime_ns is not None else write.time_ns,
            stat.S_IFDIR | (write.mode if write.mode is not None else DEFAULT_FOLDER_MODE),
            looked.stamp,
            str(write.write_id),
            owner_flags(write),
        )
        body = new_body(self._agreement.store_id, key, write, uid=write.uid, gid=write.gid)
        self._records.publish_head(key, summary, body)

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self.ready()
        if any(page.entries for page in self.list(key)):
            raise errors.NotSupported(
                "the directory is not empty", store=self.spec.alias, key=key, operation="rmdir"
            )
        looked = self._lookup.path(key)
        present = looked.state.directory
        if present is not None and present.kind is RecordKind.TOMBSTONE:
            return
        if present is None and not self._lookup.is_implied_folder(key):
            return
        self._attributes.bury(key, write, looked, stat.S_IFDIR)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`. Only one that was removed, and came back with a file, would go with it."""
        if not key:
            return
        present = reckon(self._records.of_path(Area.HEADS, key), None).directory
        if present is not None and present.kind is RecordKind.TOMBSTONE:
            looked = self._lookup.path(key)
            self._found_directory(key, replace(write, mode=None, mtime_ns=None), looked)

    # --- purging and tidying

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`."""
        self.ready()
        return Purge(self._bucket, self._records, purger, self._describe_plain).run(condemned)

    def _describe_plain(self, one: Condemned, purger: Purger) -> Doomed:
        """See `purge.Describe`."""
        version = one.version
        found = self._bucket.stat(version.key)
        plain = Plain(version.key, found.token, found.size, found.modified_ns)
        if self._plain_keys.token(plain) != version.token:
            raise changed(self._records, version.key, "purge")
        summary = Summary(
            0,
            RecordKind.CONTENT,
            version.time_ns,
            version.size,
            version.mtime_ns,
            stat.S_IFREG | (version.mode if version.mode is not None else DEFAULT_FILE_MODE),
            plain.stamp,
            version.id,
        )
        body = note_body(self._agreement.store_id, version, note_of(one, purger))
        return Doomed(one, summary, body, None, (Object(version.key, token=found.token),))

    def tidy(self, key: Key) -> None:
        """See `base.Store`. Only what this has published on top of other records is looked at."""
        self._records.tidy(key)
