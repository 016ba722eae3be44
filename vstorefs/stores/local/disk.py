"""System calls of the `file` kind that Python has no name for, and its errors translated.

Where a file system does not know a call (NFS swaps no names, vfat makes no links), the next best is
done instead; what that cannot catch stands in docs/how-to/nfs-and-other-shares.md.
"""

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
NOT_THERE = frozenset(
    {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EPERM, errno.EMLINK}
)
"""What a file system says of a call that it does not know."""
_libc = ctypes.CDLL(None, use_errno=True)

_KINDS: dict[int, type[errors.StoreError]] = {
    errno.ENOENT: errors.NotFound,
    errno.ENOTDIR: errors.NotFound,
    errno.EEXIST: errors.AlreadyExists,
    errno.EACCES: errors.Denied,
    errno.EPERM: errors.Denied,
    errno.EROFS: errors.Denied,
    errno.ENOSPC: errors.StoreError,
    errno.EDQUOT: errors.StoreError,
    errno.EFBIG: errors.StoreError,
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
            why = f"{why}; free some space below the store's directory"
        number = error.errno if error.errno in errors.LASTING else None
        raise kind(why, store=alias, key=key, operation=operation, number=number) from error


def rename_absent(source: Path, target: Path) -> None:
    """Rename, only if nothing has the new name. Raises: FileExistsError, FileNotFoundError."""
    try:
        _renameat2(source, target, _NOREPLACE)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        _link_and_unlink(source, target)


def _link_and_unlink(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
        return
    source.unlink()


def exchange(one: Path, other: Path, aside: Path) -> None:
    """Swap two names: in one step, or where there is no such step with `aside` as a name in between.

    `other` goes on existing all the while, where the file system has hard links.
    Raises: FileNotFoundError where either is gone.
    """
    try:
        _renameat2(one, other, _EXCHANGE)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        _exchange_by_steps(one, other, aside)


def _exchange_by_steps(one: Path, other: Path, aside: Path) -> None:
    aside.unlink(missing_ok=True)
    try:
        aside.hardlink_to(other)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        other.rename(aside)
    one.rename(other)
    aside.rename(one)


def can_exchange(one: Path, other: Path) -> bool:
    """Whether the file system swaps names in one step; both must be there."""
    try:
        _renameat2(one, other, _EXCHANGE)
    except OSError:
        return False
    return True


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
