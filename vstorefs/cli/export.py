"""`vstorefs export`."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from vstorefs import errors, files, units
from vstorefs.cli import at, opening
from vstorefs.cli.output import show_line
from vstorefs.ledger.opening import choose
from vstorefs.model import Entry, Key
from vstorefs.stores.base import Store
from vstorefs.stores.local.store import LocalStore
from vstorefs.stores.registry import is_local, is_object_store, open_bucket, resolve
from vstorefs.versions import export as exports

DESCRIPTION = (
    "Copy a store to a plain directory, with times, modes and links, or to a plain bucket: the current versions, those "
    "at a time, or one version of a file. Needs no mount."
)
EXAMPLES = """\
examples:
  vstorefs export s3://my-bucket/prefix ~/copy
  vstorefs export s3://my-bucket/prefix s3://their-bucket/gift
  vstorefs export --at 2026-11-01T09:00Z s3://my-bucket/prefix ~/as-it-was
  vstorefs export --at 'yesterday 14:00' s3://my-bucket/prefix ~/as-it-was
  vstorefs export --path train.csv --version k3v9x0 s3://my-bucket/prefix ~/old

To resume an interrupted export, run the same command again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    opening.add_arguments(parser)
    parser.add_argument(
        "target",
        metavar="DIR|URL",
        help="target directory, created if it does not exist, or bucket",
    )
    at.add_argument(parser)
    parser.add_argument(
        "--path", metavar="PATH", help="only files at or below this path in the store"
    )
    parser.add_argument("--version", metavar="ID", help="with --path: this version of the file")


def run(options: argparse.Namespace) -> int:
    """Export, and say what was done."""
    if options.version is not None and options.path is None:
        raise errors.UsageError("--version needs --path: the file that it is a version of")
    if options.version is not None and options.at is not None:
        raise errors.UsageError("give --at or --version, not both")
    moment_ns = None
    if options.at is not None:
        moment_ns = at.moment_of(
            options.at,
            lambda: choose(os.environ, url=options.url, state_dir=options.state_dir),
        )
    path = Key((options.path or "").strip("/"))
    count = size = 0
    with opening.opened(options) as place:
        store = place.store()
        store.capabilities()
        if options.version is not None:
            entries = iter([exports.one_version(store, path, options.version)])
        elif moment_ns is not None:
            entries = store.as_of(path, moment_ns)
        else:
            entries = exports.heads(store, path)
        for done in _copied(store, entries, options.target):
            count += 1
            size += done.bytes_sent
    show_line(f"{units.count(count, 'file')}, {units.size(size)}, exported to {options.target}")
    return 0


def _copied(store: Store, entries: Iterator[Entry], target: str) -> Iterator[exports.Exported]:
    if "://" in target:
        spec = resolve("target", target, environ=os.environ)
        if is_object_store(spec.url):
            return exports.export_to_bucket(store, entries, open_bucket(spec))
        if not is_local(spec):
            raise errors.UsageError(f"{target} cannot be written to; give a directory or a bucket")
        target = str(LocalStore(spec).root)
    return _written(store, entries, Path(target))


def _written(store: Store, entries: Iterator[Entry], target: Path) -> Iterator[exports.Exported]:
    try:
        files.change("export.make", target.mkdir, parents=True, exist_ok=True)
        yield from exports.export(store, entries, target)
    except OSError as error:
        raise errors.VstorefsError(
            f"cannot write to {target}: {error.strerror or error}; run the same command again to resume"
        ) from error
