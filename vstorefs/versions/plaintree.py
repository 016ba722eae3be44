"""Writing files, links and directories below one directory, and nowhere else.

Names come from a store, and a store is anybody's: a name may lead through a link that another name has made, or that
somebody else makes meanwhile. Every directory is opened from the one above it and without following links, everything
is made anew under a name of its own, and nobody gets more rights by a mode than its permission bits give.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from vstorefs import errors, files
from vstorefs.model import Key

_PERMISSIONS = 0o777
_DIRECTORY = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}
PARTIAL = ".vstorefs-part"


class PlainTree:
    """An open directory; safe from many threads. Every method raises OSError for what its disk refuses."""

    def __init__(self, root: Path) -> None:
        files.change("export.make", root.mkdir, parents=True, exist_ok=True)
        self._number = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Let go of it."""
        os.close(self._number)

    def make_directory(self, key: Key) -> None:
        """Make a directory and those above it; it is the user's alone until it gets its mode."""
        with self._opened(_parts(key)):
            pass

    def finish_directory(self, key: Key, mode: int, mtime_ns: int | None) -> None:
        """Give a directory its mode and time: when everything in it is written, for that changes its time."""
        with self._opened(_parts(key)) as number:
            files.change("export.mode", os.fchmod, number, mode & _PERMISSIONS)
            if mtime_ns:
                files.change("export.time", os.utime, number, ns=(mtime_ns, mtime_ns))

    def make_link(self, key: Key, target: str) -> None:
        """Make a symlink; one with that text may be there. Raises: AlreadyExists."""
        with self._above(key) as (number, name):
            try:
                files.change("export.link", os.symlink, target, name, dir_fd=number)
            except FileExistsError:
                if _link_text(number, name) != target:
                    raise _differs(key) from None

    def has_file(self, key: Key, size: int, mtime_ns: int) -> bool:
        """Whether a file is there, with that size and time. Raises: AlreadyExists for anything else of that name."""
        with self._above(key) as (number, name):
            try:
                about = os.stat(name, dir_fd=number, follow_symlinks=False)
            except FileNotFoundError:
                return False
            # Stores may keep coarser times than the disk, never finer ones.
            is_file = stat.S_ISREG(about.st_mode)
            if is_file and (about.st_size, about.st_mtime_ns) == (size, mtime_ns):
                return True
            raise _differs(key)

    def make_file(
        self,
        key: Key,
        blocks: Iterator[bytes],
        size: int,
        mode: int,
        mtime_ns: int | None = None,
    ) -> None:
        """Make a file, whole or not at all; without a time it has that of now.

        Raises: AlreadyExists; Corrupt where other than `size` bytes come.
        """
        with self._above(key) as (directory, name):
            partial = f".{secrets.token_hex(8)}{PARTIAL}"
            number = files.change("export.create", os.open, partial, _NEW, 0o600, dir_fd=directory)
            try:
                try:
                    fill(number, key, blocks, size)
                    files.change("export.mode", os.fchmod, number, mode & _PERMISSIONS)
                    if mtime_ns is not None:
                        files.change("export.time", os.utime, number, ns=(mtime_ns, mtime_ns))
                finally:
                    os.close(number)
                _give_name(directory, partial, name, key)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    files.change("export.remove", os.unlink, partial, dir_fd=directory)

    @contextlib.contextmanager
    def _above(self, key: Key) -> Iterator[tuple[int, str]]:
        """The open directory that a name is in, made where it is missing, and the name."""
        *directories, name = _parts(key)
        with self._opened(directories) as number:
            yield number, name

    @contextlib.contextmanager
    def _opened(self, parts: list[str]) -> Iterator[int]:
        number = os.dup(self._number)
        try:
            for part in parts:
                with contextlib.suppress(FileExistsError):
                    files.change("export.make", os.mkdir, part, 0o700, dir_fd=number)
                below = os.open(part, os.O_RDONLY | _DIRECTORY, dir_fd=number)
                os.close(number)
                number = below
            yield number
        finally:
            os.close(number)


def fill(number: int, key: Key, blocks: Iterator[bytes], size: int) -> None:
    """Write what a store gives of a content. Raises: OSError; Corrupt where other than `size` bytes come."""
    at = 0
    for block in blocks:
        files.write_all("export.write", number, block, at)
        at += len(block)
    if at != size:
        raise errors.Corrupt(f"{at} bytes came of {size}", key=key, operation="export")


def _parts(key: Key) -> list[str]:
    """The names that a key is made of. Raises: NotSupported where they lead elsewhere."""
    parts = key.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in parts):
        raise errors.NotSupported("no file can have that name", key=key, operation="export")
    return parts


def _link_text(number: int, name: str) -> str | None:
    try:
        return os.readlink(name, dir_fd=number)
    except OSError:
        return None


def _give_name(directory: int, partial: str, name: str, key: Key) -> None:
    """Where there is nothing of that name; on a file system without hard links, as nearly as it can be had."""
    try:
        files.change(
            "export.name",
            os.link,
            partial,
            name,
            src_dir_fd=directory,
            dst_dir_fd=directory,
            follow_symlinks=False,
        )
    except FileExistsError:
        raise _differs(key) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        files.change(
            "export.rename", os.rename, partial, name, src_dir_fd=directory, dst_dir_fd=directory
        )


def _differs(key: Key) -> errors.AlreadyExists:
    return errors.AlreadyExists(
        "something is there already and differs; export to an empty directory", key=key
    )
