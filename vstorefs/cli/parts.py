"""The top of a mount of several stores stands for all of them: a question about it is asked of each."""

from __future__ import annotations

from vstorefs.cli.output import shown_path
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord


def is_above_stores(record: MountRecord, path: str) -> bool:
    """Whether a path is the top of a mount whose directories are stores."""
    return not record.project.single and not mounts.inside(record, path)


def places(record: MountRecord, path: str) -> list[str]:
    """The paths to ask about, each in one store, written as the given one was."""
    if not is_above_stores(record, path):
        return [path]
    return [shown_path(path, spec.alias) for spec in record.project.stores]
