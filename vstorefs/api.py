"""What `import vstorefs` offers to programs: histories, earlier versions, records of runs, warnings.

Everything goes by the mounts of this user on this machine: paths are paths in a mount. Nothing here is loaded before it
is first used (see `vstorefs/__init__.py`). Failures are `VstorefsError`s, with a message for people.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Literal, TextIO, cast, overload

import msgspec

from vstorefs import errors
from vstorefs.control import client, recording
from vstorefs.control.exchange import EXCHANGE_S
from vstorefs.control.history import ShowHistory
from vstorefs.control.runs import Exchange
from vstorefs.errors import VstorefsError
from vstorefs.ledger.manifest import ChangeWarning, Place
from vstorefs.ledger.opening import choose, opened
from vstorefs.model import VERSIONS_FOLDER
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord
from vstorefs.versions.history.names import quote

__all__ = ["ChangeWarning", "Run", "Version", "VstorefsError", "history", "open", "run", "warnings"]

AnyPath = str | os.PathLike[str]
_HISTORY_S = 90.0
_recording = threading.Lock()
"""Held while this process is a run: what it opens can belong to one only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a file.

    `kind` is `content`, or `tombstone` for a deletion. `name` is that of the version in `.versions/`; None where there
    are no bytes. `run` is the run that made it, `uses` how many runs have used it. Hashes are None until somebody has
    read the content.
    """

    id: str
    kind: Literal["content", "tombstone"]
    time: datetime
    size: int
    name: str | None = None
    mtime: datetime | None = None
    md5: str | None = None
    sha1: str | None = None
    sha256: str | None = None
    base: str | None = None
    write_id: str | None = None
    token: str | None = None
    run: str | None = None
    uses: int = 0
    marks: tuple[str, ...] = ()
    is_head: bool = False


@dataclass(slots=True, kw_only=True)
class Run:
    """A run that goes on, or has ended.

    `inputs`, `outputs` (how many there are) and `warnings` (in words) are known when it has ended.
    """

    id: str
    name: str
    mount_point: str
    inputs: int = 0
    outputs: int = 0
    warnings: list[str] = field(default_factory=list)


def history(path: AnyPath) -> list[Version]:
    """All versions of a file in a mount, oldest first; of a deleted file too.

    Empty for a path that never was a file. Raises: VstorefsError where the path is in no mount.
    """
    text = os.fspath(path)
    record = mounts.mount_of(text)
    found = client.ask(record, ShowHistory(mounts.inside(record, text)), timeout_s=_HISTORY_S)
    return msgspec.convert(msgspec.to_builtins(found.versions), list[Version])


@overload
def open(  # noqa: A001 — the same word as the language's, for the same thing
    path: AnyPath, mode: Literal["rb"] = "rb", *, version: Version | str | None = None
) -> BinaryIO: ...


@overload
def open(  # noqa: A001 — as above
    path: AnyPath,
    mode: Literal["r"],
    *,
    version: Version | str | None = None,
    encoding: str = "utf-8",
) -> TextIO: ...


def open(  # noqa: A001 — as above
    path: AnyPath,
    mode: Literal["rb", "r"] = "rb",
    *,
    version: Version | str | None = None,
    encoding: str = "utf-8",
) -> BinaryIO | TextIO:
    """Open a file of a mount for reading, as it is or as it was.

    `version` is one of `history(path)`, or the beginning of its id, or its name in `.versions/`. Raises: VstorefsError
    for a version that there is not, or that is a deletion; OSError as the language's own.
    """
    if mode not in {"rb", "r"}:
        raise ValueError(f"a file is opened here with mode 'rb' or 'r', not {mode!r}")
    place = Path(path).expanduser()
    if version is not None:
        place = _of_version(place, version)
    if mode == "rb":
        return place.open("rb")
    return cast("TextIO", place.open("r", encoding=encoding))


def _of_version(path: Path, version: Version | str) -> Path:
    if isinstance(version, Version):
        found = version
    else:
        known = history(path)
        like = [one for one in known if version and version in {one.id, one.name}] or [
            one for one in known if version and one.id.startswith(version)
        ]
        if len(like) != 1:
            what = "no version" if not like else f"{len(like)} versions, not one,"
            raise errors.VstorefsError(
                f"{path} has {what} {version!r}; vstorefs.history({str(path)!r}) lists them"
            )
        (found,) = like
    if found.name is None:
        raise errors.VstorefsError(
            f"version {found.id} of {path} has no content: it is a deletion, or nobody kept its bytes"
        )
    return path.parent / VERSIONS_FOLDER / quote(path.name) / found.name


@contextmanager
def run(
    name: str = "", *, mount: AnyPath | None = None, command: Sequence[str] | None = None
) -> Iterator[Run]:
    """Keep a record of what this process and its children read and make within the block.

    `mount` is a mount, or a path in one; without it, the mount that holds the working directory, or the only one.
    `command` stands in the record, without secrets; by default the command of this process. An exception within the
    block ends the run with exit status 1, and goes on. One run at a time in a process. Raises: VstorefsError.
    """
    if not _recording.acquire(blocking=False):
        raise errors.VstorefsError(
            "this process is a run already; what it opens can belong to one run only"
        )
    try:
        record = _mount(mount)
        begun = Run(
            id=recording.begin(record, name, sys.orig_argv if command is None else command),
            name=name,
            mount_point=record.mount_point,
        )
        with _ended(record, begun):
            yield begun
    finally:
        _recording.release()


@contextmanager
def _ended(record: MountRecord, begun: Run) -> Iterator[None]:
    owner = os.getpid()
    try:
        yield
    except BaseException as error:
        if os.getpid() == owner:
            # The program's own failure matters more than that of its record.
            with contextlib.suppress(errors.VstorefsError):
                _end(record, begun, _status(error))
        raise
    if os.getpid() == owner:
        _end(record, begun, 0)


def _end(record: MountRecord, begun: Run, exit_status: int) -> None:
    answer = recording.end(record, begun.id, exit_status)
    begun.inputs, begun.outputs = answer.run.inputs, answer.run.outputs
    begun.warnings = list(answer.warnings)


def _status(error: BaseException) -> int:
    """The exit status of a program that an exception ends."""
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        return error.code if isinstance(error.code, int) else 1
    return 1


def _mount(mount: AnyPath | None) -> MountRecord:
    if mount is not None:
        return mounts.mount_of(os.fspath(mount))
    found = choose(os.environ).mount
    if found is None:
        raise errors.VstorefsError(
            "there is no mount to record a run in; `vstorefs mount` makes one"
        )
    return found


def warnings(path: AnyPath | None = None) -> list[ChangeWarning]:
    """The warnings that hold, of a file or of everything below a directory in a mount; without a path, of the project.

    Raises: VstorefsError where it is not clear which project is meant.
    """
    text = os.fspath(path) if path is not None else None
    chosen = choose(os.environ, path=text)
    if chosen.mount is not None:
        # What was opened a moment ago counts, and what other hosts have written.
        client.ask(chosen.mount, Exchange(), timeout_s=EXCHANGE_S)
    with opened(chosen) as ledger:
        if text is None or chosen.mount is None:
            return ledger.warnings()
        inside = mounts.inside(chosen.mount, text)
        if not inside and not chosen.project.single:
            return ledger.warnings()
        spec, key = chosen.project.locate(inside)
        below = ledger.warnings_below(spec.id, key)
        here = ledger.warnings_of(Place(store=spec.id, alias=spec.alias, path=key)) if key else []
        return [*here, *below]
