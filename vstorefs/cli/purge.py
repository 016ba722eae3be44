"""`vstorefs purge`."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from vstorefs import errors, files
from vstorefs.cli import histories, projects
from vstorefs.cli.output import binary_size, one_or_many
from vstorefs.cli.progress import Progress
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
    "Remove versions for good: of a file in a mount or of all files below a folder, deleted ones too. This is the only "
    "way to remove bytes. The history goes on showing each version, its hashes, and who purged it when. Says what it "
    "will remove, and asks."
)
EXAMPLES = """\
examples:
  vstorefs purge --dry-run ~/data/train.csv
  vstorefs purge ~/data/train.csv                              all of it; the file is deleted too
  vstorefs purge ~/data/train.csv --versions k3v9x0q2m7ab      one version, by its id in vstorefs log
  vstorefs purge ~/data --versions keep:5                      all but the newest five of each file
  vstorefs purge ~/data --versions older-than:90d              what was superseded over 90 days ago

A purge that was stopped is finished by the next one. The exit status is 1 where something could not be removed: what
an object lock or a legal hold protects stays.
"""

_VERSIONS = 200

Needed = Callable[[StoreId, Key, VersionId, Token], str | None]
"""Why a version is still needed, None where nothing is known to need it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("path", metavar="PATH", help="a file or a folder in a mount")
    parser.add_argument(
        "--versions",
        nargs="+",
        default=[],
        metavar="WHICH",
        help="keep:N, older-than:AGE (s, m, h, d, w), or ids; without it, all versions, the newest too",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--even-if-needed",
        action="store_true",
        help="remove also what a kept run, or a run with a lock file, needs",
    )


def run(options: argparse.Namespace) -> int:
    """Say what goes, ask, and remove it."""
    wanted = selection.parse(options.versions)
    found = histories.below(options.path, to_purge=True)
    rows = histories.versions(found, wanted)
    _see_that_ids_are_clear(rows, wanted)
    if not rows:
        print("there is nothing to remove")
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
                return f"run {run} is kept"
        return None

    return why


def _see_that_ids_are_clear(rows: Sequence[ChosenVersion], wanted: Selection) -> None:
    for word in wanted.ids if wanted.rule is Rule.NAMED else ():
        named = [row for row in rows if row.id.startswith(word) or _label(row).startswith(word)]
        if len(named) != 1:
            why = "no version" if not named else f"{len(named)} versions"
            raise errors.UsageError(
                f"{why} here with an id that begins with {word}; vstorefs log shows them, with what was purged"
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
            print(f"{row.path}: version {_label(row)} is needed: {why}", file=sys.stderr)
    if reasons and not allowed:
        raise errors.VstorefsError(
            f"{one_or_many(reasons, 'version is', 'versions are')} needed, and nothing was removed; "
            "choose others, or add --even-if-needed"
        )


def _show(rows: Sequence[ChosenVersion]) -> None:
    width = max(len(row.path) for row in rows)
    for row in rows:
        time = row.time.replace("T", " ").removesuffix("Z")
        print(f"{row.path:{width}}  {time}  {_label(row)}  {row.size:>14}{_remarks(row)}".rstrip())
    files = len({row.path for row in rows})
    size = sum(row.size for row in rows)
    print(f"{_count(rows)} of {one_or_many(files, 'file', 'files')}, {binary_size(size)}")
    heads = sum(bool(row.is_head) for row in rows)
    if heads:
        print(
            f"{one_or_many(heads, 'of them is what a file shows', 'of them are what files show')} now: "
            "deleted first"
        )


def _remarks(row: ChosenVersion) -> str:
    remarks = ["the file's newest"] if row.is_head else []
    remarks += ["hashes not known"] if row.sha256 is None else []
    remarks += ["its purge was stopped"] if row.purging else []
    return f"  {', '.join(remarks)}"


def _ask() -> None:
    if not sys.stdin.isatty():
        raise errors.UsageError("nobody is there to be asked, and nothing was removed; add --yes")
    if input("Remove them for good? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise errors.VstorefsError("nothing was removed")


def _purge(record: MountRecord, rows: Sequence[ChosenVersion]) -> int:
    outcomes: list[PurgeOutcome] = []
    by, at = f"{files.user_name()}@{socket.gethostname()}", SystemClock().wall_ns()
    wanted = [Named(row.path, row.id) for row in rows]
    with Progress(lambda: f"{len(outcomes)} of {len(rows)} versions removed"):
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
        print(f"{path}: cannot be deleted: {error.strerror}", file=sys.stderr)


def _tell(rows: Sequence[ChosenVersion], outcomes: Sequence[PurgeOutcome]) -> int:
    failed = {(one.path, one.id) for one in outcomes if one.error}
    for one in outcomes:
        if one.error:
            print(f"{one.path}: {label(one.id)}: not removed: {one.error}", file=sys.stderr)
        elif one.kept:
            print(f"{one.path}: {label(one.id)}: its bytes stay, for {one.kept} has them too")
    gone = [row for row in rows if (row.path, row.id) not in failed]
    print(f"removed {_count(gone)}, {binary_size(sum(row.size for row in gone))}")
    return errors.EXIT_FAILURE if failed else 0


def _count(rows: Sequence[ChosenVersion]) -> str:
    return one_or_many(len(rows), "version", "versions")


def _label(row: ChosenVersion) -> str:
    return label(row.id)
