"""`vstorefs show`."""

from __future__ import annotations

import argparse
import shlex
from datetime import datetime

from vstorefs import units
from vstorefs.cli import projects
from vstorefs.cli.output import show_line, show_text
from vstorefs.cli.runs import status
from vstorefs.ledger import changes, manifest
from vstorefs.ledger.manifest import Input, Manifest, Output, Seen

DESCRIPTION = "Show a run: its inputs with versions and hashes, warnings about changed inputs, and its outputs."
EXAMPLES = """\
examples:
  vstorefs show 7f3a02b9             a run by its id, or the first characters of it
  vstorefs show baseline             the newest run of that name
  vstorefs show baseline --json      its manifest, as JSON
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "run_name", metavar="RUN", help="a run's id, the first characters of it, or its name"
    )
    projects.add_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the manifest, for programs")


def run(options: argparse.Namespace) -> int:
    """Find it and print it."""
    with projects.ledger_of(projects.chosen(options)) as (ledger, _):
        whole = ledger.manifest(ledger.find(options.run_name))
    if options.json:
        show_text(manifest.encode(whole).decode())
        return 0
    for line in _lines(whole):
        show_line(line)
    return 0


def _lines(whole: Manifest) -> list[str]:
    one = whole.run
    lines = [
        f"run {one.id}" + (f"  {one.name}" if one.name else ""),
        f"  {status(one)}, started {_time(one.started)}"
        + (f", ended {_time(one.ended)}" if one.ended is not None else ""),
        f"  by {one.user} on {one.host}, in {one.mount_point}",
    ]
    if one.command:
        lines += [f"  command    {shlex.join(one.command)}", f"  directory  {one.folder}"]
    if one.commit:
        lines.append(f"  commit     {one.commit}")
    for warning in whole.warnings:
        lines.append(f"! {changes.line(warning)}")
    lines.append(f"inputs: {len(whole.inputs)}")
    for use in whole.inputs:
        lines += [f"  {use.place.shown}{_remarks(use)}", *_content(use.content)]
    lines.append(f"outputs: {len(whole.outputs)}")
    for output in whole.outputs:
        lines += [f"  {output.place.shown}{_made(output)}", *_content(output.content)]
    return lines


def _remarks(use: Input) -> str:
    words = [
        f"opened {units.count(use.opens, 'time')}",
        f"up to {units.size(use.read_bytes)} read",
    ]
    words += ["already open at the start"] if use.inherited else []
    words += ["opened by version"] if use.pinned else []
    return f"  ({', '.join(words)})"


def _made(output: Output) -> str:
    return f"  (written {_time(output.made)})"


def _content(content: Seen) -> list[str]:
    first = f"    {units.size(content.size)}, version {content.version or content.token}"
    if content.hashes is None:
        return [first, "    hashes unknown: not read to the end"]
    hashes = content.hashes
    return [
        first,
        f"    md5 {hashes.md5}",
        f"    sha1 {hashes.sha1}",
        f"    sha256 {hashes.sha256}",
    ]


def _time(time: datetime) -> str:
    return f"{units.moment(time)} UTC"
