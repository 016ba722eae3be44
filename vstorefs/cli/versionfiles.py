"""The files in `.versions` that hold versions, found by the versions' ids."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vstorefs import errors
from vstorefs.control import client
from vstorefs.control.history import ShowHistory
from vstorefs.model import VERSIONS_FOLDER
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.names import quote
from vstorefs.versions.history.texts import VersionItem

_HISTORY_S = 90.0


def history_of(record: MountRecord, path: str) -> Sequence[VersionItem]:
    """All versions of one path, oldest first; none of the mount itself. Raises: VstorefsError."""
    inside = mounts.inside(record, path)
    if not inside:
        return ()
    return client.ask(record, ShowHistory(inside), timeout_s=_HISTORY_S).versions


def version_file(record: MountRecord, path: str, version: str) -> Path:
    """The file that has the content of a version. Raises: VstorefsError where the store has it no more."""
    absolute = Path(record.mount_point) / mounts.inside(record, path)
    for item in history_of(record, path):
        if item.id == version and item.name:
            return absolute.parent / VERSIONS_FOLDER / quote(absolute.name) / item.name
    raise errors.VstorefsError(f"{path}: the content of version {version} is not in the store")
