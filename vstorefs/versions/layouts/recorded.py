"""Records as the versions that they are, and writes as the bodies of records: the same in both layouts. Pure."""

from __future__ import annotations

import os
import socket
import stat
from dataclasses import replace

from vstorefs.model import (
    Entry,
    Key,
    Mark,
    RunId,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.versions import records
from vstorefs.versions.records import NO_FLAGS, Body, Flag, RecordKind, Summary

HOST = socket.gethostname()
"""Which host a body says that it was made on."""

_MARKS = frozenset(mark.name for mark in Mark)


def new_body(
    store_id: str,
    key: Key,
    write: Write,
    *,
    base: str | None = None,
    content: str | None = None,
    inline: bytes | None = None,
    link: str | None = None,
    uid: int | None = None,
    gid: int | None = None,
) -> Body:
    """The body of the record that a write makes; what is not in the write is as in `records.Body`."""
    hashes = write.hashes
    return Body(
        store=store_id,
        path=key,
        base=base,
        content=content,
        inline=inline,
        link=link,
        md5=hashes.md5 if hashes is not None else None,
        sha1=hashes.sha1 if hashes is not None else None,
        sha256=hashes.sha256 if hashes is not None else None,
        uid=uid,
        gid=gid,
        marks=tuple(mark.name.lower() for mark in write.marks),
        host=HOST,
        run=write.run,
    )


def as_version(
    key: Key, summary: Summary, body: Body | None, store_id: str | None, *, is_head: bool
) -> Version:
    """A record as a version. `body` None: it is damaged; `store_id` None: whose it is cannot be told yet."""
    version = as_listed_version(key, summary, is_head=is_head)
    if body is None:
        return replace(version, marks=(*version.marks, Mark.DAMAGED))
    marks = tuple(Mark[name.upper()] for name in body.marks if name.upper() in _MARKS)
    if body.store != (store_id or body.store):
        marks += (Mark.FOREIGN,)
    return replace(
        version,
        base=Token(body.base) if body.base is not None else None,
        hashes=records.hashes_of(body),
        marks=version.marks + marks,
        run=RunId(body.run) if body.run is not None else None,
    )


def as_listed_version(key: Key, summary: Summary, *, is_head: bool) -> Version:
    """A record as a version, as far as its name tells."""
    gone = summary.kind is RecordKind.TOMBSTONE
    return Version(
        key,
        VersionId(summary.id),
        VersionKind.TOMBSTONE if gone else VersionKind.CONTENT,
        summary.time_ns,
        Token("" if gone else summary.encode()),
        size=summary.size,
        mtime_ns=summary.mtime_ns,
        mode=stat.S_IMODE(summary.mode) if not gone else None,
        write_id=WriteId(summary.id),
        marks=(Mark.LATE,) if Flag.LATE in summary.flags else (),
        is_head=is_head,
    )


def as_copy(write: Write, source: Version) -> Write:
    """A write that makes a copy: of what it does not say itself, what the source has."""
    return replace(
        write,
        size=source.size,
        mode=source.mode if write.mode is None else write.mode,
        mtime_ns=source.mtime_ns if write.mtime_ns is None else write.mtime_ns,
        hashes=write.hashes or source.hashes,
    )


def is_owned(about: Write | Entry) -> bool:
    """Whether an owner is another than who mounts, whom a listing shows anyway."""
    return about.uid not in {None, os.getuid()} or about.gid not in {None, os.getgid()}


def owner_flags(about: Write | Entry) -> Flag:
    """What a record's name says of an owner, who is in its body."""
    return Flag.MORE if is_owned(about) else NO_FLAGS
