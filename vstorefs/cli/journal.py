"""`vstorefs journal`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from vstorefs import errors, files, units
from vstorefs.cli import folders, journalfiles
from vstorefs.cli.output import note_line, show_json, show_line, show_table
from vstorefs.control import client
from vstorefs.control.journal import Decided, DropChanges, RetryChanges
from vstorefs.control.protocol import Request
from vstorefs.moments import to_text
from vstorefs.state import mounts
from vstorefs.state.changes import Change, changes
from vstorefs.state.env import State
from vstorefs.state.journal import Journal

DESCRIPTION = (
    "Show the changes that this host has promised and no store has yet, and decide about those that could not be "
    "uploaded. A change that its store refuses again and again is set aside with the reason; others go on. It stays in "
    "the journal until it is retried with success, or dropped. Content that was being written when a mount died, and "
    "was neither closed nor synced, is kept here, too (unpromised)."
)
EXAMPLES = """\
examples:
  vstorefs journal                       what is pending, and what was set aside
  vstorefs journal retry                 try all again that was set aside, after its cause was removed
  vstorefs journal retry 12 17
  vstorefs journal export --to ~/kept    write what was set aside to a directory: contents, and a list of changes
  vstorefs journal drop 12               give a change up for good; asks
"""

_ASIDE = "set aside"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=["list", "retry", "export", "drop"],
        default="list",
        help="what to do (default: list)",
    )
    parser.add_argument(
        "ids",
        nargs="*",
        metavar="ID",
        help="changes, by their ids in the list (default: all that were set aside; drop needs ids, or --all)",
    )
    parser.add_argument(
        "--to", type=Path, metavar="DIR", help="export: a new or an empty directory to write to"
    )
    parser.add_argument("--all", action="store_true", help="drop: all that was set aside")
    parser.add_argument("--yes", action="store_true", help="drop: do not ask for confirmation")
    parser.add_argument("--json", action="store_true", help="list: print a list, for programs")
    folders.add_state_dir(parser)


def run(options: argparse.Namespace) -> int:
    """Show, or decide."""
    state_dir = folders.state_dir(options.state_dir)
    _see_that_options_fit(options)
    found = changes(state_dir)
    if options.action == "list":
        return _list(_named(found, options.ids) if options.ids else found, as_json=options.json)
    chosen = _named(found, options.ids) if options.ids else [one for one in found if one.is_aside]
    if not chosen:
        show_line("nothing was set aside")
        return 0
    if options.action == "export":
        return _export(chosen, options.to)
    _see_that_they_are_aside(chosen)
    if options.action == "retry":
        return _retry(_retried(chosen, named=bool(options.ids)), state_dir)
    return _drop(chosen, state_dir, ask=not options.yes)


def _see_that_options_fit(options: argparse.Namespace) -> None:
    """Raises: UsageError."""
    action = options.action
    if action == "export" and options.to is None:
        raise errors.UsageError("export needs --to DIR, the directory to write to")
    if action == "drop" and bool(options.ids) == options.all:
        raise errors.UsageError(
            "name the changes to drop by their ids in vstorefs journal, or pass --all"
        )
    for name, of in (("to", "export"), ("all", "drop"), ("yes", "drop"), ("json", "list")):
        if getattr(options, name) and action != of:
            raise errors.UsageError(f"--{name} is for vstorefs journal {of}")


def _named(found: Sequence[Change], ids: Sequence[str]) -> list[Change]:
    """The changes with these ids. Raises: UsageError for an id that there is not."""
    by_id = {one.id: one for one in found}
    for word in ids:
        if word not in by_id:
            raise errors.UsageError(
                f"no change {word}; vstorefs journal lists those that there are"
            )
    return [by_id[word] for word in dict.fromkeys(ids)]


def _see_that_they_are_aside(chosen: Sequence[Change]) -> None:
    for one in chosen:
        if not one.is_aside:
            raise errors.UsageError(f"change {one.id} is on its way; it was not set aside")


def _retried(chosen: Sequence[Change], *, named: bool) -> list[Change]:
    """What can be tried again. Raises: UsageError where somebody names what cannot."""
    for one in chosen:
        if named and one.entry is None:
            raise errors.UsageError(
                f"change {one.id} is content that has no name and was promised to nobody; export it"
            )
    return [one for one in chosen if one.entry is not None]


def _list(found: Sequence[Change], *, as_json: bool) -> int:
    if as_json:
        show_json([journalfiles.about(one) for one in found])
        return 0
    if not found:
        show_line("nothing is pending, and nothing was set aside")
        return 0
    stores = _stores()
    header = ("ID", "TIME", "STATE", "CHANGE", "SIZE", "REASON")
    show_table(header, [_row(one, stores) for one in found])
    aside = sum(one.state == _ASIDE for one in found)
    if aside:
        show_line(
            f"{units.count(aside, 'change was', 'changes were')} set aside; retry, export or drop: "
            "vstorefs journal --help"
        )
    return 0


def _row(change: Change, stores: dict[str, str]) -> tuple[str, ...]:
    time = units.moment_of(to_text(change.time_ns))
    size = units.size(change.size) if change.file is not None else ""
    entry = change.entry
    if entry is None:
        return (change.id, time, change.state, "content without a name", size, "")
    store = stores.get(entry.store, f"store {entry.store[:8]}")
    words = f"{entry.operation.value} {store}:{entry.path}"
    words += f" -> {entry.target}" if entry.target is not None else ""
    return (change.id, time, change.state, words, size, entry.error or "")


def _stores() -> dict[str, str]:
    """What the stores of living mounts are called."""
    names: dict[str, str] = {}
    for record in mounts.living():
        try:
            names |= {spec.id: spec.alias for spec in record.project.stores}
        except errors.VstorefsError:
            continue
    return names


def _export(chosen: Sequence[Change], target: Path) -> int:
    problems = journalfiles.write_all(chosen, target.expanduser())
    for line in problems:
        note_line(line)
    show_line(f"exported {units.count(len(chosen), 'change')} to {target}")
    return errors.EXIT_FAILURE if problems else 0


def _retry(chosen: Sequence[Change], state_dir: Path) -> int:
    left = {int(one.id) for one in chosen}
    going = _ask_mounts(RetryChanges, left, state_dir)
    if going:
        show_line(
            f"retrying {units.count(len(going), 'change')}; vstorefs flush waits for the result"
        )
    left -= going
    if left:
        with _journal(state_dir) as journal:
            again = journal.take_up(left)
        left -= {entry.seq for entry in again}
        show_line(f"the next mount of their stores tries {units.count(len(again), 'change')} again")
    return _tell_left(left)


def _drop(chosen: Sequence[Change], state_dir: Path, *, ask: bool) -> int:
    stores = _stores()
    for one in chosen:
        show_line("  ".join(_row(one, stores)).rstrip())
    if ask:
        _confirm(len(chosen))
    left = {int(one.id) for one in chosen if one.entry is not None}
    gone = _ask_mounts(DropChanges, left, state_dir)
    left -= gone
    if left:
        with _journal(state_dir) as journal:
            left -= {entry.seq for entry in journal.drop_aside(left)}
    for one in chosen:
        if one.entry is None and one.file is not None:
            files.change("kept.remove", one.file.unlink, missing_ok=True)
    show_line(f"dropped {units.count(len(chosen) - len(left), 'change')}")
    return _tell_left(left)


def _confirm(count: int) -> None:
    if not sys.stdin.isatty():
        raise errors.UsageError(
            "not a terminal; pass --yes to drop without confirmation; nothing was dropped"
        )
    question = (
        f"Drop {units.count(count, 'change')} for good? Their contents are in no store. [y/N] "
    )
    if input(question).strip().lower() not in {"y", "yes"}:
        raise errors.VstorefsError("aborted; nothing was dropped")


def _ask_mounts(
    request: Callable[[tuple[int, ...]], Request[Decided]],
    wanted: set[int],
    state_dir: Path,
) -> set[int]:
    """Have those mounts decide whose changes they are; gives the numbers of which they have. Raises: VstorefsError."""
    done: set[int] = set()
    for record in mounts.living():
        if wanted - done and Path(record.state_dir) == state_dir:
            done |= set(client.ask(record, request(tuple(wanted - done))).numbers)
    return done


@contextmanager
def _journal(state_dir: Path) -> Iterator[Journal]:
    """The journal, where no mount stands for what is to be changed."""
    state = State.open(state_dir)
    try:
        yield Journal(state)
    finally:
        state.close()


def _tell_left(left: set[int]) -> int:
    for number in sorted(left):
        note_line(f"change {number} is not set aside any more; see vstorefs journal")
    return errors.EXIT_FAILURE if left else 0
