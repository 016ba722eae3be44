"""`vstorefs purge`."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vstorefs import errors, files, units
from vstorefs.cli import histories, projects
from vstorefs.cli.output import note_line, show_line
from vstorefs.cli.progress import ProgressLine
from vstorefs.clock import SystemClock
from vstorefs.control import client
from vstorefs.control.maintenance import ChosenVersion, Named, PurgeOutcome, PurgeVersions
from vstorefs.ledger.manifest import Input, Output, Seen
from vstorefs.ledger.opening import choose
from vstorefs.model import Key, StoreId, Token, VersionId
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history import selection
from vstorefs.versions.history.names import label
from vstorefs.versions.history.selection import Rule, Selection

DESCRIPTION = (
    "Delete versions permanently: of a file in a mount, or of all files below a directory, deleted ones included. This "
    "is the only way to remove bytes. The history still shows each version, its hashes, and who purged it when. Lists "
    "what will be deleted, and asks."
)
EXAMPLES = """\
examples:
  vstorefs purge --dry-run ~/data/train.csv
  vstorefs purge ~/data/train.csv                              all versions; the file is deleted too
  vstorefs purge ~/data/train.csv --versions k3v9x0q2m7ab      one version, by its id in vstorefs log
  vstorefs purge ~/data --versions keep:5                      all but the newest five of each file
  vstorefs purge ~/data --versions older-than:90d              what was superseded over 90 days ago

The next purge finishes an interrupted one. The exit status is 1 if some versions could not be deleted: an object lock
or a legal hold protects them.
"""

_VERSIONS = 200

Needed = Callable[[StoreId, Key, VersionId, Token], str | None]
"""Why a version is still needed, None where nothing is known to need it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file or a directory in a mount")
    parser.add_argument(
        "--versions",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHICH",
        help="keep:N, older-than:AGE (s, m, h, d, w), or version ids (default: all versions, the current one included)",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be deleted, change nothing"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--even-if-needed",
        action="store_true",
        help="also delete files that protected runs, or runs with a lock file, need",
    )


def run(options: argparse.Namespace) -> int:
    """Say what goes, ask, and remove it."""
    wanted = selection.parse(options.versions)
    found = histories.below(options.path, to_purge=True)
    rows = histories.versions(found, wanted)
    _see_that_ids_are_clear(rows, wanted)
    if not rows:
        show_line("nothing to purge")
        return 0
    _show(rows)
    _see_that_nothing_is_needed(
        rows, _needed(found.record.mount_point), allowed=options.even_if_needed
    )
    if options.dry_run:
        return 0
    if not options.yes:
        _ask()
    return _purge(found.record, rows)


def _needed(mount_point: str) -> Needed:
    """Asks what kept runs of the mount's project used and made; a lock file keeps its run. Raises: a StoreError."""
    needed: dict[tuple[StoreId, Key], list[tuple[Seen, str]]] = {}
    with projects.ledger_of(choose(os.environ, path=mount_point)) as (ledger, _):
        for run in map(ledger.find, ledger.kept()):
            whole = ledger.manifest(run)
            contents: list[Input | Output] = [*whole.inputs, *whole.outputs]
            for one in contents:
                place = (one.place.store, one.place.path)
                needed.setdefault(place, []).append((one.content, run.label))

    def why(store: StoreId, key: Key, version: VersionId, token: Token) -> str | None:
        for content, run in needed.get((store, key), ()):
            if version == content.version or token == content.token:
                return f"run {run} is protected (vstorefs keep)"
        return None

    return why


def _see_that_ids_are_clear(rows: Sequence[ChosenVersion], wanted: Selection) -> None:
    for word in wanted.ids if wanted.rule is Rule.NAMED else ():
        named = [row for row in rows if row.id.startswith(word) or _label(row).startswith(word)]
        if len(named) != 1:
            why = "no version" if not named else units.count(len(named), "version")
            raise errors.UsageError(
                f"{why} with an id that begins with {word}; vstorefs log lists the ids, purged versions included"
            )


def _see_that_nothing_is_needed(
    rows: Sequence[ChosenVersion], needed: Needed, *, allowed: bool
) -> None:
    reasons = 0
    for row in rows:
        key, store = Key(row.key), StoreId(row.store)
        why = needed(store, key, VersionId(row.id), Token(row.token or ""))
        if why is not None:
            reasons += 1
            note_line(f"{row.path}: version {_label(row)} is protected: {why}")
    if reasons and not allowed:
        raise errors.VstorefsError(
            f"{units.count(reasons, 'version is', 'versions are')} protected; nothing was deleted; "
            "choose others, or pass --even-if-needed"
        )


def _show(rows: Sequence[ChosenVersion]) -> None:
    width = max(len(row.path) for row in rows)
    for row in rows:
        time = units.moment_of(row.time)
        show_line(
            f"{row.path:{width}}  {time}  {_label(row)}  {row.size:>14}{_remarks(row)}".rstrip()
        )
    files = len({row.path for row in rows})
    size = sum(row.size for row in rows)
    show_line(f"{_count(rows)} of {units.count(files, 'file')}, {units.size(size)}")
    heads = sum(bool(row.is_head) for row in rows)
    if heads:
        show_line(
            f"including {units.count(heads, 'current version, whose file is', 'current versions, whose files are')} "
            "deleted first"
        )


def _remarks(row: ChosenVersion) -> str:
    remarks = ["current"] if row.is_head else []
    remarks += ["hashes unknown"] if row.sha256 is None else []
    remarks += ["purge unfinished"] if row.purging else []
    return f"  {', '.join(remarks)}"


def _ask() -> None:
    if not sys.stdin.isatty():
        raise errors.UsageError(
            "not a terminal; pass --yes to purge without confirmation; nothing was deleted"
        )
    if input("Delete them permanently? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise errors.VstorefsError("aborted; nothing was deleted")


def _purge(record: MountRecord, rows: Sequence[ChosenVersion]) -> int:
    outcomes: list[PurgeOutcome] = []
    by, at = f"{files.user_name()}@{socket.gethostname()}", SystemClock().wall_ns()
    wanted = [Named(row.path, row.id) for row in rows]
    with ProgressLine(lambda: f"{len(outcomes)} of {_count(rows)} purged"):
        for row in rows:
            if row.is_head:
                _delete(Path(record.mount_point) / row.path)
        for batch in histories.batches(wanted, _VERSIONS):
            request = PurgeVersions(tuple(batch), by, at)
            outcomes += client.ask(record, request, timeout_s=None).outcomes
    return _tell(rows, outcomes)


def _delete(path: Path) -> None:
    """Delete a file in the mount, as any program would: its newest version is then like the others."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        note_line(f"{path}: cannot delete: {error.strerror}")


def _tell(rows: Sequence[ChosenVersion], outcomes: Sequence[PurgeOutcome]) -> int:
    failed = {(one.path, one.id) for one in outcomes if one.error}
    for one in outcomes:
        if one.error:
            note_line(f"{one.path}: {label(one.id)}: not purged: {one.error}")
        elif one.kept:
            show_line(f"{one.path}: {label(one.id)}: content kept, {one.kept} shares it")
    gone = [row for row in rows if (row.path, row.id) not in failed]
    show_line(f"purged {_count(gone)}, {units.size(sum(row.size for row in gone))}")
    return errors.EXIT_FAILURE if failed else 0


def _count(rows: Sequence[ChosenVersion]) -> str:
    return units.count(len(rows), "version")


def _label(row: ChosenVersion) -> str:
    return label(row.id)
