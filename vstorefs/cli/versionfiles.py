"""The files in `.versions` that hold versions, found by the versions' ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vstorefs import errors
from vstorefs.model import VERSIONS_FOLDER
from vstorefs.state import control, mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.names import quote


def history_of(record: MountRecord, path: str) -> list[dict[str, Any]]:
    """All versions of one path as `vstorefs log --json` prints them. Raises: VstorefsError."""
    inside = mounts.inside(record, path)
    return control.history(record, inside) if inside else []


def version_file(record: MountRecord, path: str, version: str) -> Path:
    """The file that has the content of a version. Raises: VstorefsError where the store has it no more."""
    absolute = Path(record.mount_point) / mounts.inside(record, path)
    for item in history_of(record, path):
        if item["id"] == version and item["name"]:
            return absolute.parent / VERSIONS_FOLDER / quote(absolute.name) / str(item["name"])
    raise errors.VstorefsError(f"{path}: the content of version {version} is not in the store")
