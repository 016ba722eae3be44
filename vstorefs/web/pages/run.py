"""One run: everything in its manifest, and what the ledger knows of its inputs and outputs besides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from vstorefs import errors
from vstorefs.ledger.index import OfContent
from vstorefs.ledger.manifest import ChangeWarning, Input, Manifest, Output, Place, Run
from vstorefs.web import logtail, paging
from vstorefs.web.logtail import LogTail
from vstorefs.web.paging import Page
from vstorefs.web.site import Site

_ROWS = 100
_LONGEST_NAME = 200
T = TypeVar("T", Input, Output)


@dataclass(frozen=True, slots=True)
class InputRow:
    """One input, what the ledger knows of its content, and the warnings of it in this run."""

    use: Input
    known: OfContent
    warnings: list[ChangeWarning]


@dataclass(frozen=True, slots=True)
class OutputRow:
    """One output, and what the ledger knows of its content."""

    output: Output
    known: OfContent


@dataclass(frozen=True, slots=True)
class RunPage:
    """A run. `problem` says why its manifest cannot be had; then only what the list of runs has is shown."""

    run: Run
    manifest: Manifest
    problem: str
    inputs: Page[InputRow]
    outputs: Page[OutputRow]
    search: str
    log: LogTail


def find(site: Site, text: str) -> Run:
    """The run that an address names. Raises: NotFound."""
    if len(text) > _LONGEST_NAME:
        raise errors.NotFound("no run of that name in this project")
    return site.ledger.find(text)


def show(site: Site, text: str, *, search: str = "", inputs: int = 1, outputs: int = 1) -> RunPage:
    """A run by its id or name, and the pages of its inputs and outputs whose paths hold a word.

    Raises: NotFound.
    """
    run = find(site, text)
    problem = ""
    try:
        manifest = site.ledger.manifest(run)
    except errors.StoreError as error:
        manifest, problem = Manifest(run=run), error.message
    return RunPage(
        run=manifest.run,
        manifest=manifest,
        problem=problem,
        inputs=_inputs(site, manifest, search, inputs),
        outputs=_outputs(site, manifest, search, outputs),
        search=search,
        log=logtail.of_run(site, run),
    )


def _inputs(site: Site, manifest: Manifest, search: str, number: int) -> Page[InputRow]:
    by_place: dict[Place, list[ChangeWarning]] = defaultdict(list)
    for warning in manifest.warnings:
        by_place[warning.place].append(warning)
    part = paging.page(_with(manifest.inputs, search), number, _ROWS)
    known = site.ledger.of_contents((one.place, one.content) for one in part.items)
    rows = [
        InputRow(use, about, by_place.get(use.place, []))
        for use, about in zip(part.items, known, strict=True)
    ]
    return Page(rows, part.number, part.last, part.total)


def _outputs(site: Site, manifest: Manifest, search: str, number: int) -> Page[OutputRow]:
    part = paging.page(_with(manifest.outputs, search), number, _ROWS)
    known = site.ledger.of_contents((one.place, one.content) for one in part.items)
    rows = [OutputRow(output, about) for output, about in zip(part.items, known, strict=True)]
    return Page(rows, part.number, part.last, part.total)


def _with(found: Sequence[T], search: str) -> Sequence[T]:
    wanted = search.casefold()
    if not wanted:
        return found
    return [one for one in found if wanted in one.place.shown.casefold()]
