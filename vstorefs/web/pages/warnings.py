"""All warnings that hold, by path, and what to type to accept each."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from vstorefs.ledger.manifest import ChangeWarning, Place
from vstorefs.web import paging, texts
from vstorefs.web.paging import Page
from vstorefs.web.site import Site

_PATHS = 50


@dataclass(frozen=True, slots=True)
class OfOnePath:
    """What holds of one path, and the command that accepts it."""

    place: Place
    warnings: list[ChangeWarning]
    command: str


@dataclass(frozen=True, slots=True)
class WarningsPage:
    """Paths that have warnings."""

    paths: Page[OfOnePath]
    search: str


def show(site: Site, search: str, number: int) -> WarningsPage:
    """The paths with warnings in which a word occurs. Raises: NotFound for a page behind the last."""
    wanted = search.strip().casefold()
    found = sorted(
        (one for one in site.ledger.warnings() if wanted in one.place.shown.casefold()),
        key=lambda one: (one.place.shown, one.place.store, one.time),
    )
    groups = [(place, list(some)) for place, some in groupby(found, key=lambda one: one.place)]
    part = paging.page(groups, number, _PATHS)
    rows = [OfOnePath(place, some, acknowledge(site, place)) for place, some in part.items]
    return WarningsPage(Page(rows, part.number, part.last, part.total), search.strip())


def acknowledge(site: Site, place: Place) -> str:
    """The command that accepts what a path has now; empty where the path is in no mount on this host."""
    mounted = site.mounted(place)
    if mounted is None:
        return ""
    return f"{texts.command_line(('vstorefs', 'ack', mounted.path))} --why 'REASON'"
