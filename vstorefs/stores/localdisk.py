"""System calls of the `file` kind that Python has no name for, and its errors translated."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vstorefs import errors

_NOREPLACE = 1
_EXCHANGE = 2
_AT_FDCWD = -100
_libc = ctypes.CDLL(None, use_errno=True)

_KINDS: dict[int, type[errors.StoreError]] = {
    errno.ENOENT: errors.NotFound,
    errno.ENOTDIR: errors.NotFound,
    errno.EEXIST: errors.AlreadyExists,
    errno.EACCES: errors.Denied,
    errno.EPERM: errors.Denied,
    errno.EROFS: errors.Denied,
    errno.ENOTEMPTY: errors.NotSupported,
    errno.EISDIR: errors.NotSupported,
    errno.ENAMETOOLONG: errors.NotSupported,
    errno.EINVAL: errors.NotSupported,
    errno.EOPNOTSUPP: errors.NotSupported,
    errno.ELOOP: errors.NotSupported,
}


@contextmanager
def translated(alias: str, key: str, operation: str) -> Iterator[None]:
    """Raise the family's errors instead of OSError."""
    try:
        yield
    except OSError as error:
        kind = _KINDS.get(error.errno or 0, errors.Unavailable)
        why = error.strerror or str(error)
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            why = f"{why}; free some space below the store's folder"
        raise kind(why, store=alias, key=key, operation=operation) from error


def rename_absent(source: Path, target: Path) -> None:
    """Rename, only if nothing has the new name. Raises: FileExistsError, FileNotFoundError."""
    _renameat2(source, target, _NOREPLACE)


def exchange(one: Path, other: Path) -> None:
    """Swap two names in one step. Raises: FileNotFoundError where either is gone."""
    _renameat2(one, other, _EXCHANGE)


def _renameat2(source: Path, target: Path, flags: int) -> None:
    result = _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), flags)
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def copy_file(source: int, target: int, size: int) -> None:
    """Copy `size` bytes between open files, in the kernel where it can."""
    at = 0
    while at < size:
        try:
            copied = os.copy_file_range(source, target, size - at, at, at)
        except OSError as error:
            if error.errno not in {errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}:
                raise
            copied = os.pwrite(target, os.pread(source, min(size - at, 1 << 20), at), at)
        if copied == 0:
            raise OSError(errno.EIO, "the source became shorter while it was copied")
        at += copied
