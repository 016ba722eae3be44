"""`vstorefs doctor`."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from vstorefs import errors, units
from vstorefs.cli import opening
from vstorefs.cli.output import show_json, show_line
from vstorefs.model import HIDDEN_FOLDER, Capabilities, StoreSpec
from vstorefs.state.probes import Probes
from vstorefs.stores.bucket import Bucket, Expiring, Unfinished, Unfinishing, Versioning
from vstorefs.stores.ids import new_id
from vstorefs.stores.registry import is_local, is_object_store
from vstorefs.versions.layouts.format import Layout, read_format
from vstorefs.versions.layouts.opening import Choice, choose
from vstorefs.versions.layouts.probe import Trial, findings, probe
from vstorefs.versions.metadata import JSON

DESCRIPTION = (
    "Probe what a store supports, and show what follows: how versions are kept, and what is guaranteed when many hosts "
    "write. Needs write permission; leaves nothing behind."
)
EXAMPLES = """\
examples:
  vstorefs doctor s3://my-bucket/prefix
  vstorefs doctor --enable-versioning s3://my-bucket

With bucket versioning, other tools see the newest version of each file. It applies to the whole bucket, and old
versions are stored, and billed, until somebody deletes them.
"""
_WEEK_NS = 7 * 24 * 3600 * 1_000_000_000
_LAYOUTS = {
    Layout.NATIVE: "native: bucket versioning keeps all versions; other tools see the newest",
    Layout.PORTABLE: "portable: vstorefs keeps all versions below .vstorefs/; other tools see the first of each file",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    opening.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print an object, for programs")
    parser.add_argument(
        "--enable-versioning",
        action="store_true",
        help="enable versioning on the bucket, after asking",
    )
    parser.add_argument(
        "--abort-uploads",
        action="store_true",
        help="abort multipart uploads that are over a week old and unfinished",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(options: argparse.Namespace) -> int:
    """Probe, and print what was found."""
    with opening.opened(options) as at:
        if options.enable_versioning:
            return _enable(at.bucket("--enable-versioning"), sure=options.yes)
        if options.abort_uploads:
            return _abort(at.bucket("--abort-uploads"))
        if not is_object_store(at.spec.url):
            _show_plain(at.spec, at.store().capabilities(), as_json=options.json)
            return 0
        bucket = at.bucket("vstorefs doctor")
        choice = choose(bucket)
        trials = () if choice.why_read_only else _tried(bucket)
        if trials:
            Probes(at.state).put(at.spec.id, asdict(findings(trials)))
        _show(bucket, choice, trials, _warnings(bucket), as_json=options.json)
    return 0


def _show_plain(spec: StoreSpec, found: Capabilities, *, as_json: bool) -> None:
    """What holds of a store that is no bucket, and has nothing to try."""
    if as_json:
        show_json(
            {
                "url": spec.url,
                "versioning": None,
                "layout": found.layout,
                "read_only": found.why_read_only,
                "trials": [],
                "warnings": [],
            }
        )
        return
    if is_local(spec):
        show_line(f"{spec.url}: a directory; all versions are kept below .vstorefs/")
    else:
        show_line(f"{spec.url}: web addresses; no versions, only what the server has now")
    show_line("writable" if found.writable else f"read-only: {found.why_read_only}")


def _tried(bucket: Bucket) -> tuple[Trial, ...]:
    """Trials on the format file, or where there is none yet on an object that goes again."""
    if read_format(bucket) is not None:
        return probe(bucket)
    name = f"{HIDDEN_FOLDER}/probe-{new_id()}"
    bucket.put(name, b"{}", metadata={}, content_type=JSON)
    try:
        return probe(bucket, name)
    finally:
        with contextlib.suppress(errors.Denied):
            bucket.delete(name)


def _show(
    bucket: Bucket,
    choice: Choice,
    trials: tuple[Trial, ...],
    warnings: Sequence[str],
    *,
    as_json: bool,
) -> None:
    versioning = choice.versioning.value if choice.versioning is not None else "not known"
    if as_json:
        show_json(
            {
                "url": bucket.spec.url,
                "versioning": versioning,
                "layout": choice.layout.value,
                "read_only": choice.why_read_only,
                "trials": [asdict(trial) for trial in trials],
                "warnings": list(warnings),
            }
        )
        return
    show_line(bucket.spec.url)
    show_line(f"  bucket versioning: {versioning}")
    show_line(f"  layout: {_LAYOUTS[choice.layout]}")
    if choice.why_read_only:
        show_line(f"  read-only: {choice.why_read_only}")
    for trial in trials:
        show_line(f"  {trial.tried}: {trial.answer}")
        show_line(f"    {trial.follows}")
    for warning in warnings:
        show_line(f"  warning: {warning}")
    if choice.versioning is Versioning.OFF:
        show_line(
            "  to show other tools the newest versions: vstorefs doctor --enable-versioning "
            f"{shlex.quote(bucket.spec.url)}"
        )
    elif choice.layout is Layout.PORTABLE and choice.versioning is Versioning.ENABLED:
        show_line(f"  to use bucket versioning: vstorefs migrate {shlex.quote(bucket.spec.url)}")


def _warnings(bucket: Bucket) -> Sequence[str]:
    """What the provider does by itself that goes against what is promised here."""
    found: list[str] = []
    if isinstance(bucket, Expiring):
        try:
            found += [f"{rule}: versions will be lost" for rule in bucket.expiring()]
        except errors.StoreError as error:
            found.append(f"cannot check lifecycle rules: {error.message}")
    if isinstance(bucket, Unfinishing):
        try:
            old = list(_abandoned(bucket))
        except errors.StoreError as error:
            found.append(f"cannot check for unfinished uploads: {error.message}")
        else:
            if old:
                found.append(
                    f"{units.count(len(old), 'unfinished upload')} over a week old, whose parts are billed. "
                    f"To abort: vstorefs doctor --abort-uploads {shlex.quote(bucket.spec.url)}"
                )
    return found


def _abandoned(bucket: Unfinishing) -> Iterator[Unfinished]:
    before_ns = time.time_ns() - _WEEK_NS
    return (one for one in bucket.unfinished() if one.since_ns < before_ns)


def _abort(bucket: Bucket) -> int:
    if not isinstance(bucket, Unfinishing):
        show_line(f"{bucket.spec.url}: the provider removes unfinished uploads itself")
        return 0
    old = list(_abandoned(bucket))
    for one in old:
        bucket.abort(one)
    show_line(f"{bucket.spec.url}: aborted {units.count(len(old), 'unfinished upload')}")
    return 0


def _enable(bucket: Bucket, *, sure: bool) -> int:
    if bucket.versioning() is Versioning.ENABLED:
        show_line(f"{bucket.spec.url}: versioning is enabled already")
        return 0
    if not sure:
        if not sys.stdin.isatty():
            raise errors.UsageError(
                "not a terminal; pass --yes to enable versioning without confirmation"
            )
        show_line(
            f"This enables versioning on the whole bucket of {bucket.spec.url}, for every tool; "
            "all versions are stored and billed."
        )
        if input("Enable versioning? [y/N] ").strip().lower() not in {"y", "yes"}:
            show_line("aborted; nothing was changed")
            return errors.EXIT_FAILURE
    bucket.enable_versioning()
    show_line(f"{bucket.spec.url}: versioning is now enabled")
    found = read_format(bucket)
    if found is not None and found.layout == Layout.PORTABLE.value:
        show_line(
            f"the store stays in the portable layout until: vstorefs migrate {shlex.quote(bucket.spec.url)}"
        )
    return 0
