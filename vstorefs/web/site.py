"""What every page is made from: the project's ledger, its mounts on this host, and where a path lies in them.

Mounts come and go while the page is served, so each request looks anew. Everything here may block and runs in threads.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from vstorefs import errors
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.manifest import Place
from vstorefs.ledger.opening import Chosen
from vstorefs.model import HIDDEN_FOLDER, VERSIONS_FOLDER, StoreSpec
from vstorefs.project import Project
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.web.sync import LedgerSync

PER_PAGE = 50


@dataclass(frozen=True, slots=True)
class Mounted:
    """A path in a mount: `inside` is relative to the mount point."""

    record: MountRecord
    inside: str

    @property
    def path(self) -> str:
        """The path as programs name it."""
        return f"{self.record.mount_point.rstrip('/')}/{self.inside}"


@dataclass(frozen=True, slots=True)
class Site:
    """One project, as this host knows it."""

    chosen: Chosen
    ledger: Ledger
    sync: LedgerSync

    @property
    def project(self) -> Project:
        """The project's stores."""
        return self.chosen.project

    @property
    def title(self) -> str:
        """What the project is called."""
        return self.project.name or self.project.default_store.url

    @property
    def state_dir(self) -> Path:
        """Where this host's state of the project lies."""
        return self.chosen.state_dir

    def is_here(self, host: str) -> bool:
        """Whether a run was on this host."""
        return host == socket.gethostname()

    def path_of(self, place: Place) -> str:
        """A path of the ledger, as this project names its stores; empty where it has no such store."""
        spec = next((one for one in self.project.stores if one.id == place.store), None)
        if spec is None:
            return ""
        alias = self.project.alias_of(spec)
        return f"{alias}/{place.path}" if alias else place.path

    def place_at(self, path: str) -> Place:
        """A path that somebody asks for: in the project, or absolute in a mount of it.

        Raises: UsageError where it is in neither.
        """
        if path.startswith("/"):
            path = self._relative(path)
        parts = path.split("/")
        if "\0" in path or not all(parts) or not {".", "..", VERSIONS_FOLDER}.isdisjoint(parts):
            raise errors.UsageError(f"{path!r} is not the path of a file in the project")
        spec, key = self.project.locate(path)
        if not key or key.split("/")[0] == HIDDEN_FOLDER:
            raise errors.UsageError(f"{path!r} is not the path of a file in the project")
        return Place(store=spec.id, alias=self.project.alias_of(spec), path=key)

    def mounted(self, place: Place) -> Mounted | None:
        """Where a path is mounted on this host: where it can be changed, rather than in the past or locked."""
        for record in sorted(mounts.living(), key=lambda one: one.read_only):
            for spec in record.project.stores:
                if spec.id == place.store:
                    return Mounted(record, _inside(record, spec, place))
        return None

    def _relative(self, path: str) -> str:
        record = mounts.find(os.path.normpath(path))
        if record is None:
            raise errors.UsageError(f"{path!r} is not in a mount of yours on this host")
        inside = os.path.relpath(os.path.normpath(path), record.mount_point)
        spec, key = record.project.locate(inside)
        found = self.path_of(Place(store=spec.id, alias=spec.alias, path=key))
        if not found:
            raise errors.UsageError(f"{path!r} is in a mount of another project")
        return found


def _inside(record: MountRecord, spec: StoreSpec, place: Place) -> str:
    alias = record.project.alias_of(spec)
    return f"{alias}/{place.path}" if alias else place.path
