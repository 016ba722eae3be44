"""System calls of the `file` kind that Python has no name for, and its errors translated.

Where a file system does not know a call (NFS swaps no names, vfat makes no links), the next best is
done instead; what that cannot catch stands in docs/how-to/nfs-and-other-shares.md.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vstorefs import errors, files

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
        _renameat2("file.name", source, target, _NOREPLACE)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        _link_and_unlink(source, target)


def _link_and_unlink(source: Path, target: Path) -> None:
    try:
        files.change("file.link", target.hardlink_to, source)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        files.change("file.rename", source.rename, target)
        return
    try:
        files.change("file.clear", source.unlink)
    except OSError:
        # It has both names: the new one goes, for an error means that nothing happened.
        with suppress(OSError):
            files.change("file.clear", target.unlink)
        raise


def exchange(one: Path, other: Path, aside: Path) -> None:
    """Swap two names: in one step, or where there is no such step with `aside` as a name in between.

    `other` goes on existing all the while, where the file system has hard links.
    Raises: FileNotFoundError where either is gone.
    """
    try:
        _renameat2("file.exchange", one, other, _EXCHANGE)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        _exchange_by_steps(one, other, aside)


def _exchange_by_steps(one: Path, other: Path, aside: Path) -> None:
    files.change("file.clear", aside.unlink, missing_ok=True)
    try:
        files.change("file.link", aside.hardlink_to, other)
    except OSError as error:
        if error.errno not in NOT_THERE:
            raise
        files.change("file.rename", other.rename, aside)
    files.change("file.rename", one.rename, other)
    files.change("file.rename", aside.rename, one)


def can_exchange(one: Path, other: Path) -> bool:
    """Whether the file system swaps names in one step; both must be there."""
    try:
        _renameat2("file.exchange", one, other, _EXCHANGE)
    except OSError:
        return False
    return True


def _renameat2(label: str, source: Path, target: Path, flags: int) -> None:
    result = files.change(
        label,
        _libc.renameat2,
        _AT_FDCWD,
        os.fsencode(source),
        _AT_FDCWD,
        os.fsencode(target),
        flags,
    )
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))


def copy_file(source: int, target: int, size: int) -> None:
    """Copy `size` bytes between open files. Raises: OSError."""
    if files.copy("file.copy", source, target, 0, size) < size:
        raise OSError(errno.EIO, "the source became shorter while it was copied")
