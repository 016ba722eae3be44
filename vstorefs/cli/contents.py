"""`vstorefs verify PATH`: every version is read by the mount's workers, several at a time.

What was found right is noted in the state directory, in one file for each path that is verified, until
all of it was read; so a verify that is stopped goes on behind it. What was found wrong is not noted,
and looked at again.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TextIO

import msgspec

from vstorefs import errors, files, units
from vstorefs.cli import folders, histories
from vstorefs.cli.output import show_json, show_line
from vstorefs.cli.progress import ProgressLine
from vstorefs.control import client
from vstorefs.control.maintenance import (
    ChosenVersion,
    CountVerified,
    VerifyResult,
    VerifyVersions,
)
from vstorefs.model import Mark
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.names import label

_AT_ONCE = 8
_VERSIONS = 50
_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class Problem:
    """A version that is not as recorded, or cannot be read."""

    path: str
    id: str
    time: str
    size: int
    is_head: bool
    problem: str


@dataclass
class Tally:
    """What a verify has found so far."""

    versions: int = 0
    bytes: int = 0
    recorded: int = 0
    corrected: int = 0
    problems: list[Problem] = field(default_factory=list)


def verify(options: argparse.Namespace) -> int:
    """Read what is at or below a path, and tell what is not as recorded."""
    found = histories.below(options.url, to_purge=False)
    rows = [
        row
        for row in histories.versions(found)
        if (row.is_head or not options.heads) and Mark.PURGED.value not in row.marks
    ]
    with _notes(options, found) as notes:
        done = set(_read_notes(notes))
        rest = [row for row in rows if (row.path, row.id) not in done]
        tally = _read(found.record, rest, notes, quiet=options.json)
        notes.truncate(0)
    earlier = len(rows) - len(rest)
    if options.json:
        show_json(
            {
                "versions": tally.versions,
                "verified_before": earlier,
                "bytes": tally.bytes,
                "recorded": tally.recorded,
                "corrected": tally.corrected,
                "problems": msgspec.to_builtins(tally.problems),
            }
        )
    else:
        _tell(tally, earlier)
    return errors.EXIT_FAILURE if tally.problems else 0


@contextlib.contextmanager
def _notes(options: argparse.Namespace, found: histories.Below) -> Iterator[TextIO]:
    """What this verify has found right, in its earlier tries. Raises: VstorefsError where another is at it."""
    folder = folders.state_dir(options.state_dir) / "verify"
    files.change("verify.make", folder.mkdir, parents=True, exist_ok=True)
    what = json.dumps([found.stores, mounts.inside(found.record, options.url), options.heads])
    path = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.jsonl"
    with files.change("verify.open", path.open, "a+") as notes:
        try:
            fcntl.flock(notes, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.VstorefsError(f"{options.url} is being verified already") from error
        if options.again:
            files.change("verify.clear", notes.truncate, 0)
        notes.seek(0)
        yield notes
    # Empty: all was read.
    if path.stat().st_size == 0:
        files.change("verify.remove", path.unlink)


def _read_notes(notes: TextIO) -> Iterator[tuple[str, str]]:
    for line in notes:
        # The last line may be cut short.
        with contextlib.suppress(ValueError):
            path, version = json.loads(line)
            yield path, version


def _read(
    record: MountRecord, rows: Sequence[ChosenVersion], notes: TextIO, *, quiet: bool
) -> Tally:
    tally = Tally()
    began = client.ask(record, CountVerified(), timeout_s=None).bytes

    def how_far() -> str:
        size = client.ask(record, CountVerified(), timeout_s=None).bytes - began
        return f"{tally.versions} of {units.count(len(rows), 'version')} read, {units.size(size)}"

    with ProgressLine(how_far) as progress, ThreadPoolExecutor(_AT_ONCE) as pool:
        waiting = {pool.submit(_ask, record, batch): batch for batch in _batches(rows)}
        for answer in as_completed(waiting):
            for row, result in zip(waiting[answer], answer.result(), strict=True):
                _count(tally, row, result)
                if not result.problem:
                    notes.write(json.dumps([row.path, row.id]) + "\n")
                elif not quiet:
                    progress.clear()
                    show_line(_line(tally.problems[-1]), at_once=True)
            notes.flush()
    return tally


def _batches(rows: Sequence[ChosenVersion]) -> Iterator[list[ChosenVersion]]:
    """Versions of one file each, so many and so large that the mount is not asked for too long."""
    batch: list[ChosenVersion] = []
    size = 0
    for row in rows:
        other = bool(batch) and row.path != batch[0].path
        if batch and (other or len(batch) == _VERSIONS or size + row.size > _BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += row.size
    if batch:
        yield batch


def _ask(record: MountRecord, batch: Sequence[ChosenVersion]) -> list[VerifyResult]:
    """What the mount says of each version, whatever it says."""
    ids = tuple(row.id for row in batch)
    try:
        answer = client.ask(record, VerifyVersions(batch[0].path, ids), timeout_s=None)
    except errors.VstorefsError as error:
        return [_unread(one, f"cannot be read: {error}") for one in ids]
    found = {result.id: result for result in answer.results}
    return [found.get(one) or _unread(one, "is not in the store any more") for one in ids]


def _unread(version: str, problem: str) -> VerifyResult:
    return VerifyResult(version, 0, problem, recorded=False, corrected=False)


def _count(tally: Tally, row: ChosenVersion, result: VerifyResult) -> None:
    tally.versions += 1
    tally.bytes += result.size
    tally.recorded += result.recorded
    tally.corrected += result.corrected
    if result.problem:
        tally.problems.append(
            Problem(row.path, row.id, row.time, row.size, row.is_head, result.problem)
        )


def _line(problem: Problem) -> str:
    version = f"version {label(problem.id)} of {units.moment_of(problem.time)} UTC"
    return f"{problem.path}: {version}: {problem.problem}"


def _tell(tally: Tally, earlier: int) -> None:
    before = f", {earlier} verified before" if earlier else ""
    show_line(f"{units.count(tally.versions, 'version')} read{before}, {units.size(tally.bytes)}")
    if tally.recorded:
        had = units.count(tally.recorded, "version had", "versions had")
        show_line(f"{had} no recorded hashes; now recorded on this host")
    if tally.corrected:
        had = units.count(tally.corrected, "version had", "versions had")
        show_line(f"{had} hashes of a damaged read recorded on this host; now corrected")
    wrong = len(tally.problems)
    show_line(f"{units.count(wrong, 'version')} damaged" if wrong else "no errors were found")
