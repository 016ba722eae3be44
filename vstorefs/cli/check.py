"""`vstorefs check`."""

from __future__ import annotations

import argparse
import itertools
import os
from collections.abc import Sequence

from vstorefs import errors, units
from vstorefs.cli import projects
from vstorefs.cli.output import show_json, show_line
from vstorefs.control import client
from vstorefs.control.runs import CheckInputs
from vstorefs.ledger import changes
from vstorefs.ledger.input_check import InputCheck, Paths, is_asked
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.manifest import ChangeWarning, Manifest, Run
from vstorefs.ledger.opening import Chosen, choose
from vstorefs.model import Key, StoreId
from vstorefs.state import mounts
from vstorefs.state.env import State
from vstorefs.state.fingerprints import Fingerprints
from vstorefs.state.probes import Probes
from vstorefs.stores.base import Store
from vstorefs.versions.layouts.opening import open_store

DESCRIPTION = (
    "Compare the inputs of a run with what the stores have now. Downloads only what tokens and checksums leave open. "
    "A change is a warning, not an error."
)
EXAMPLES = """\
examples:
  vstorefs check                              the newest run's inputs
  vstorefs check --against baseline           those of another run
  vstorefs check ~/data/inputs --strict       only those there; exit status 1 if any has changed
"""

_CHECK_S = 24 * 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("paths", nargs="*", metavar="PATH", help="only what is at or below these")
    projects.add_arguments(parser)
    parser.add_argument(
        "--against", metavar="RUN", help="the run to compare with (default: the newest with inputs)"
    )
    parser.add_argument(
        "--strict", action="store_true", help="exit with status 1 if there are warnings"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects, for programs")


def run(options: argparse.Namespace) -> int:
    """Compare, and print what differs."""
    found = _chosen(options)
    with projects.ledger_of(found) as (ledger, state):
        against = ledger.find(options.against) if options.against else ledger.newest()
        whole = ledger.manifest(against)
        asked = [_asked(found, whole, path) for path in options.paths]
        if found.mount is not None:
            changed = _by_mount(found, against, options.paths)
        else:
            changed = _here(found, ledger, state, whole, tuple(itertools.chain(*asked)))
    warnings = [changes.as_dict(one) for one in changed]
    if options.json:
        show_json(warnings)
    else:
        for one in warnings:
            show_line(f"{one['path']}: warning: {one['text']}")
        count = f"{len(warnings)} of " if warnings else "none of "
        show_line(
            f"{count}{units.count(against.inputs, 'input')} changed since run {against.label}"
        )
    return errors.EXIT_FAILURE if options.strict and warnings else 0


def _chosen(options: argparse.Namespace) -> Chosen:
    if options.paths and not (options.config or options.mount or options.store):
        return choose(os.environ, path=options.paths[0])
    return projects.chosen(options)


def _asked(found: Chosen, whole: Manifest, path: str) -> Paths:
    """What a path names. Raises: UsageError for one outside the project, NotFound where the run used nothing there."""
    inside = path
    if found.mount is not None:
        if mounts.mount_of(path).mount_point != found.mount.mount_point:
            raise errors.UsageError(f"{path} is not in the mount on {found.mount.mount_point}")
        inside = mounts.inside(found.mount, path)
    if not inside and not found.project.single:
        return tuple((spec.id, Key("")) for spec in found.project.stores)
    spec, key = found.project.locate(inside)
    if not any(is_asked(use, ((spec.id, key),)) for use in whole.inputs):
        raise errors.NotFound(f"run {whole.run.label} used nothing there", key=path)
    return ((spec.id, key),)


def _by_mount(found: Chosen, against: Run, paths: list[str]) -> Sequence[ChangeWarning]:
    assert found.mount is not None
    inside = tuple(mounts.inside(found.mount, path) for path in paths)
    request = CheckInputs(against.id, inside)
    return client.ask(found.mount, request, timeout_s=_CHECK_S).warnings


def _here(
    found: Chosen, ledger: Ledger, state: State, whole: Manifest, asked: Paths
) -> Sequence[ChangeWarning]:
    """Without a mount: the stores are asked from here."""
    opened: dict[StoreId, Store] = {}

    def store_of(wanted: StoreId) -> Store:
        if wanted not in opened:
            spec = next((one for one in found.project.stores if one.id == wanted), None)
            if spec is None:
                raise errors.NotFound("the project has no such store any more", store=wanted)
            opened[wanted] = open_store(spec, Probes(state))
        return opened[wanted]

    check = InputCheck(ledger, Fingerprints(state), store_of)
    return [one for one in check.changed(whole, asked) if one is not None]
