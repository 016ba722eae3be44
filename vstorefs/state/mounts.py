"""Which mounts live on this machine, and which have died, for the command line.

One small file per mount, in the user's runtime directory. A process that was killed leaves its file behind, and in the
kernel a mount that answers with errors; the file is swept when that has been unmounted.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from vstorefs import errors, files

if TYPE_CHECKING:
    from vstorefs.project import Project

_SHARED = Path("/tmp")  # noqa: S108 — what is in there is looked at before it is used
_KIND = "fuse.vstorefs"
"""What the kernel calls the type of our mounts."""


class MountRecord(msgspec.Struct, frozen=True):
    """One mount, and what it shows. Holds no credentials.

    `start` is the start time of process `pid`, so that a reused number is told apart. `encoded_project` is read when it
    is first needed: a mount whose project this release cannot read is a mount all the same.
    """

    mount_point: str
    pid: int
    start: int
    socket: str
    encoded_project: msgspec.Raw = msgspec.field(name="project")
    cache_dir: str
    state_dir: str
    log_file: str | None
    read_only: bool

    @property
    def project(self) -> Project:
        """What it shows. Raises: VstorefsError where another release wrote it."""
        from vstorefs.project import Project  # noqa: PLC0415 — the words of stores, which most commands need not wait for

        try:
            return msgspec.json.decode(self.encoded_project, type=Project)
        except msgspec.ValidationError as error:
            raise errors.VstorefsError(
                f"the mount on {self.mount_point} was started by another vstorefs, which describes its stores "
                f"otherwise: unmount and mount again, or use the matching vstorefs ({error})"
            ) from error

    @property
    def why_dead(self) -> str:
        """What there is to say of it, and to do, when its process has died."""
        return (
            f"the process of the mount on {self.mount_point} died; type: vstorefs umount {self.mount_point}, and mount "
            "again, which uploads pending changes"
        )


def encoded(project: Project) -> msgspec.Raw:
    """A project as a record has it."""
    return msgspec.Raw(msgspec.json.encode(project))


def runtime_dir() -> Path:
    """The user's directory for what lives as long as a mount; made where it is missing.

    Without XDG_RUNTIME_DIR it is one of /tmp. Where somebody else has made that, nothing of ours goes there: it is one
    of this machine below the home then. Raises: UsageError where it belongs to someone else all the same.
    """
    base = os.environ.get("XDG_RUNTIME_DIR")
    if base:
        return _private(Path(base) / "vstorefs")
    with contextlib.suppress(errors.UsageError, OSError):
        return _private(_SHARED / f"vstorefs-{os.getuid()}")
    from vstorefs.project import state_home  # noqa: PLC0415 — nearly nobody needs it

    # A home may be shared by machines, and a mount is of one of them.
    return _private(state_home(os.environ) / f"run-{os.uname().nodename}")


def _private(folder: Path) -> Path:
    """A directory of this user's alone. Raises: UsageError where it is another's, or open to others; OSError."""
    files.make_private(folder)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.getuid() or about.st_mode & 0o077:
        raise errors.UsageError(
            f"{folder} is not a private directory of yours; remove it, or set XDG_RUNTIME_DIR to one that is"
        )
    return folder


def socket_path(mount_point: str) -> Path:
    """Where the mount on a directory listens."""
    return _file(mount_point).with_suffix(".sock")


@contextlib.contextmanager
def address(path: Path) -> Iterator[str]:
    """A socket's address while the context lasts.

    The system allows an address 107 bytes (unix(7)); a path through an open directory fits, however long its own is.
    """
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def usual_log(state_dir: Path, mount_point: str) -> Path:
    """Where a mount in the background logs to, if nobody says otherwise."""
    name = mount_point.strip("/").replace("/", "-") or "root"
    return state_dir / "logs" / f"{name}.log"


def write(record: MountRecord) -> None:
    """Tell of a mount."""
    files.write_durably(_file(record.mount_point), msgspec.json.encode(record))


def remove(mount_point: str) -> None:
    """A mount has ended."""
    files.change("mounts.remove", _file(mount_point).unlink, missing_ok=True)
    files.change("mounts.remove", socket_path(mount_point).unlink, missing_ok=True)


def living() -> list[MountRecord]:
    """All mounts whose process lives."""
    return [record for record in _records() if _lives(record)]


def dead() -> list[MountRecord]:
    """All mounts whose process has died, and that nobody has unmounted since; what is left of others is swept."""
    found = []
    for record in _records():
        if _lives(record):
            continue
        if files.is_mounted(record.mount_point, _KIND):
            found.append(record)
        else:
            remove(record.mount_point)
    return found


def _records() -> list[MountRecord]:
    records = []
    for file in sorted(runtime_dir().glob("*.json")):
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            records.append(msgspec.json.decode(file.read_bytes(), type=MountRecord))
    return records


def _lives(record: MountRecord) -> bool:
    return files.process_start(record.pid) == record.start


def refuse_dead(path: str) -> None:
    """Raises: VstorefsError, saying what to type, where the mount on `path`, or that holds it, has died."""
    record = _holding(path, dead())
    if record is not None:
        raise errors.VstorefsError(record.why_dead)


def find(path: str) -> MountRecord | None:
    """The living mount that is on `path`, or that holds it."""
    return _holding(path, living())


def _holding(path: str, records: list[MountRecord]) -> MountRecord | None:
    holding = [
        record
        for record in records
        if path == record.mount_point or path.startswith(record.mount_point.rstrip("/") + "/")
    ]
    return max(holding, key=lambda record: len(record.mount_point), default=None)


def mount_of(path: str) -> MountRecord:
    """The mount that is on a path or holds it. Raises: VstorefsError where there is none, or it has died."""
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100 — without following links into a mount
    record = find(absolute)
    if record is None:
        refuse_dead(absolute)
        raise errors.VstorefsError(
            f"{absolute} is not in a vstorefs mount of yours; `vstorefs status` lists those that there are"
        )
    return record


def inside(record: MountRecord, path: str) -> str:
    """A path relative to the mount that holds it; empty for the mount itself."""
    absolute = os.path.abspath(Path(path).expanduser())  # noqa: PTH100 — without following links into a mount
    return os.path.relpath(absolute, record.mount_point) if absolute != record.mount_point else ""


def _file(mount_point: str) -> Path:
    import hashlib  # noqa: PLC0415 — brings OpenSSL along, and most commands name no file

    name = hashlib.blake2b(
        mount_point.encode("utf-8", "surrogateescape"), digest_size=8
    ).hexdigest()
    return runtime_dir() / f"{name}.json"
