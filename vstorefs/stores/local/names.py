"""Names in a `file` store's hidden directory, and the identity that a file carries.

Pure but for reading and writing what a file says it is: in an xattr, or where the file system keeps
none (NFS) in a side file that is found by the file's inode number.

    .vstorefs/versions/<dir>@/<name>@/                directory of `<dir>/<name>`; the mark keeps directories
                                                      and names of versions apart
        .lock                                         flock: writers exclusive, readers of history shared
        <id>.tmp                                      content on its way in
        <id>.new                                      content ready to become head; after the exchange, the old one
        <time>-<id>                                   a superseded version, read-only
        <time>-<id>.deleted                           a tombstone
        <time>-<id>.replaced                          a version whose bytes another program destroyed in place
        <time>-<id>.purged                            what is left of a version whose bytes were purged
        <inode>.about                                 what the file of that inode says it is, where it has no xattr

`<time>` is nanoseconds since the epoch, 20 digits. A component that would grow over 255 bytes is
`~<sha256>@`.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from vstorefs import files
from vstorefs.model import Hashes, Key, Mark, Purger, RunId, Token, WriteId
from vstorefs.stores.ids import to_id
from vstorefs.stores.local.disk import NOT_THERE

XATTR = "user.vstorefs"
HIDDEN = ".vstorefs"
LOCK = ".lock"
DELETED = ".deleted"
REPLACED = ".replaced"
PURGED = ".purged"
NEW = ".new"
ABOUT = ".about"
_TOO_LONG = frozenset({errno.ENOSPC, errno.E2BIG})
"""What a file system says of an xattr for which it has no place: ext4 of what does not fit one block."""
_XATTR_BYTES = 900
"""So much fits the smallest block."""
_NAME_BYTES = 255
_TIME_DIGITS = 20
# Linux takes no longer path in a call, its end included; longest is the name of a version that was purged or replaced.
_PATH_BYTES = 4096
_VERSION_BYTES = 80


PART_BYTES = len("@")
"""What each part of a path takes besides in the hidden directory."""


def path_bytes(root: Path) -> int:
    """How long a path below `root` may be, so that its versions have room in the hidden directory, marks and all."""
    # Who changes something works below the open directory, whose name may be the longer one.
    longest = max(root, Path("/proc/self/fd/1000000"), key=lambda one: len(os.fsencode(one)))
    hidden = len(os.fsencode(longest / HIDDEN / "versions")) + 1
    return max(1, _PATH_BYTES - hidden - _VERSION_BYTES)


@dataclass(frozen=True, slots=True)
class Identity:
    """What a file says it is. `derived`: from its size and times, because it carries no identity that still holds.

    `time_ns` of a derived identity is where its times would put it; its neighbours clamp it when it
    is filed.
    """

    id: str
    time_ns: int
    size: int
    mtime_ns: int
    path: str
    derived: bool = False
    mode: int | None = None
    base: Token | None = None
    write_id: WriteId | None = None
    hashes: Hashes | None = None
    marks: tuple[Mark, ...] = field(default=())
    run: RunId | None = None
    purged: Purger | None = None

    def encode(self) -> bytes:
        """The value of the xattr."""
        about: dict[str, object] = {
            "id": self.id,
            "time": self.time_ns,
            "size": self.size,
            "mtime": self.mtime_ns,
            "path": self.path,
        }
        optional = {
            "mode": self.mode,
            "base": self.base,
            "write": self.write_id,
            "run": self.run,
        }
        about.update({name: value for name, value in optional.items() if value is not None})
        if self.hashes is not None:
            about.update(
                {"md5": self.hashes.md5, "sha1": self.hashes.sha1, "sha256": self.hashes.sha256}
            )
        if self.marks:
            about["marks"] = [mark.value for mark in self.marks]
        if self.purged is not None:
            about["purged"] = {"by": self.purged.by, "at": self.purged.time_ns}
        return json.dumps(about, separators=(",", ":")).encode()


def decode(value: bytes) -> Identity | None:
    """The identity that an xattr holds; None if it is not ours to read."""
    try:
        about = json.loads(value)
        hashes = Hashes(about["md5"], about["sha1"], about["sha256"]) if "sha256" in about else None
        purged = about.get("purged")
        return Identity(
            str(about["id"]),
            int(about["time"]),
            int(about["size"]),
            int(about["mtime"]),
            str(about["path"]),
            mode=about.get("mode"),
            base=about.get("base"),
            write_id=about.get("write"),
            hashes=hashes,
            marks=tuple(Mark(mark) for mark in about.get("marks", ())),
            run=about.get("run"),
            purged=Purger(str(purged["by"]), int(purged["at"])) if purged is not None else None,
        )
    except (ValueError, KeyError, TypeError):
        return None


def carried(file: int | Path, folder: Path) -> Identity | None:
    """The identity written on a file, whether or not it still holds. `folder` is that of its path's versions."""
    try:
        return decode(os.getxattr(file, XATTR))
    except OSError:
        pass
    try:
        return decode(side_file(file, folder).read_bytes())
    except OSError:
        return None


def side_file(file: int | Path, folder: Path) -> Path:
    """Where it is written what a file is, if not on the file itself."""
    number = os.fstat(file).st_ino if isinstance(file, int) else file.lstat().st_ino
    return folder / f"{number}{ABOUT}"


def stamp(file: int | Path, folder: Path, identity: Identity) -> None:
    """Write on a file what it is, or beside it where it cannot carry that."""
    about = identity.encode()
    try:
        files.change("file.stamp", os.setxattr, file, XATTR, about)
    except OSError as error:
        too_long = error.errno in _TOO_LONG and len(about) > _XATTR_BYTES
        if error.errno not in NOT_THERE and not too_long:
            raise
        files.write_durably(side_file(file, folder), about)
        if too_long:
            # What it said before is looked at before what lies beside it.
            with suppress(OSError):
                files.change("file.stamp", os.removexattr, file, XATTR)


def identify(file: int | Path, about: os.stat_result, key: Key, folder: Path) -> Identity:
    """What a file at the plain path `key` is: what it carries while that fits, else derived."""
    own = carried(file, folder)
    if own is not None and fits(own, about) and own.path == key:
        return own
    return derive(about, key)


def fits(identity: Identity, about: os.stat_result) -> bool:
    """Whether a file still has the size and time that its identity was written for."""
    return identity.size == about.st_size and identity.mtime_ns == about.st_mtime_ns


def derive(about: os.stat_result, key: Key) -> Identity:
    """The identity of content that another program made: weak, from path, inode, size and time."""
    text = f"{key}\0{about.st_ino}\0{about.st_size}\0{about.st_mtime_ns}"
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()
    return Identity(
        to_id(int.from_bytes(digest[:16], "big")),
        min(about.st_mtime_ns, about.st_ctime_ns),
        about.st_size,
        about.st_mtime_ns,
        key,
        derived=True,
        mode=stat.S_IMODE(about.st_mode),
        marks=(Mark.OUTSIDE,),
    )


def folder_of(root: Path, key: Key) -> Path:
    """The directory of a path's versions (of a directory's, for the key of a directory)."""
    folder = root / HIDDEN / "versions"
    for part in key.split("/") if key else []:
        folder /= component(part)
    return folder


def component(name: str) -> str:
    """The directory name of one component of a path."""
    data = os.fsencode(name)
    return f"{name}@" if len(data) < _NAME_BYTES else f"~{hashlib.sha256(data).hexdigest()}@"


def filed_name(time_ns: int, version: str, suffix: str = "") -> str:
    """The name under which a version is filed."""
    return f"{time_ns:0{_TIME_DIGITS}d}-{version}{suffix}"


def parse_filed(name: str) -> tuple[int, str, str] | None:
    """Time, id and suffix of a filed name; None for any other name."""
    stem, dot, suffix = name.partition(".")
    time, dash, version = stem.partition("-")
    if not dash or len(time) != _TIME_DIGITS or not time.isdigit() or not version:
        return None
    if dot and f".{suffix}" not in {DELETED, REPLACED, PURGED}:
        return None
    return int(time), version, f".{suffix}" if dot else ""
