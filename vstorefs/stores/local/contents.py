"""Bytes of a `file` store: exactly those that a token names, wherever they lie now."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from vstorefs import errors
from vstorefs.model import Key, Token
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.names import Identity
from vstorefs.stores.local.root import Root

_BLOCK = 1 << 20


class Contents:
    """Opens heads and filed versions."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def read(self, key: Key, token: Token, start: int, end: int) -> Iterator[bytes]:
        """See `base.Store`."""
        with translated(self._root.alias, key, "read"):
            number = self.open(key, token)
            try:
                before = os.fstat(number)
                at = start
                while at < end:
                    block = os.pread(number, min(_BLOCK, end - at), at)
                    after = os.fstat(number)
                    if not block or (after.st_size, after.st_mtime_ns) != (
                        before.st_size,
                        before.st_mtime_ns,
                    ):
                        raise errors.Changed(
                            "another program changed the file while it was read; open it again",
                            store=self._root.alias,
                            key=key,
                            operation="read",
                        )
                    yield block
                    at += len(block)
            finally:
                os.close(number)

    def open(self, key: Key, token: Token) -> int:
        """Open exactly the content of a token, wherever it lies now; the caller closes it.

        Raises: Changed where it is gone; Displaced where everything is.
        """
        for _ in range(3):
            candidates = [self._root.path / key]
            versions = self._root.versions(key)
            candidates += [
                one.path for one in versions.filed() if one.id == token and not one.suffix
            ]
            for path in candidates:
                try:
                    number = os.open(
                        path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                    )
                except OSError:
                    continue
                about = os.fstat(number)
                if (
                    stat.S_ISREG(about.st_mode)
                    and identity_of(number, about, key, versions.folder).id == token
                ):
                    return number
                os.close(number)
            # It may have been filed between the two looks.
        self._root.look("read")
        is_purged = any(
            one.id == token and one.suffix == names.PURGED
            for one in self._root.versions(key).filed()
        )
        raise errors.Changed(
            "this version was purged; its hashes are in its history"
            if is_purged
            else "the store has other content now and no longer this one",
            store=self._root.alias,
            key=key,
            operation="read",
        )


def identity_of(number: int, about: os.stat_result, key: Key, folder: Path) -> Identity:
    """The identity of an open head or filed version.

    One changed after it was superseded has a derived one.
    """
    own = names.carried(number, folder)
    if own is not None and names.fits(own, about) and own.path == key:
        return own
    return names.derive(about, key)
