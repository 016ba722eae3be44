"""Names and bodies of records: what `.vstorefs/` in an object store consists of, format 1.

    .vstorefs/format                              which layout the store has; written once
    .vstorefs/content/<id>                        content of a version that is not under its plain key
    .vstorefs/heads/<dir>/<name>@<summary>        record of a version that may be in force
    .vstorefs/history/<dir>/<name>@<summary>      the same record once superseded
    .vstorefs/purged/<dir>/<name>@<summary>       what is left of a version whose bytes were purged

A summary is 84 characters of fixed width, so that listing and order need no body. A name or a directory
that would grow too long for a key becomes `~<sha256 of path>`; then the body tells the path. The
format is described in docs/reference/formats.md, and binds. Pure.
"""

from __future__ import annotations

import hashlib
import re
import stat
from dataclasses import dataclass
from enum import Enum, IntFlag
from typing import Annotated

import msgspec

from vstorefs import errors
from vstorefs.model import HIDDEN_FOLDER, Hashes, Key, join
from vstorefs.stores.ids import to_id

FORMAT = 1
FORMAT_KEY = f"{HIDDEN_FOLDER}/format"
CONTENT = f"{HIDDEN_FOLDER}/content/"
KEY_BYTES = 1024
NO_PLAIN = "-" * 8
SUMMARY_CHARS = 84

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_SEQUENCE, _TIME, _SIZE, _MODE, _STAMP, _ID = 8, 13, 11, 4, 8, 26
_MTIME_BIAS = 1 << 63
MTIMES_NS = range(-_MTIME_BIAS, _MTIME_BIAS)
"""Times of files that a record can say, nanoseconds since the epoch: from 1677 to 2262."""
_LAST_NS = (1 << 63) - 1
_FLAGS_SHIFT = 16
_SUMMARY = re.compile(r"[0-9a-z]{8}[ctad][0-9a-z]{41}(?:[0-9a-z]{8}|-{8})[0-9a-z]{26}")
_HASHED = re.compile(r"~[0-9a-f]{64}")
_HASHED_CHARS = 65


class Area(Enum):
    """Where a record lies; values are prefixes of keys."""

    HEADS = f"{HIDDEN_FOLDER}/heads/"
    HISTORY = f"{HIDDEN_FOLDER}/history/"
    PURGED = f"{HIDDEN_FOLDER}/purged/"


class RecordKind(Enum):
    """What a record says of its path; values are the character in its name.

    Which of the two registers of a path it belongs to, file or directory, is the type in its mode.
    """

    CONTENT = "c"
    TOMBSTONE = "t"
    ATTRIBUTES = "a"
    DIRECTORY = "d"


class Flag(IntFlag):
    """What else a listing has to know.

    MORE: the body has attributes that the name has not (a link's target, an owner). INLINE: the body
    has the content. SHARED: the content lies under another version's id. LATE: kept beside the head.
    """

    MORE = 1
    INLINE = 2
    SHARED = 4
    LATE = 8


NO_FLAGS = Flag(0)
_RANK = {
    RecordKind.TOMBSTONE: 1,
    RecordKind.ATTRIBUTES: 2,
    RecordKind.DIRECTORY: 3,
    RecordKind.CONTENT: 3,
}


@dataclass(frozen=True, slots=True)
class Summary:
    """What a record's name says.

    Times are nanoseconds since the epoch, sizes bytes. `mode` has the file type too. `stamp` is that
    of the plain key when the record was made. `id` is the write id of what made it.
    Raises: NotSupported for a value that the format cannot say.
    """

    sequence: int
    kind: RecordKind
    time_ns: int
    size: int
    mtime_ns: int
    mode: int
    stamp: str
    id: str
    flags: Flag = NO_FLAGS

    def __post_init__(self) -> None:
        ranges = (
            (self.sequence, 36**_SEQUENCE),
            (self.time_ns, _LAST_NS + 1),
            (self.size, 36**_SIZE),
            (self.mtime_ns + _MTIME_BIAS, 1 << 64),
            (self.mode, 1 << _FLAGS_SHIFT),
        )
        if not all(0 <= value < end for value, end in ranges) or not _SUMMARY.fullmatch(
            self.encode()
        ):
            raise errors.NotSupported(f"a record cannot say {self!r}")

    def encode(self) -> str:
        """The summary in a record's name: 84 characters."""
        return "".join(
            (
                _to_base36(self.sequence, _SEQUENCE),
                self.kind.value,
                _to_base36(self.time_ns, _TIME),
                _to_base36(self.size, _SIZE),
                _to_base36(self.mtime_ns + _MTIME_BIAS, _TIME),
                _to_base36(self.mode | int(self.flags) << _FLAGS_SHIFT, _MODE),
                self.stamp,
                self.id,
            )
        )

    @property
    def order(self) -> tuple[int, int, int, str]:
        """Where it stands among the records of its path; what is last is in force.

        What is late stands first in its sequence, so that it is never on top; then tombstones, so
        that content written at the same time as a deletion stays.
        """
        rank = 0 if Flag.LATE in self.flags else _RANK[self.kind]
        return self.sequence, rank, self.time_ns, self.id

    @property
    def of_directory(self) -> bool:
        """Whether it belongs to the path's register of directories."""
        return stat.S_ISDIR(self.mode)


def decode_summary(text: str) -> Summary | None:
    """What a name says; None for what is no summary of format 1."""
    if not _SUMMARY.fullmatch(text):
        return None
    at = 0

    def take(length: int) -> str:
        nonlocal at
        at += length
        return text[at - length : at]

    sequence = int(take(_SEQUENCE), 36)
    kind = RecordKind(take(1))
    time_ns, size, mtime = int(take(_TIME), 36), int(take(_SIZE), 36), int(take(_TIME), 36)
    flags, mode = divmod(int(take(_MODE), 36), 1 << _FLAGS_SHIFT)
    if flags > int(Flag.MORE | Flag.INLINE | Flag.SHARED | Flag.LATE):
        return None
    # The name has room for times that no clock has and no message can hold.
    if mtime >= 1 << 64 or time_ns > _LAST_NS:
        return None
    return Summary(
        sequence,
        kind,
        time_ns,
        size,
        mtime - _MTIME_BIAS,
        mode,
        take(_STAMP),
        take(_ID),
        Flag(flags),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A record's key, taken apart. `name` is None where only the body tells the path."""

    key: str
    name: str | None
    summary: Summary


class Names:
    """The keys of records below one store's prefix, which takes `prefix_bytes` of every key."""

    def __init__(self, prefix_bytes: int = 0) -> None:
        self._room = KEY_BYTES - prefix_bytes

    def folder(self, area: Area, directory: Key) -> str:
        """The prefix of the records of what lies directly in a directory; ends with a slash."""
        if not directory:
            return area.value
        folder = f"{Area.HISTORY.value}{directory}/"
        longest = _bytes(folder) + _HASHED_CHARS + 1 + SUMMARY_CHARS
        if longest > self._room or _HASHED.fullmatch(directory.partition("/")[0]):
            return f"{area.value}{_hashed(directory)}/"
        return f"{area.value}{directory}/"

    def prefix(self, area: Area, path: Key) -> str:
        """What the keys of all records of a path begin with; some of other paths may, too."""
        directory, _, name = path.rpartition("/")
        folder = self.folder(Area.HISTORY, Key(directory))
        fits = _bytes(folder) + _bytes(name) + 1 + SUMMARY_CHARS <= self._room
        stem = name if fits and not _HASHED.fullmatch(name) else _hashed(path)
        return f"{self.folder(area, Key(directory))}{stem}@"

    def key(self, area: Area, path: Key, summary: Summary) -> str:
        """The key of a record."""
        return self.prefix(area, path) + summary.encode()

    def parse(self, key: str) -> Found | None:
        """A record's key taken apart; None for what is none of format 1."""
        last = key.rpartition("/")[2]
        stem, at, text = last[: -SUMMARY_CHARS - 1], last[-SUMMARY_CHARS - 1 : -SUMMARY_CHARS], ""
        if at == "@" and stem:
            text = last[-SUMMARY_CHARS:]
        summary = decode_summary(text)
        if summary is None:
            return None
        return Found(key, None if _HASHED.fullmatch(stem) else stem, summary)

    def path_of(self, key: str) -> Key | None:
        """The path of a record's key; None where only the body tells it."""
        for area in Area:
            if key.startswith(area.value):
                folder, _, last = key[len(area.value) :].rpartition("/")
                stem = last[: -SUMMARY_CHARS - 1]
                if _HASHED.fullmatch(folder) or _HASHED.fullmatch(stem):
                    return None
                return join(Key(folder), stem)
        return None

    def directory_of(self, prefix: str) -> str | None:
        """The last component of a directory of records; None for one that stands for a long path."""
        for area in Area:
            if prefix.startswith(area.value):
                relative = prefix[len(area.value) :].rstrip("/")
                return None if _HASHED.fullmatch(relative) else relative.rpartition("/")[2]
        return None


Counted = Annotated[int, msgspec.Meta(ge=0, le=_LAST_NS)]
"""Bytes, or nanoseconds since the epoch. A body with another number is damaged."""
Modified = Annotated[int, msgspec.Meta(ge=-_MTIME_BIAS, le=_LAST_NS)]
"""Nanoseconds since the epoch, of a file's own time."""
Owner = Annotated[int, msgspec.Meta(ge=0, le=(1 << 32) - 2)]
"""A user or a group, as Linux numbers them."""


class Seen(msgspec.Struct, frozen=True, omit_defaults=True):
    """The plain key as the maker of a record saw it. Hashes where they were known."""

    id: str
    size: Counted
    modified: Modified
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None


class PurgeNote(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who purged a version and when, and what its record's name cannot say of it.

    `version` and `token` are those that it had in its history. `deleted` is the id of the deletion
    that followed, at `deleted_at`: some stores forget it with the version.
    """

    by: str
    at: Counted
    version: str
    token: str
    write: str | None = None
    deleted: str | None = None
    deleted_at: Counted = 0


class Body(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The body of a record: JSON. Fields that a reader does not know are left alone.

    `base` is the id of the version that the writer started from. `content` is the id under which the
    content lies, where that is not the version's own; `inline` is the content itself (base64).
    """

    format: int = FORMAT
    store: str
    path: str
    base: str | None = None
    content: str | None = None
    inline: bytes | None = None
    link: str | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    uid: Owner | None = None
    gid: Owner | None = None
    marks: tuple[str, ...] = ()
    host: str = ""
    run: str | None = None
    plain: Seen | None = None
    purged: PurgeNote | None = None


class Format(msgspec.Struct, frozen=True):
    """`.vstorefs/format`."""

    format: int
    layout: str
    id: str


# The last is JSON that is nested deeper than anything of ours.
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_body = msgspec.json.Decoder(Body)
_format = msgspec.json.Decoder(Format)


def encode_body(body: Body) -> bytes:
    """A record's body."""
    return msgspec.json.encode(body)


def decode_body(data: bytes) -> Body | None:
    """A record's body; None where it is damaged."""
    try:
        return _body.decode(data)
    except _UNREADABLE:
        return None


def hashes_of(told: Body | Seen) -> Hashes | None:
    """The hashes that a record's body has, or those of the plain key that it saw."""
    if told.md5 is None or told.sha1 is None or told.sha256 is None:
        return None
    return Hashes(told.md5, told.sha1, told.sha256)


def attributes_of(body: Body) -> Body:
    """The body of an attributes record that says what a content's or a directory's record said."""
    return Body(store=body.store, path=body.path, uid=body.uid, gid=body.gid, host=body.host)


def with_plain(body: Body, seen: Seen) -> Body:
    """The body with what its maker saw under the plain key."""
    return msgspec.structs.replace(body, plain=seen)


def encode_format(layout: str, store_id: str) -> bytes:
    """The content of `.vstorefs/format`."""
    return msgspec.json.encode(Format(FORMAT, layout, store_id)) + b"\n"


def decode_format(data: bytes) -> Format | None:
    """What `.vstorefs/format` says; None where it is damaged."""
    try:
        return _format.decode(data)
    except _UNREADABLE:
        return None


def stamp_of(token: str, size: int, modified_ns: int) -> str:
    """8 characters for a plain key as a listing gives it."""
    return _short(f"{token}\0{size}\0{modified_ns}")[:_STAMP]


def plain_id(path: Key, stamp: str) -> str:
    """The id of the version that lies under a plain key."""
    return _short(f"{path}\0{stamp}")


def _short(text: str) -> str:
    return to_id(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big"))


def _hashed(path: str) -> str:
    return "~" + hashlib.sha256(path.encode()).hexdigest()


def _bytes(text: str) -> int:
    return len(text.encode())


def _to_base36(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
