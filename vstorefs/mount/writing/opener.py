"""One version per close: does the program that opened a file still hold it for writing?

A flush comes at every close of every duplicate of a descriptor, and says of nobody. What is known
is who opened the file. If that process still has a *writable* descriptor of it, the close was one
of many (a shell's redirection, a child that ended), and the content is not complete yet. If not, or
if that cannot be found out, it is taken to be complete: a version too many is better than a close
that lies.

The descriptors' links are never followed: that would call back into the mount.
Source: proc(5), /proc/PID/fdinfo and /proc/PID/mountinfo.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vstorefs.files import process_start


@dataclass(frozen=True, slots=True)
class Opener:
    """The process that opened a file.

    Thread-group id and start time, so that a reused number is told apart.
    """

    pid: int
    start: int


def opener_of(thread: int) -> Opener | None:
    """The process of a thread, None where it cannot be known (gone, another pid namespace)."""
    if thread <= 0:
        return None
    try:
        status = Path(f"/proc/{thread}/status").read_bytes()
    except OSError:
        return None
    pid = int(status.split(b"\nTgid:", 1)[1].split(None, 1)[0])
    start = process_start(pid)
    return Opener(pid, start) if start is not None else None


def still_writes(opener: Opener | None, device: str, inode: int) -> bool:
    """Whether the opener has a writable descriptor of this inode.

    `device` is `major:minor` of the mount.
    """
    if opener is None or process_start(opener.pid) != opener.start:
        return False
    try:
        mounts = _mounts_of(opener.pid, device)
        folder = f"/proc/{opener.pid}/fdinfo"
        return any(
            _is_writable(f"{folder}/{number}", mounts, inode)
            for number in os.listdir(folder)  # noqa: PTH208 — names only
        )
    except OSError:
        return False


def _mounts_of(pid: int, device: str) -> set[bytes]:
    """The numbers under which this process sees the mount."""
    wanted = device.encode()
    found = set()
    for line in Path(f"/proc/{pid}/mountinfo").read_bytes().splitlines():
        fields = line.split(None, 3)
        if fields[2] == wanted:
            found.add(fields[0])
    return found


def _is_writable(path: str, mounts: set[bytes], inode: int) -> bool:
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError:
        # Closed since the folder was listed.
        return False
    about = dict(line.split(b":", 1) for line in lines[:4] if b":" in line)
    if about.get(b"mnt_id", b"").strip() not in mounts or int(about.get(b"ino", b"-1")) != inode:
        return False
    return int(about[b"flags"], 8) & os.O_ACCMODE in {os.O_WRONLY, os.O_RDWR}
