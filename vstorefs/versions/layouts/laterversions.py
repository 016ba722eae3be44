"""Later versions in the portable layout: what one PUT of a record makes real."""

from __future__ import annotations

import stat
from dataclasses import replace

from vstorefs.model import DEFAULT_FILE_MODE, Key, Mark, Version, Write
from vstorefs.stores.base import Fix
from vstorefs.stores.bucket import Stat
from vstorefs.versions import metadata, records
from vstorefs.versions.layouts.format import Agreement
from vstorefs.versions.layouts.lookup import Looked
from vstorefs.versions.layouts.recorded import as_version, new_body, owner_flags
from vstorefs.versions.layouts.recordstore import RecordStore, base_id
from vstorefs.versions.order import Plain, late_sequence
from vstorefs.versions.records import Area, Body, Flag, RecordKind, Seen, Summary


class LaterVersions:
    """Publishes them in one store, whose format is agreed upon. Raises: a StoreError."""

    def __init__(self, record_store: RecordStore, agreement: Agreement) -> None:
        self._records = record_store
        self._agreement = agreement

    def publish(
        self,
        key: Key,
        write: Write,
        looked: Looked,
        *,
        overdue: bool = False,
        fix: Fix | None = None,
        inline: bytes | None = None,
        content: str | None = None,
    ) -> Version:
        """Make a version real with its record.

        Its content is `inline`, or under `content`, the id of a version that has the same, or under its own.
        `overdue` and `fix` as in `base.Store.put`.
        """
        state = looked.state
        on_base = is_base(looked, write)
        summary = records.decode_summary(write.record) if write.record is not None else None
        if summary is None:
            flags = Flag.LATE if overdue and not on_base else Flag(0)
            flags |= Flag.INLINE if inline is not None else Flag(0)
            flags |= Flag.SHARED if content is not None else Flag(0)
            summary = _summary(write, looked, flags | owner_flags(write))
            if fix is not None:
                fix(summary.encode())
        body = new_body(
            self._agreement.store_id,
            key,
            write,
            base=state.head_id if on_base else base_id(write.base),
            content=content,
            inline=inline,
            uid=write.uid,
            gid=write.gid,
        )
        if isinstance(state.head, Plain):
            body = _with_seen(body, state.head, looked.found)
        late = Flag.LATE in summary.flags
        if late:
            self._records.publish(Area.HISTORY, key, summary, body)
        else:
            self._records.publish_head(key, summary, body)
        made = as_version(key, summary, body, self._agreement.id, is_head=not late)
        if not on_base and not late:
            made = replace(made, marks=(*made.marks, Mark.OLDER_HEAD))
        return made


def _summary(write: Write, looked: Looked, flags: Flag) -> Summary:
    """The name that a write's record is given."""
    state = looked.state
    base = records.decode_summary(write.base) if write.base is not None else None
    mode = write.mode if write.mode is not None else DEFAULT_FILE_MODE
    return Summary(
        late_sequence(base, state) if Flag.LATE in flags else state.sequence,
        RecordKind.CONTENT,
        write.time_ns,
        write.size,
        write.mtime_ns if write.mtime_ns is not None else write.time_ns,
        stat.S_IFREG | mode,
        looked.stamp,
        str(write.write_id),
        flags,
    )


def _with_seen(body: Body, plain: Plain, found: Stat | None) -> Body:
    """What is known of the plain key that a record goes on top of, for when another tool destroys it."""
    hashes = metadata.decode(found.metadata).hashes if found is not None else None
    seen = Seen(
        plain.id,
        plain.size,
        plain.modified_ns,
        hashes.md5 if hashes is not None else None,
        hashes.sha1 if hashes is not None else None,
        hashes.sha256 if hashes is not None else None,
    )
    return records.with_plain(body, seen)


def is_base(looked: Looked, write: Write) -> bool:
    """Whether the head is what a writer started from."""
    head = looked.state.head
    if head is None:
        # What it comes after was a removal, then; one that is on its way leaves no base.
        return write.base is None
    if head.id == base_id(write.base):
        return True
    if write.after is None:
        return False
    if isinstance(head, Summary):
        return head.id == write.after
    found = looked.found
    return found is not None and metadata.decode(found.metadata).write_id == write.after
