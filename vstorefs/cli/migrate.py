"""`vstorefs migrate`."""

from __future__ import annotations

import argparse
import sys

from vstorefs import errors, units
from vstorefs.cli import opening
from vstorefs.cli.output import show_line
from vstorefs.model import Capabilities
from vstorefs.versions.layouts.migrate import WAIT_S, Migration
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings

DESCRIPTION = (
    "Move a store from the portable layout to bucket versioning, once that is enabled. Every version keeps its order, "
    "content, hashes and time; other tools then see the newest version of each file."
)
EXAMPLES = f"""\
examples:
  vstorefs migrate --dry-run s3://my-bucket/prefix
  vstorefs migrate s3://my-bucket/prefix

Unmount the store on all hosts first. On hosts that still have it mounted, writes fail from
{units.duration(WAIT_S)} after the start on. To resume an interrupted migration, run the same command again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    opening.add_arguments(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="show what would be done, change nothing"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    parser.add_argument(
        "--wait",
        type=float,
        default=WAIT_S,
        metavar="SECONDS",
        help="how long to wait for other hosts to notice; 0 if there are none",
    )


def run(options: argparse.Namespace) -> int:
    """Migrate, path by path."""
    with opening.opened(options) as at:
        bucket = at.bucket("vstorefs migrate")
        store = PortableStore(bucket, Capabilities(writable=True), Findings)
        migration = Migration(bucket, store)
        migration.check()
        if not options.dry_run and not options.yes:
            _ask(options.url)
        done = migration.plan() if options.dry_run else migration.run(wait_s=options.wait)
        paths = made = lost = 0
        for moved in done:
            paths, made, lost = paths + 1, made + moved.made, lost + moved.lost
            if moved.lost:
                show_line(
                    f"{moved.path}: {units.count(moved.lost, 'version has', 'versions have')} no content any more, "
                    "as another tool replaced the plain key; the records stay in .vstorefs/history/"
                )
    would = "would make" if options.dry_run else "made"
    show_line(
        f"{units.count(paths, 'file')}: {would} {units.count(made, 'version')}; {lost} cannot be kept"
    )
    return 0


def _ask(url: str) -> None:
    if not sys.stdin.isatty():
        raise errors.UsageError("not a terminal; pass --yes to migrate without confirmation")
    if input(f"Is {url} unmounted on every host? [y/N] ").strip().lower() not in {"y", "yes"}:
        raise errors.VstorefsError("aborted; nothing was changed")
