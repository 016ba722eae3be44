"""What lies at a path, as a listing shows it; links have no versions, and are known by what they are now."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from vstorefs.model import Entry, EntryKind, Key, Token, Version, VersionId, VersionKind, Write
from vstorefs.stores.local import names


def to_entry(path: Path, about: os.stat_result, key: Key, folder: Path) -> Entry | None:
    """A file, directory or link; None for anything else. `folder` is that of its versions."""
    mode, owner = stat.S_IMODE(about.st_mode), (about.st_uid, about.st_gid)
    if stat.S_ISDIR(about.st_mode):
        return Entry(
            key, EntryKind.DIRECTORY, 0, about.st_mtime_ns, mode=mode, uid=owner[0], gid=owner[1]
        )
    if stat.S_ISLNK(about.st_mode):
        target = str(path.readlink())
        return Entry(
            key,
            EntryKind.SYMLINK,
            len(target),
            about.st_mtime_ns,
            link_token(path),
            mode=mode,
            uid=owner[0],
            gid=owner[1],
            target=target,
        )
    if not stat.S_ISREG(about.st_mode):
        return None
    identity = names.identify(path, about, key, folder)
    return Entry(
        key,
        EntryKind.FILE,
        about.st_size,
        about.st_mtime_ns,
        Token(identity.id),
        not identity.derived,
        VersionId(identity.id),
        mode,
        owner[0],
        owner[1],
    )


def link_token(path: Path) -> Token:
    """What names a link: which one it is, and its text."""
    identity = f"{path.lstat().st_ino}\0{path.readlink()}"
    return Token(hashlib.sha256(os.fsencode(identity)).hexdigest()[:26])


def link_version(path: Path, key: Key, write: Write) -> Version:
    """A link as what its maker is given."""
    return Version(
        key,
        write.version,
        VersionKind.CONTENT,
        write.time_ns,
        link_token(path),
        size=len(os.fsencode(path.readlink())),
        write_id=write.write_id,
        is_head=True,
    )


def is_text(name: str) -> bool:
    """Whether a name can be said in UTF-8."""
    return not any("\udc80" <= character <= "\udcff" for character in name)
