"""A directory: the files below it that have, or had, versions."""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs import errors
from vstorefs.control import client
from vstorefs.control.maintenance import FindPaths
from vstorefs.web import paging
from vstorefs.web.paging import Page
from vstorefs.web.site import Site

_FILES = 200
_ASK_S = 60.0


@dataclass(frozen=True, slots=True)
class DirectoryPage:
    """Files at any depth below a directory, each by its path in the project."""

    path: str
    files: Page[str]


def show(site: Site, path: str, *, number: int = 1) -> DirectoryPage | None:
    """What is below a directory; None where nothing is, or no mount can tell. Raises: NotFound for a page too far."""
    place = site.place_at(path)
    mounted = site.mounted(place)
    if mounted is None:
        return None
    try:
        found = client.ask(
            mounted.record, FindPaths(mounted.inside, to_purge=False), timeout_s=_ASK_S
        )
    except errors.VstorefsError:
        return None
    whole, above = site.path_of(place), f"{mounted.inside}/"
    files = [f"{whole}/{one.removeprefix(above)}" for one in found.paths if one.startswith(above)]
    return DirectoryPage(whole, paging.page(sorted(files), number, _FILES)) if files else None
