"""A file's history: its versions, what used and made each, two of them compared, and how to bring one back.

Versions come from a mount of the file's store, through its control socket; their contents from its `.versions`. Without
a mount only what the ledger knows is shown.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors, units
from vstorefs.control import client
from vstorefs.control.history import ShowHistory
from vstorefs.ledger.index import OfContent, OfPath
from vstorefs.ledger.manifest import ChangeWarning, Place, Seen
from vstorefs.model import VERSIONS_FOLDER, Hashes, Mark, Token, VersionId, VersionKind
from vstorefs.versions.history.names import label, quote
from vstorefs.versions.history.texts import VersionItem, marks_text
from vstorefs.web import differences, paging, texts
from vstorefs.web.differences import TextDiff
from vstorefs.web.pages.warnings import acknowledge
from vstorefs.web.paging import Page
from vstorefs.web.site import Mounted, Site

_VERSIONS = 100
_ASK_S = 30.0


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version. `name` is empty where it has no content, `run` where no run made it; `restore` brings it back."""

    id: str
    short: str
    name: str
    time: str
    size: int
    who: str
    run: str
    marks: list[str]
    is_head: bool
    hashes: Hashes | None
    known: OfContent
    restore: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Two versions side by side."""

    old: VersionRow
    new: VersionRow
    result: TextDiff


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A file. `problem` says why its versions are not shown."""

    place: Place
    path: str
    problem: str
    versions: Page[VersionRow]
    of_path: OfPath
    warnings: list[ChangeWarning]
    acknowledge: str
    compared: Compared | None
    old: str
    new: str


def show(site: Site, path: str, *, number: int = 1, old: str = "", new: str = "") -> HistoryPage:
    """A file's history, newest version first, with two of its versions compared where they are named.

    Raises: UsageError for a path outside the project; NotFound for a file, version or page that there is not.
    """
    place = site.place_at(path)
    mounted = site.mounted(place)
    rows: list[VersionRow] = []
    problem = ""
    try:
        rows = _versions(site, place, mounted)
    except _NotSaid as error:
        problem = str(error)
    of_path, warnings = site.ledger.of_path(place), site.ledger.warnings_of(place)
    if not (rows or warnings or of_path.used or of_path.made):
        never = "no such file in the project, now or earlier"
        raise errors.NotFound(f"no run used it. {problem}" if problem else never, key=path)
    compared = None
    if mounted is not None and not problem and (old or new):
        compared = _compared(mounted, _named(rows, old), _named(rows, new))
    suggested = [row.id for row in rows if row.name]
    return HistoryPage(
        place=place,
        path=site.path_of(place),
        problem=problem,
        versions=paging.page(rows, number, _VERSIONS),
        of_path=of_path,
        warnings=warnings,
        acknowledge=acknowledge(site, place),
        compared=compared,
        old=old or (suggested[1] if len(suggested) > 1 else ""),
        new=new or (suggested[0] if suggested else ""),
    )


class _NotSaid(Exception):
    """No mount tells of the versions, and why."""


def _versions(site: Site, place: Place, mounted: Mounted | None) -> list[VersionRow]:
    if mounted is None:
        raise _NotSaid(
            "Its store is not mounted on this host. To see versions, mount it with vstorefs mount."
        )
    try:
        found = client.ask(mounted.record, ShowHistory(mounted.inside), timeout_s=_ASK_S)
    except errors.VstorefsError as error:
        raise _NotSaid(str(error)) from error
    items = list(reversed(found.versions))
    known = site.ledger.of_contents((place, _seen(item)) for item in items)
    return [_row(mounted, item, about) for item, about in zip(items, known, strict=True)]


def _seen(item: VersionItem) -> Seen:
    return Seen(token=Token(item.token or ""), size=item.size, version=VersionId(item.id))


def _row(mounted: Mounted, item: VersionItem, known: OfContent) -> VersionRow:
    marks = [mark for mark in item.marks if mark != Mark.OUTSIDE.value]
    outside = len(marks) < len(item.marks) or item.write_id is None
    is_content = item.kind == VersionKind.CONTENT.value
    return VersionRow(
        id=item.id,
        short=label(item.id),
        name=item.name or "",
        time=units.moment_of(item.time),
        size=item.size if is_content else -1,
        who="another program" if outside else "vstorefs",
        run=item.run or known.made_by or "",
        marks=[marks_text([mark]) for mark in marks],
        is_head=item.is_head,
        hashes=_hashes(item),
        known=known,
        restore=texts.command_line(("vstorefs", "restore", mounted.path, f"--version={item.id}")),
    )


def _hashes(item: VersionItem) -> Hashes | None:
    if item.md5 and item.sha1 and item.sha256:
        return Hashes(item.md5, item.sha1, item.sha256)
    return None


def _named(rows: Sequence[VersionRow], version: str) -> VersionRow:
    for row in rows:
        if row.id == version:
            if not row.name:
                raise errors.NotFound("this version has no content to compare", key=version)
            return row
    raise errors.NotFound("no such version of this file", key=version)


def _compared(mounted: Mounted, old: VersionRow, new: VersionRow) -> Compared:
    if max(old.size, new.size) > differences.LIMIT_BYTES:
        limit = units.size(differences.LIMIT_BYTES)
        return Compared(old, new, TextDiff(f"Over {limit}: too large for a line diff."))
    try:
        result = differences.compare(_content(mounted, old), _content(mounted, new))
    except OSError as error:
        result = TextDiff(f"Cannot read a version: {error.strerror}.")
    return Compared(old, new, result)


def _content(mounted: Mounted, row: VersionRow) -> bytes:
    path = Path(mounted.path)
    folder = path.parent / VERSIONS_FOLDER / quote(path.name)
    if not _is_in(mounted.record.mount_point, folder):
        raise OSError(None, "a link leads out of the mount")
    with (folder / row.name).open("rb") as file:
        return file.read(differences.LIMIT_BYTES + 1)


def _is_in(mount_point: str, folder: Path) -> bool:
    """Whether a directory is in a mount in truth; a link in the store may lead anywhere."""
    return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(mount_point))
