"""`vstorefs status`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec

from vstorefs import errors, units
from vstorefs.cli.output import show_json, show_line
from vstorefs.control import client
from vstorefs.control.status import (
    LedgerStatus,
    Marked,
    MountStatus,
    ShowStatus,
    Unshown,
    aside_text,
)
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord

DESCRIPTION = "Show mounts, the state of their stores, cache usage and pending changes."
EXAMPLES = """\
examples:
  vstorefs status
  vstorefs status ~/data --json
"""

_FEW = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("mount", nargs="?", metavar="DIR", help="one mount only")
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Ask every mount and print what it says."""
    if options.mount is not None:
        record = mounts.mount_of(options.mount)
        found = [(record, _ask(record))]
    else:
        found = [(record, _ask(record)) for record in mounts.living()]
        found += [(record, record.why_dead) for record in mounts.dead()]
    if options.json:
        show_json([_object(record, status) for record, status in found])
    elif not found:
        show_line("no mounts")
    for record, status in [] if options.json else found:
        show_line(f"{record.mount_point}  (process {record.pid})")
        for line in _lines(record, status):
            show_line(f"  {line}")
    return errors.EXIT_FAILURE if any(isinstance(one, str) for _, one in found) else 0


def _ask(record: MountRecord) -> MountStatus | str:
    """What a mount says of itself, or why it says nothing."""
    try:
        return client.ask(record, ShowStatus())
    except errors.VstorefsError as error:
        return str(error)


def _object(record: MountRecord, status: MountStatus | str) -> dict[str, Any]:
    """What programs are told of a mount."""
    about: dict[str, Any] = {"mount_point": record.mount_point, "pid": record.pid}
    if isinstance(status, str):
        about |= {"ok": False, "error": status}
    else:
        about |= {"ok": True, "problems": _problems(record, status)}
        about |= msgspec.to_builtins(status)
    return about | {"log_file": record.log_file}


def _lines(record: MountRecord, status: MountStatus | str) -> list[str]:
    if isinstance(status, str):
        return [status]
    lines = _problems(record, status)
    lines += [f"read-only, as of {status.at}"] if status.at else []
    for store in status.stores:
        why = f": {store.why}" if store.why else ""
        lines.append(f"store {store.alias}: {store.url}  {store.state}{why}")
    cache, transfers = status.cache, status.transfers
    lines.append(
        f"cache {cache.dir}: {units.size(cache.used_bytes)} of {units.size(cache.limit_bytes)}, "
        f"{units.count(cache.chunks, 'chunk')}"
    )
    lines.append(
        f"active transfers: {units.count(transfers.downloads, 'download')}, "
        f"{units.count(transfers.uploads, 'upload')}; {units.size(transfers.downloaded_bytes)} downloaded"
    )
    lines += _conflicts(status.marked)
    lines += _ledger(status.ledger)
    lines += _unshown(status.unshown)
    lines.append(f"log {record.log_file or 'to the terminal'}")
    lines.append(f"pending: {len(status.pending)}")
    if status.held_back:
        names = units.count(status.held_back, "file")
        lines.append(f"  {names} with a temporary name, uploaded soon unless renamed")
    for change in status.pending:
        error = f": {change.error}" if change.error else ""
        lines.append(
            f"  {change.operation} {change.path}, pending for {units.duration(change.waiting_s)}{error}"
        )
    if status.set_aside:
        lines.append(aside_text(len(status.set_aside)))
    return lines


def _problems(record: MountRecord, status: MountStatus) -> list[str]:
    """What was taken away from under a mount that goes on all the same."""
    problems = []
    if not (Path(record.state_dir) / "lmdb" / "data.mdb").exists():
        problems.append(
            f"its state in {record.state_dir} was removed: changes that are pending when the mount ends are lost; "
            f"type: vstorefs umount {record.mount_point}, and mount again"
        )
    if not status.cache.file_bytes:
        problems.append(
            f"its cache in {status.cache.dir} was removed: nothing stays cached until it is mounted again"
        )
    return problems


def _conflicts(marked: tuple[Marked, ...]) -> list[str]:
    """Versions that came about beside others."""
    if not marked:
        return []
    from vstorefs.versions.history.texts import marks_text  # noqa: PLC0415 — it takes half of a command's start

    return [f"{one.path}: {marks_text(one.marks)}" for one in marked]


def _ledger(ledger: LedgerStatus) -> list[str]:
    """What stands in the way of the ledger; nothing where nothing does."""
    lines = [f"ledger: {one}" for one in ledger.skewed]
    if ledger.why:
        what = (
            f"{units.count(ledger.waiting, 'record is', 'records are')} on this host only"
            if ledger.waiting
            else ""
        )
        lines.append(f"ledger: {what or 'cannot sync with other hosts'}: {ledger.why}")
    return lines


def _unshown(names: tuple[Unshown, ...]) -> list[str]:
    """Names that no directory can show: how many, and the first few."""
    if not names:
        return []
    rest = [f"  … and {len(names) - _FEW} more; --json lists all"] if len(names) > _FEW else []
    shown = [f"  {one.name!r}: {one.why}" for one in names[:_FEW]]
    return [f"invalid names, not shown in the mount: {len(names)}", *shown, *rest]
