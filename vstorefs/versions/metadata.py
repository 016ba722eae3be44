"""What travels with an object as its metadata: the fields of `Write` that a listing cannot show. Pure.

Names are `vstorefs-write`, `-base`, `-md5`, `-sha1`, `-sha256`, `-mode` (octal), `-mtime`
(nanoseconds), `-marks` (JSON), `-run`, and `-time` (nanoseconds) where a version moved here from the portable
layout; values are ASCII. An object without `vstorefs-write` was made by
another tool.
"""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass

from vstorefs.checksums import Claimant, Claims, Told, claims_of_hashes
from vstorefs.model import (
    Hashes,
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
from vstorefs.stores.bucket import CONTENT_TYPE, STORAGE_CLASS, Said, Stat

_MOST_BYTES = 2000
_OF_ONE_CONTENT = frozenset(
    {"md5chksum", "md5", "sha1", "sha256", "mtime", "s3cmd-attrs", "goog-reserved-file-mtime"}
)
_SAYS_NOTHING = frozenset({None, "application/octet-stream", "binary/octet-stream"})
BYTES = "application/octet-stream"
JSON = "application/json"
FOLDER = "application/x-directory"
_PREFIX = "vstorefs-"
_MODES = 1 << 16
_TIMES = 1 << 63
_HASHES = ("md5", "sha1", "sha256")


@dataclass(frozen=True, slots=True)
class About:
    """What an object's metadata say; nothing but the mark `OUTSIDE` where it is not ours."""

    write_id: WriteId | None = None
    base: Token | None = None
    hashes: Hashes | None = None
    mode: int | None = None
    mtime_ns: int | None = None
    time_ns: int | None = None
    marks: tuple[Mark, ...] = (Mark.OUTSIDE,)
    run: RunId | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes with the content of a path to its object, as `bucket.Bucket.put` takes it."""

    metadata: Mapping[str, str]
    content_type: str
    headers: Mapping[str, str]


def sent(key: Key, write: Write, *, source: Stat | None = None, before: Stat | None = None) -> Sent:
    """What goes with a version of a path, what other tools gave to its object included.

    `source`: where the content comes from, `before`: what was under the path. What was given to the source counts;
    where nothing was, what was given to the other one, but for what describes its content. Metadata of others are
    left out where they are not ASCII, or make more than providers take together with ours.
    """
    ours = encode(write)
    for found, is_other in ((source, False), (before, True)):
        if found is None:
            continue
        metadata = _of_others(found.metadata, is_other=is_other)
        headers = {name: value for name, value in found.headers.items() if value.isascii()}
        kind = headers.pop(CONTENT_TYPE, None)
        if kind in _SAYS_NOTHING or kind == content_type(Key(found.name)):
            kind = None
        if kind or metadata or headers.keys() - {STORAGE_CLASS} or _is_chosen(headers):
            fits = sum(map(len, (*metadata, *metadata.values(), *ours, *ours.values())))
            whole = metadata | ours if fits <= _MOST_BYTES else ours
            return Sent(whole, kind or content_type(key), headers)
    return Sent(ours, content_type(key), {})


def _of_others(metadata: Mapping[str, str], *, is_other: bool) -> dict[str, str]:
    return {
        name: value
        for name, value in metadata.items()
        if not name.lower().startswith(_PREFIX)
        and (name + value).isascii()
        and not (is_other and name.lower() in _OF_ONE_CONTENT)
    }


def _is_chosen(headers: Mapping[str, str]) -> bool:
    return headers.get(STORAGE_CLASS, "STANDARD") != "STANDARD"


def encode(write: Write) -> dict[str, str]:
    """The metadata of a version."""
    about: dict[str, str] = {"write": write.write_id}
    if write.base is not None:
        about["base"] = write.base
    if write.hashes is not None:
        about |= {name: getattr(write.hashes, name) for name in _HASHES}
    if write.mode is not None:
        about["mode"] = f"{write.mode:o}"
    if write.mtime_ns is not None:
        about["mtime"] = str(write.mtime_ns)
    if write.run is not None:
        about["run"] = write.run
    if write.marks:
        about["marks"] = json.dumps([mark.value for mark in write.marks])
    return {_PREFIX + name: value for name, value in about.items()}


def encode_time(time_ns: int) -> dict[str, str]:
    """What a version that moved to another layout keeps of when it was made."""
    return {f"{_PREFIX}time": str(time_ns)}


def decode(metadata: Mapping[str, str]) -> About:
    """What an object's metadata say. What another tool has garbled is as if it was not there."""
    about = {name.lower().removeprefix(_PREFIX): value for name, value in metadata.items()}
    if "write" not in about:
        return About()
    try:
        return About(
            WriteId(about["write"]),
            Token(about["base"]) if "base" in about else None,
            Hashes(*(about[name] for name in _HASHES)) if set(_HASHES) <= set(about) else None,
            _within(int(about["mode"], 8), 0, _MODES) if "mode" in about else None,
            _within(int(about["mtime"]), -_TIMES, _TIMES) if "mtime" in about else None,
            _within(int(about["time"]), 0, _TIMES) if "time" in about else None,
            tuple(Mark(mark) for mark in json.loads(about.get("marks", "[]"))),
            RunId(about["run"]) if "run" in about else None,
        )
    except (ValueError, TypeError, RecursionError):
        return About(WriteId(about["write"]), marks=())


def claiming(told: Told | None) -> Said | None:
    """Tells what an answer with an object's bytes says, its metadata too, as claims."""
    if told is None:
        return None

    def said(claims: Claims, metadata: Mapping[str, str]) -> None:
        told((*claims, *claims_of_hashes(Claimant.RECORD, decode(metadata).hashes)))

    return said


def _within(number: int, first: int, end: int) -> int:
    if not first <= number < end:
        raise ValueError("a number that none of ours can be")
    return number


def content_type(key: Key) -> str:
    """The MIME type that other tools are told for a file."""
    return mimetypes.guess_type(key)[0] or BYTES


def to_version(
    key: Key, found: Stat, version: VersionId, token: Token, *, is_head: bool
) -> Version:
    """An object, or one version of it, as a version of a path."""
    about = decode(found.metadata)
    return Version(
        key,
        version,
        VersionKind.CONTENT,
        about.time_ns if about.time_ns is not None else found.modified_ns,
        token,
        size=found.size,
        mtime_ns=about.mtime_ns if about.mtime_ns is not None else found.modified_ns,
        mode=about.mode,
        base=about.base,
        write_id=about.write_id,
        hashes=about.hashes,
        marks=about.marks,
        is_head=is_head,
        run=about.run,
    )
