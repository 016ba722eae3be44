"""The list of runs, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from vstorefs import errors
from vstorefs.ledger.manifest import Run
from vstorefs.web.site import PER_PAGE, Site


@dataclass(frozen=True, slots=True)
class RunsPage:
    """Some runs; `older` is where the next ones begin, empty where there are none."""

    runs: list[Run]
    search: str
    before: str
    older: str
    waiting: int
    skewed: dict[str, int]


def show(site: Site, search: str, before: str) -> RunsPage:
    """The runs that began before a time, those with a word in them where one is searched for.

    Raises: UsageError where the time is none.
    """
    found = site.ledger.runs(before=_time(before), search=search.strip())
    some = list(islice(found, PER_PAGE + 1))
    runs = some[:PER_PAGE]
    return RunsPage(
        runs=runs,
        search=search.strip(),
        before=before,
        older=runs[-1].started.isoformat() if len(some) > PER_PAGE else "",
        waiting=site.ledger.waiting(),
        skewed=site.ledger.skewed(),
    )


def _time(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise errors.UsageError(f"{text!r} is not a time such as 2026-11-23T16:05:40+00:00")
    return found
