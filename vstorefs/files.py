"""The only way to change a disk of ours, and the facts about files that /proc tells.

Every call that changes a disk has a label, which says what is changed: `staging.write`, `state.commit`. It is made by
`change` or by one of the functions here, which go to the end of what they do, however little the disk takes at a time.
`before_change` is told the label first, and does nothing; a test puts something in its place that fails the call which
the label names, or lets it take less. docs/explanation/guarantees.md lists the labels.
"""

from __future__ import annotations

import errno
import getpass
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from vstorefs import errors

_OCTAL = re.compile(r"\\([0-7]{3})")
_COPIED_BYTES = 1 << 20
_NO_COPY = frozenset({errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
_NETWORK = ("nfs", "cifs", "smb", "9p", "ceph", "glusterfs", "lustre", "afs", "fuse.", "fuse")


P = ParamSpec("P")
R = TypeVar("R")


def _nothing(label: str) -> int | None:
    del label
    return None


before_change: Callable[[str], int | None] = _nothing
"""Told the label of each change before it is made. Raises what the disk would; a number is how many bytes it takes."""


def change(label: str, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Make one call that changes a disk. Raises: OSError."""
    before_change(label)
    return call(*args, **kwargs)


def commit(label: str) -> None:
    """A database is about to bring a change to disk, by calls of its own. Raises: what it would."""
    before_change(label)


def write_all(label: str, number: int, data: bytes | memoryview, offset: int) -> None:
    """Write all of `data` at `offset` of an open file; the kernel may take less at a time. Raises: OSError."""
    view = memoryview(data)
    while view:
        written = os.pwrite(number, view[: before_change(label)], offset)
        if written == 0:
            raise OSError(errno.EIO, "the disk takes nothing, and says no error")
        view = view[written:]
        offset += written


def copy(label: str, source: int, target: int, start: int, end: int) -> int:
    """Copy bytes [start, end) between open files, in the kernel where it can; gives where the source ended.

    Raises: OSError.
    """
    at = start
    while at < end:
        limit = before_change(label)
        count = min(end - at, end - at if limit is None else limit)
        try:
            copied = os.copy_file_range(source, target, count, at, at)
        except OSError as error:
            if error.errno not in _NO_COPY:
                raise
            block = os.pread(source, min(count, _COPIED_BYTES), at)
            copied = os.pwrite(target, block, at)
        if copied == 0:
            break
        at += copied
    return at


def write_durably(path: Path, data: bytes) -> None:
    """Make `path` hold `data`, wholly or not at all, whatever happens to the machine meanwhile. Raises: OSError."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    try:
        number = change("durable.create", os.open, scratch, flags, 0o666)
        try:
            write_all("durable.write", number, data, 0)
            change("durable.sync", os.fsync, number)
        finally:
            os.close(number)
        change("durable.rename", scratch.replace, path)
    except BaseException:
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def make_private(directory: Path) -> None:
    """Make a directory, and what is missing above it, for its owner alone, whatever the umask. Raises: OSError."""
    missing = [one for one in (directory, *directory.parents) if not one.exists()]
    for one in reversed(missing):
        change("directory.make", one.mkdir, mode=0o700, exist_ok=True)


def is_cut_short(file: Path, *, last_page: int, page_bytes: int) -> bool:
    """Whether a database lacks pages that it names: reading one of them through its map would kill the process."""
    return file.stat().st_size < (last_page + 1) * page_bytes


def sync_folder(path: Path) -> None:
    """Make names created or removed in a directory survive a power cut."""
    number = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        change("directory.sync", os.fsync, number)
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
