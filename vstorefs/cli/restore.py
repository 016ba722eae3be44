"""`vstorefs restore`."""

from __future__ import annotations

import argparse
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec

from vstorefs import errors, units
from vstorefs.cli import points
from vstorefs.cli.output import note_line, show_line, shown_path
from vstorefs.cli.versionfiles import history_of, version_file
from vstorefs.control.client import Pages
from vstorefs.control.history import Restore, RestoreRow
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.names import label
from vstorefs.versions.history.restore import Action

DESCRIPTION = (
    "Restore an old version of a file, or a directory as of a time, deleted files included. What is restored becomes a "
    "new version; no history is changed."
)
EXAMPLES = """\
examples:
  vstorefs restore ~/data/train.csv                               undo the last change, or the deletion
  vstorefs restore ~/data/train.csv --version k3v9x0q2            a version (see vstorefs log)
  vstorefs restore ~/data/train.csv --at 'yesterday 14:00' --to ~/data/train-old.csv
  vstorefs restore ~/data/models --at 2026-11-01T09:00Z --dry-run
  vstorefs restore ~/data/models --at 2026-11-01T09:00Z --delete  and delete files that did not exist then

To resume an interrupted restore, run the same command again.
"""

_EVERY = 500


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "path", metavar="PATH", help="a file or directory in a mount, existing or deleted"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--version", metavar="ID", help="this version of a file, or the first characters of its id"
    )
    which.add_argument("--at", metavar="TIME", help="as of a time, or of run:ID")
    parser.add_argument("--to", metavar="P", help="restore to this path instead of its own")
    parser.add_argument(
        "--delete", action="store_true", help="with --at: delete files that did not exist then"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, change nothing"
    )


def run(options: argparse.Namespace) -> int:
    """Ask the mount to restore, and tell what it does."""
    if options.delete and options.at is None:
        raise errors.UsageError("--delete needs --at: it deletes files that did not exist then")
    record = mounts.mount_of(options.path)
    at = points.moment(options.at, record) if options.at is not None else None
    place = _place(record, options.path, options.to)
    if place.inside is None and options.delete:
        raise errors.UsageError("--delete works within one store only, and --to is outside of it")
    pages = Pages(
        record,
        Restore(
            path=mounts.inside(record, options.path),
            to=place.inside,
            version=options.version,
            at=at,
            delete=options.delete,
            dry_run=options.dry_run,
            pid=os.getpid(),
        ),
    )
    rows = iter(pages)
    if place.inside is None and not options.dry_run:
        rows = _copied(record, options.path, place.shown, rows)
    counts = _tell(rows, place.shown)
    if not pages.end.files:
        raise errors.VstorefsError(
            f"{options.path} has no versions: no such file or directory, now or earlier"
        )
    counts[Action.SAME.value] = pages.end.counts.get(Action.SAME.value, 0)
    _summary(counts, dry_run=options.dry_run)
    return 1 if counts["failed"] or counts[Action.LOST.value] else 0


class _Place:
    """Where it comes back: `inside` the mount's store, or None for elsewhere."""

    def __init__(self, shown: str, inside: str | None) -> None:
        self.shown = shown
        self.inside = inside


def _place(record: MountRecord, path: str, to: str | None) -> _Place:
    source = mounts.inside(record, path)
    if to is None:
        return _Place(path, source)
    if Path(to).expanduser().is_dir() and history_of(record, path):
        to = os.path.join(to, os.path.basename(source))  # noqa: PTH118, PTH119 — as it was typed
    absolute = os.path.abspath(Path(to).expanduser())  # noqa: PTH100 — without following links into a mount
    other = mounts.find(absolute)
    if other is None or other.mount_point != record.mount_point:
        return _Place(to, None)
    target = mounts.inside(record, to)
    if not record.project.single and target.partition("/")[0] != source.partition("/")[0]:
        return _Place(to, None)
    return _Place(to, target)


def _copied(
    record: MountRecord, path: str, to: str, rows: Iterator[RestoreRow]
) -> Iterator[RestoreRow]:
    """Copy what comes back to a place that its store cannot copy to."""
    for row in rows:
        if row.action == Action.CREATE.value and row.id is not None:
            target = Path(shown_path(to, row.path)).expanduser()
            try:
                source = version_file(record, shown_path(path, row.path), row.id)
                _copy(source, target)
            except (errors.VstorefsError, OSError) as error:
                yield msgspec.structs.replace(row, outcome="failed", error=str(error))
                continue
        yield row


def _copy(source: Path, target: Path) -> None:
    absolute = os.path.abspath(target)  # noqa: PTH100 — without following links into a mount
    if mounts.find(absolute) is None and target.exists():
        raise errors.VstorefsError(
            "it exists already, and outside a mount no version of it would be kept"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    about = source.stat()
    os.utime(target, ns=(about.st_mtime_ns, about.st_mtime_ns))


def _tell(rows: Iterator[RestoreRow], to: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    size = 0
    for number, row in enumerate(rows, 1):
        counts[row.outcome] += 1
        size += row.size or 0
        path = shown_path(to, row.path)
        if row.error:
            note_line(f"{path}: not restored: {row.error}")
        elif row.outcome == Action.LOST.value:
            note_line(f"{path}: its content is no longer in the store")
        else:
            show_line(f"{row.outcome:11}  {path}{_origin(row)}")
        if number % _EVERY == 0:
            note_line(f"{units.count(number, 'file')}, {units.size(size)}")
    return counts


def _origin(row: RestoreRow) -> str:
    if row.id is None or row.time is None or row.size is None:
        return ""
    time = datetime.fromisoformat(row.time)
    return f"  {units.size(row.size)}, version {label(row.id)} of {units.moment(time)} UTC"


def _summary(counts: Counter[str], *, dry_run: bool) -> None:
    told = [f"{counts[one.value]} {one.value}" for one in Action if counts[one.value]]
    told += [f"{counts['failed']} failed"] if counts["failed"] else []
    left = " (--delete deletes files that did not exist then)" if counts[Action.LEFT.value] else ""
    would = "dry run, nothing was changed: " if dry_run else ""
    show_line(f"{would}{', '.join(told) or 'nothing existed then'}{left}")
