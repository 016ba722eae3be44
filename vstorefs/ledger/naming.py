"""Names of the archive's objects: when they were written, and which run they are about. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from vstorefs.ledger.archive import CHECKPOINTS, RUNS, Named
from vstorefs.ledger.manifest import Run
from vstorefs.model import RunId
from vstorefs.stores.ids import is_id

_TIME = "%Y-%m-%dT%H%M%S.%fZ"
_DAY = timedelta(days=1)
_LONG = timedelta(days=20)


def dated(prefix: str, time: datetime, what: str) -> str:
    """The name of an object that is written now."""
    return f"{prefix}{moment_text(time)}-{what}.json"


def checkpoints_of(run: Run) -> str:
    """How the names of a run's checkpoints begin."""
    return f"{CHECKPOINTS}{moment_text(run.started)}-{run.id}@"


def run_of(name: str) -> RunId | None:
    """The run that a manifest's or a checkpoint's name is about; None for a name that is neither's."""
    run = name.rpartition("-")[2].partition(".")[0].partition("@")[0]
    return RunId(run) if time_of(name) is not None and is_id(run) else None


def time_of(name: str) -> datetime | None:
    """When an object's writer says that it was written."""
    try:
        return parsed(name.rpartition("/")[2].rpartition("-")[0])
    except ValueError:
        return None


def ahead_s(named: Named) -> int:
    """By how many seconds the clock of an object's writer is ahead of the store's."""
    said = time_of(named.name)
    return round((said - named.written).total_seconds()) if said is not None else 0


def hour_of(time: datetime) -> str:
    """How the names of manifests begin that were written in the hour of a time."""
    return f"{RUNS}{time.astimezone(UTC):%Y-%m-%dT%H}"


def moment_text(time: datetime) -> str:
    """A time as it stands in names; texts sort as times do."""
    return time.astimezone(UTC).strftime(_TIME)


def parsed(text: str) -> datetime:
    """A time from a name. Raises: ValueError."""
    return datetime.strptime(text, _TIME).replace(tzinfo=UTC)


def days(since: datetime, until: datetime) -> Iterator[str]:
    """Prefixes of manifests written between two times, with a day more on both sides for wrong clocks.

    All of them where that are many days, or where this host's clock has gone back.
    """
    if not timedelta(0) <= until - since < _LONG:
        yield RUNS
        return
    day = since - _DAY
    while day.date() <= (until + _DAY).date():
        yield f"{RUNS}{day:%Y-%m-%d}"
        day += _DAY
