"""Which project's ledger somebody means who is not a mount: from a path, a project file, or what is mounted.

Looked for in this order: what was named; the mount that holds the working directory; the only mount there is; a
`vstorefs.toml` in the working directory; the store that comes with vstorefs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors, projectsources
from vstorefs.clock import SystemClock
from vstorefs.ledger.archive import Archive, open_archive
from vstorefs.ledger.ledger import Ledger
from vstorefs.model import StoreSpec
from vstorefs.project import Project, state_home
from vstorefs.state import mounts
from vstorefs.state.env import State
from vstorefs.state.mounts import MountRecord

PROJECT_FILE = "vstorefs.toml"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A project, the mount of it where there is one, and where this host's state of it lies."""

    project: Project
    mount: MountRecord | None
    state_dir: Path


def choose(
    environ: Mapping[str, str],
    *,
    path: str | None = None,
    config: Path | None = None,
    url: str | None = None,
    state_dir: Path | None = None,
) -> Chosen:
    """The project that is meant: of a project file, of one store, or of a path.

    Raises: UsageError; VstorefsError where the mount that holds the path has died.
    """
    if config is not None:
        return _of_project(projectsources.load(config, environ), state_dir, environ)
    if url is not None:
        return _of_project(projectsources.for_url(url, environ), state_dir, environ)
    if path is not None:
        absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100 — not through links
        record = mounts.find(absolute)
        if record is None:
            mounts.refuse_dead(absolute)
            raise errors.UsageError(
                f"{path} is not in a vstorefs mount of yours, and no project file was named with -c; "
                "`vstorefs status` lists your mounts"
            )
        return _of_mount(record)
    record = mounts.find(str(Path.cwd()))
    if record is None:
        mounts.refuse_dead(str(Path.cwd()))
    living = mounts.living()
    if record is not None or len(living) == 1:
        return _of_mount(record or living[0])
    if Path(PROJECT_FILE).is_file():
        return _of_project(projectsources.load(Path(PROJECT_FILE), environ), state_dir, environ)
    if living:
        points = ", ".join(one.mount_point for one in living)
        raise errors.UsageError(
            f"there are several mounts ({points}); name one of them with --mount, or a project file with -c"
        )
    return _of_project(projectsources.embedded(environ), state_dir, environ)


def _of_mount(record: MountRecord) -> Chosen:
    return Chosen(record.project, record, Path(record.state_dir))


def _of_project(found: Project, state_dir: Path | None, environ: Mapping[str, str]) -> Chosen:
    same = [one for one in mounts.living() if one.project.stores == found.stores]
    if same:
        return Chosen(found, same[0], Path(same[0].state_dir))
    folder = state_dir if state_dir is not None else state_home(environ)
    return Chosen(found, None, folder)


@contextmanager
def opened(chosen: Chosen) -> Iterator[Ledger]:
    """A project's ledger on this host. Raises: UsageError."""
    with opened_with_state(chosen) as (ledger, _):
        yield ledger


@contextmanager
def opened_with_state(chosen: Chosen) -> Iterator[tuple[Ledger, State]]:
    """A project's ledger, and this host's state that it lies in. Raises: UsageError."""
    state = State.open(chosen.state_dir)
    try:
        yield ledger_of(state, chosen.project.default_store), state
    finally:
        state.close()


def ledger_of(state: State, default: StoreSpec) -> Ledger:
    """The ledger of the project whose default store this is; the store is opened when it is first needed."""
    return Ledger(state, default.id, _once(default), SystemClock())


def _once(default: StoreSpec) -> Callable[[], Archive]:
    found: list[Archive] = []

    def archive() -> Archive:
        if not found:
            found.append(open_archive(default))
        return found[0]

    return archive
