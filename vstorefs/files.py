"""The only source of durable disk writes, and the facts about files that /proc tells."""

from __future__ import annotations

import getpass
import os
import re
from pathlib import Path

from vstorefs import errors

_OCTAL = re.compile(r"\\([0-7]{3})")
_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.", "fuse")


def write_durably(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, wholly or not at all, whatever happens to the machine meanwhile."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with scratch.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    sync_folder(path.parent)


def write_all(number: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset` of an open file; the kernel may take less at a time. Raises: OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(number, view, offset)
        view = view[written:]
        offset += written


def make_private(directory: Path) -> None:
    """Make a directory, and what is missing above it, for its owner alone, whatever the umask. Raises: OSError."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(mode=0o700, exist_ok=True)


def is_cut_short(file: Path, *, last_page: int, page_bytes: int) -> bool:
    """Whether a database lacks pages that it names: reading one of them through its map would kill the process."""
    return file.stat().st_size < (last_page + 1) * page_bytes


def sync_folder(path: Path) -> None:
    """Make names created or removed in a directory survive a power cut."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def require_local(path: Path, option: str) -> None:
    """Refuse a directory on a network file system, where LMDB cannot work.

    Raises: UsageError, naming `option`, which moves the directory.
    """
    kind = filesystem_of(path)
    if kind.startswith(_NETWORK):
        raise errors.UsageError(
            f"{path} lies on a network file system ({kind}), where its database would be damaged; "
            f"choose a directory on a local disk with {option}"
        )


def filesystem_of(path: Path) -> str:
    """The type of the file system that holds `path`, or its nearest existing parent."""
    return mount_of(path)[1]


def mount_of(path: Path) -> tuple[str, str]:
    """Where the file system is mounted that holds `path`, or its nearest existing parent, and of what type it is."""
    there = path.absolute()
    while not os.path.lexists(there):
        there = there.parent
    device = there.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    real = str(there.resolve())
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields = left.split()
        point = unescaped(fields[4])
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and (fields[2] == wanted or not best) and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return best, kind


def is_mounted(point: str, kind: str) -> bool:
    """Whether a file system of a type is mounted on a path. Asks the kernel's list, so a dead mount cannot block it."""
    real = os.path.realpath(point)
    for line in Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        if unescaped(left.split()[4]) == real and right.split()[0] == kind:
            return True
    return False


def unescaped(text: str) -> str:
    """A path as it stands in /proc/self/mountinfo. Source: proc(5): space, tab, newline and backslash are octal."""
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), text)


def user_name() -> str:
    """Who runs this process, for records; the number where the machine has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def boot_id() -> str:
    """What the kernel calls this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()


def process_start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None if it is gone. With the pid it names a process for ever.

    Source: proc(5), /proc/PID/stat, field 22.
    """
    fields = _process(pid)
    # A zombie has ended; who started it may never ask.
    return None if fields is None or fields[0] in {b"Z", b"X"} else int(fields[19])


def process_parent(pid: int) -> tuple[int, int] | None:
    """The parent of a process, or of a thread's process, and when it started itself; None if it is gone."""
    fields = _process(pid)
    return (int(fields[1]), int(fields[19])) if fields is not None else None


def _process(pid: int) -> list[bytes] | None:
    """What /proc/PID/stat says from the state on."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    return stat[stat.rindex(b")") + 2 :].split()
