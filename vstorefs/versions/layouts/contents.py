"""Contents in the portable layout: where the bytes of a version lie, how they come there, and reading them.

A first version's lie under its plain key, a small one's in its record, all others in `.vstorefs/content/`,
under a name that nothing else ever has; copies share them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from vstorefs import errors
from vstorefs.checksums import Claimant, Told, claims_of_hashes
from vstorefs.model import Key, Token, Version, Write
from vstorefs.stores.bucket import Bucket, Said, Source, Stat
from vstorefs.versions import metadata, records
from vstorefs.versions.layouts.format import Agreement
from vstorefs.versions.layouts.gone import changed
from vstorefs.versions.layouts.lookup import Lookup
from vstorefs.versions.layouts.probe import Conditions
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.records import Area, Body, Flag, Summary


class Contents:
    """The contents of one store. Raises: a StoreError, wherever it asks."""

    def __init__(
        self,
        bucket: Bucket,
        record_store: RecordStore,
        agreement: Agreement,
        lookup: Lookup,
        conditions: Conditions,
    ) -> None:
        self._bucket = bucket
        self._records = record_store
        self._agreement = agreement
        self._lookup = lookup
        self._conditions = conditions
        self._alias = bucket.spec.alias

    # --- reading

    def read(
        self, key: Key, token: Token, start: int, end: int, told: Told | None = None
    ) -> Iterator[bytes]:
        """See `base.Store`."""
        if start >= end:
            return
        summary = records.decode_summary(token)
        if summary is None:
            yield from self._read_plain(key, token, start, end, metadata.claiming(told))
        elif Flag.INLINE in summary.flags:
            body = self.body(key, summary)
            assert body.inline is not None
            if told is not None:
                told(claims_of_hashes(Claimant.RECORD, records.hashes_of(body)))
            yield body.inline[start:end]
        else:
            yield from self._read_apart(key, summary, start, end, metadata.claiming(told))

    def _read_plain(
        self, key: Key, token: Token, start: int, end: int, said: Said | None
    ) -> Iterator[bytes]:
        etag = token.partition("/")[2]
        if not etag:
            raise changed(self._records, key)
        try:
            yield from self._bucket.read(key, start, end, token=Token(etag), said=said)
        except (errors.NotFound, errors.Changed) as error:
            raise changed(self._records, key, token=token) from error

    def _read_apart(
        self, key: Key, summary: Summary, start: int, end: int, said: Said | None
    ) -> Iterator[bytes]:
        name = self._name(key, summary)
        try:
            yield from self._bucket.read(name, start, end, size=summary.size, said=said)
        except (errors.NotFound, errors.Changed) as error:
            if summary in self._records.of_path(Area.PURGED, key):
                raise changed(self._records, key, token=Token(summary.encode())) from error
            raise errors.Corrupt(
                f"the content of version {summary.id} is gone from the store, or is not what its record says; "
                "vstorefs verify --structure tells more",
                store=self._alias,
                key=key,
                operation="read",
            ) from error

    def _name(self, key: Key, summary: Summary) -> str:
        """The name of the object that has a record's content."""
        shared = self.body(key, summary).content if Flag.SHARED in summary.flags else None
        return records.CONTENT + (shared or summary.id)

    def name(self, key: Key, version: Version) -> str | None:
        """The name of the object that has a version's content; None where its record has it."""
        summary = records.decode_summary(version.token)
        if summary is None:
            return key
        return None if Flag.INLINE in summary.flags else self._name(key, summary)

    def body(self, key: Key, summary: Summary) -> Body:
        """A body that content is taken from: it must be of this store, and fit its name."""
        try:
            body = self._records.body(key, summary)
        except errors.NotFound as error:
            raise changed(self._records, key) from error
        if body.purged is not None:
            raise changed(self._records, key, token=Token(summary.encode()))
        self._agreement.look()
        lacks = body.inline is None and Flag.INLINE in summary.flags
        wrong = lacks or (body.inline is not None and len(body.inline) != summary.size)
        if wrong or body.store != (self._agreement.id or body.store):
            why = "is damaged" if wrong else "belongs to another store"
            raise errors.Corrupt(
                f"the record of version {summary.id} {why}; it cannot be read",
                store=self._alias,
                key=key,
                operation="read",
            )
        return body

    # --- writing

    def send(self, write: Write, source: Source) -> None:
        """Content to where nothing else ever is. A name that is taken is this write's, from an earlier try."""
        name = records.CONTENT + write.write_id
        size = write.size
        holds = self._conditions.hold_for(size)
        if write.record is not None or not holds:
            found = self._lookup.plain(Key(name))
            if found is not None and found.size == size:
                return
        with contextlib.suppress(errors.AlreadyExists):
            self._bucket.put(
                name,
                source,
                metadata=metadata.encode(write),
                content_type=metadata.BYTES,
                md5=write.hashes.md5 if write.hashes is not None else None,
                absent=holds,
            )
        self._check_sent(name, size)

    def copy_plain(self, key: Key, found: Stat, write: Write) -> None:
        """The content of a plain key, as `found` describes it, copied inside the store to where `send` would put it."""
        name = records.CONTENT + write.write_id
        if self._lookup.plain(Key(name)) is None:
            sent = metadata.sent(key, write, source=found)
            self._bucket.copy(
                key,
                name,
                source=found,
                metadata=sent.metadata,
                content_type=sent.content_type,
                headers=sent.headers,
            )
        self._check_sent(name, found.size)

    def _check_sent(self, name: str, size: int) -> None:
        found = self._bucket.stat(name)
        if found.size != size:
            raise errors.Corrupt(
                f"the store has {found.size} bytes of {size}",
                store=self._alias,
                key=name,
                operation="put",
            )
