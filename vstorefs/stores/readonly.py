"""What a kind of store answers that cannot be written to by nature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vstorefs import errors
from vstorefs.model import Entry, Key, Purger, StoreSpec, Token, Version, VersionId, Write
from vstorefs.stores.base import Condemned, Erased, Fix, Same


class ReadOnly:
    """The writing half of `base.Store`, refused."""

    spec: StoreSpec

    def put(
        self,
        key: Key,
        source: Path,
        write: Write,
        *,
        overdue: bool = False,
        same: Same | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """See `base.Store`."""
        del source, write, overdue, same, fix
        raise self._refused(key, "put")

    def copy(
        self,
        key: Key,
        token: Token,
        target: Key,
        write: Write,
        *,
        version: VersionId | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """See `base.Store`."""
        del token, target, write, version, fix
        raise self._refused(key, "copy")

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`."""
        del write, fix
        raise self._refused(key, "remove")

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        raise self._refused(key, "mkdir")

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        raise self._refused(key, "rmdir")

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`."""
        del write
        raise self._refused(key, "attributes")

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`."""
        del target, write
        raise self._refused(key, "symlink")

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`. Nothing was ever written."""
        del key, write
        return None

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        raise self._refused(key, "keep")

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`."""
        del condemned, purger
        raise self._refused(Key(""), "purge")

    def tidy(self, key: Key) -> None:
        """See `base.Store`. There is nothing to tidy."""

    def _refused(self, key: Key, operation: str) -> errors.NotSupported:
        return errors.NotSupported(
            "this store can only be read", store=self.spec.alias, key=key, operation=operation
        )
