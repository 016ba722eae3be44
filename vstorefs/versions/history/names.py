"""The names of versions in `.versions/`: a time, 12 characters of the id, the suffix of the file's own name.

    2026-11-23T160540.000Z_k3v9x0q2m7ab.gz

A name never changes and names sort oldest first. Where a store gives whole seconds only, the
milliseconds are the rank within the second, in the store's own order. A time that goes back
(another program set it) is shown as the one before it, one millisecond on. Only versions with
content have a name. Pure.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import PurePosixPath

from vstorefs.model import Mark, Version, VersionKind

_OURS = re.compile(r"[0-9a-z]{26}")
_SECOND_NS = 1_000_000_000
_LABEL = 12
_GONE = {Mark.REPLACED_OUTSIDE, Mark.PURGED}


def version_names(name: str, versions: Sequence[Version]) -> list[str | None]:
    """The names of a file's versions, in their order; None for those without content.

    `versions` is the whole history, oldest first: a name depends only on what stands before it.
    """
    suffix = PurePosixPath(name).suffix
    coarse = all(version.time_ns % _SECOND_NS == 0 for version in versions)
    names: list[str | None] = []
    last_ms = second = rank = -1
    for version in versions:
        this = version.time_ns // _SECOND_NS
        if coarse:
            rank = rank + 1 if this == second else 0
            second = this
            moment = this * 1000 + rank
        else:
            moment = version.time_ns // 1_000_000
        moment = max(moment, last_ms + 1)
        last_ms = moment
        shown = version.kind is VersionKind.CONTENT and not _GONE & set(version.marks)
        names.append(f"{_time(moment)}_{label(version.id)}{suffix}" if shown else None)
    return names


def label(version: str) -> str:
    """12 characters that stand for a version's id."""
    if _OURS.fullmatch(version):
        return version[:_LABEL]
    digest = hashlib.sha256(version.encode("utf-8", "surrogateescape")).digest()
    return base64.b32encode(digest).decode().lower()[:_LABEL]


def quote(name: str) -> str:
    """A file's name as a directory of `.versions/`: names that begin with `@` are ours there."""
    return f"@{name}" if name.startswith("@") else name


def unquote(name: str) -> str | None:
    """The file's name; None for one of our own names."""
    if name.startswith("@@"):
        return name[1:]
    return None if name.startswith("@") else name


def _time(moment_ms: int) -> str:
    seconds, ms = divmod(moment_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H%M%S}.{ms:03d}Z"
