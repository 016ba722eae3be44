"""`vstorefs status`."""

from __future__ import annotations

import argparse
from typing import Any

from vstorefs import errors, units
from vstorefs.cli.output import show_json
from vstorefs.state import control, mounts
from vstorefs.versions.history.texts import marks_text

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
    records = [control.mount_of(options.mount)] if options.mount is not None else mounts.living()
    found = []
    for record in records:
        try:
            answer = control.ask(record, {"op": "status"})
        except errors.VstorefsError as error:
            answer = {
                "ok": False,
                "mount_point": record.mount_point,
                "pid": record.pid,
                "error": str(error),
            }
        found.append(answer | {"log_file": record.log_file})
    if options.json:
        show_json(found)
    elif not found:
        print("no mounts")
    for status in [] if options.json else found:
        print(_text(status))
    return 0 if all(status["ok"] for status in found) else errors.EXIT_FAILURE


def _text(status: dict[str, Any]) -> str:
    lines = [f"{status['mount_point']}  (process {status['pid']})"]
    if not status["ok"]:
        return "\n".join([*lines, f"  {status['error']}"])
    if status.get("at"):
        lines.append(f"  read-only, as of {status['at']}")
    for store in status["stores"]:
        why = f": {store['why']}" if store["why"] else ""
        lines.append(f"  store {store['alias']}: {store['url']}  {store['state']}{why}")
    cache = status["cache"]
    lines.append(
        f"  cache {cache['dir']}: {units.size(cache['used_bytes'])} of {units.size(cache['limit_bytes'])}, "
        f"{units.count(cache['chunks'], 'chunk')}"
    )
    transfers = status["transfers"]
    lines.append(
        f"  active transfers: {units.count(transfers['downloads'], 'download')}, "
        f"{units.count(transfers['uploads'], 'upload')}; "
        f"{units.size(transfers['downloaded_bytes'])} downloaded"
    )
    lines += [f"  {one['path']}: {marks_text(one['marks'])}" for one in status["marked"]]
    lines += _ledger(status["ledger"])
    lines += _unshown(status["unshown"])
    lines.append(f"  log {status['log_file'] or 'to the terminal'}")
    lines.append(f"  pending: {len(status['pending'])}")
    for change in status["pending"]:
        error = f": {change['error']}" if change["error"] else ""
        lines.append(
            f"    {change['operation']} {change['path']}, pending for {units.duration(change['waiting_s'])}{error}"
        )
    return "\n".join(lines)


def _ledger(ledger: dict[str, Any]) -> list[str]:
    """What stands in the way of the ledger; nothing where nothing does."""
    lines = [f"  ledger: {one}" for one in ledger["skewed"]]
    if ledger["why"]:
        what = (
            f"{units.count(ledger['waiting'], 'record is', 'records are')} on this host only"
            if ledger["waiting"]
            else ""
        )
        lines.append(f"  ledger: {what or 'cannot sync with other hosts'}: {ledger['why']}")
    return lines


def _unshown(names: list[dict[str, str]]) -> list[str]:
    """Names that no directory can show: how many, and the first few."""
    if not names:
        return []
    rest = [f"    … and {len(names) - _FEW} more; --json lists all"] if len(names) > _FEW else []
    shown = [f"    {one['name']!r}: {one['why']}" for one in names[:_FEW]]
    return [f"  invalid names, not shown in the mount: {len(names)}", *shown, *rest]
