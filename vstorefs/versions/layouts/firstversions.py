"""First versions in the portable layout: made under their plain keys, where other tools see them, by "only if absent".

Only where that condition holds in the bucket, and only what started from nothing; all else is a later version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vstorefs import errors
from vstorefs.model import Key, Token, Version, Write
from vstorefs.stores.bucket import Bucket, Source, Stat
from vstorefs.versions import metadata
from vstorefs.versions.layouts.attributes import AttributeKeeper
from vstorefs.versions.layouts.lookup import Lookup
from vstorefs.versions.layouts.plainkeys import PortableKeys
from vstorefs.versions.layouts.probe import Conditions
from vstorefs.versions.order import Plain

_THROUGH_US = 8 << 20


class FirstVersions:
    """Makes them in one store. Raises: a StoreError, wherever it asks."""

    def __init__(
        self,
        bucket: Bucket,
        lookup: Lookup,
        plain_keys: PortableKeys,
        attributes: AttributeKeeper,
        conditions: Conditions,
    ) -> None:
        self._bucket = bucket
        self._lookup = lookup
        self._plain_keys = plain_keys
        self._attributes = attributes
        self._conditions = conditions
        self._alias = bucket.spec.alias

    def can_be(self, write: Write, size_bytes: int) -> bool:
        """Whether a path's first version may be made under its plain key."""
        fresh = write.base is None and write.after is None and write.record is None
        return fresh and self._conditions.hold_for(size_bytes)

    def create(
        self, key: Key, source: Source, write: Write, origin: Stat | None = None
    ) -> Version | None:
        """Make a first version; None where there is something under the plain key, and it is not this write.

        `origin`: what it is a copy of, if it is one.
        """
        sent = metadata.sent(key, write, source=origin)
        return self._create(
            key,
            write,
            lambda: self._bucket.put(
                key,
                source,
                metadata=sent.metadata,
                content_type=sent.content_type,
                headers=sent.headers,
                md5=write.hashes.md5 if write.hashes is not None else None,
                absent=True,
            ),
        )

    def create_copy(
        self,
        name: str,
        blocks: Callable[[], Iterator[bytes]],
        target: Key,
        write: Write,
        found: Stat | None = None,
    ) -> Version | None:
        """Make a first version out of content that the store has; None where it must be a later one."""
        found = found or self._bucket.stat(name)
        if not self._conditions.found.copy:
            if write.size > _THROUGH_US:
                return None
            return self.create(target, b"".join(blocks()), write, found)
        sent = metadata.sent(target, write, source=found)
        return self._create(
            target,
            write,
            lambda: self._bucket.copy(
                name,
                target,
                source=found,
                metadata=sent.metadata,
                content_type=sent.content_type,
                headers=sent.headers,
                absent=True,
            ),
        )

    def _create(self, key: Key, write: Write, request: Callable[[], None]) -> Version | None:
        """Ask for an object where there is none; None where there is one, and it is not this write's."""
        there = False
        try:
            request()
        except errors.AlreadyExists:
            there = True
        made = self.of_write(key, write)
        return None if made is None and there else self._checked(key, write, made)

    def _checked(self, key: Key, write: Write, made: Version | None) -> Version:
        if made is None:
            raise errors.Unavailable(
                "another tool replaced the file at the moment when it was made; it will be uploaded again",
                store=self._alias,
                key=key,
                operation="put",
            )
        if made.size != write.size:
            raise errors.Corrupt(
                f"the store has {made.size} bytes of {write.size}",
                store=self._alias,
                key=key,
                operation="put",
            )
        self.complete(key, write, made)
        return made

    def complete(self, key: Key, write: Write, made: Version) -> None:
        """Tell what the plain key of a version cannot show."""
        plain = Plain(key, Token(made.token.partition("/")[2]), made.size, made.time_ns)
        self._attributes.complete(plain, write, lambda: self._lookup.path(key).state.sequence)

    def of_write(self, key: Key, write: Write) -> Version | None:
        """The version under a plain key, if a write has made it."""
        found = self._lookup.plain(key)
        if found is None or metadata.decode(found.metadata).write_id != write.write_id:
            return None
        return self._plain_keys.version(key, found)
