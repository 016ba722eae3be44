"""Whole contents, compared with what is claimed of them; what does not stand is read once more, and told.

Damage on the way does not come twice alike. So what comes a second time and is as wrong lies so in its store, or the
claim is wrong: where nothing but an ETag is against it, that is what it is taken for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from vstorefs import errors
from vstorefs.checksums import Claim, Claims, Comparison, Judgement, Told
from vstorefs.model import Key, Token, VersionId
from vstorefs.stores.base import Store

log = logging.getLogger(__name__)

T = TypeVar("T")


class Reading:
    """One content to be read whole; `known` is claimed of it beforehand, `told` hears what its store says of it.

    Belongs to one thread.
    """

    def __init__(
        self,
        store: Store,
        key: Key,
        token: Token,
        size: int,
        *,
        version: VersionId | None = None,
        known: Iterable[Claim] = (),
        told: Told | None = None,
    ) -> None:
        self._store = store
        self._key = key
        self._token = token
        self._size = size
        self._version = version
        self._known = tuple(known)
        self._told = told
        self._earlier: Judgement | None = None

    def twice(self, take: Callable[[Iterator[bytes]], T]) -> T:
        """What `take` makes of the bytes; it must take all of them, and is asked again where they were wrong.

        Raises: Corrupt where they are not the content the second time either; a StoreError.
        """
        try:
            return take(self._blocks())
        except errors.Corrupt:
            if self._earlier is None:
                raise
        return take(self._blocks())

    def whole(self) -> bytes:
        """A small content. Raises: as `twice`."""
        return self.twice(b"".join)

    def again(self, earlier: Judgement) -> Iterator[bytes]:
        """The bytes once more, after they were found wrong. Raises: at their end, Corrupt where they are so again."""
        self.found_wrong(earlier)
        return self._blocks()

    def found_wrong(self, judgement: Judgement) -> None:
        """Tell that bytes that came are not the content."""
        self._earlier = judgement
        log.error("%s: what came is not its content: %s; reading it again", self, judgement.text())

    def __str__(self) -> str:
        version = f", version {self._version}" if self._version else f", {self._token}"
        return f"{self._store.spec.alias}:{self._key}{version}"

    def _blocks(self) -> Iterator[bytes]:
        comparison = Comparison(self._known)

        def told(claims: Claims) -> None:
            comparison.told(claims)
            if self._told is not None:
                self._told(claims)

        came = 0
        for block in self._store.read(
            self._key,
            self._token,
            0,
            self._size,
            version=self._version,
            told=told,
        ):
            comparison.update(block)
            came += len(block)
            yield block
        if came != self._size:
            raise self._corrupt(f"the store gave {came} bytes for {self._size}")
        self._settle(comparison.judged())

    def _settle(self, judgement: Judgement) -> None:
        if not judgement.is_wrong:
            if judgement.against:
                log.warning("%s: its bytes are right, and %s", self, judgement.text())
            elif self._earlier is not None:
                log.warning("%s: came right the second time; it was damaged on the way", self)
            return
        if judgement.stands_after(self._earlier):
            log.warning(
                "%s: came twice alike, so its ETag is no checksum: %s", self, judgement.text()
            )
            return
        if self._earlier is None:
            self.found_wrong(judgement)
        raise self._corrupt(f"what the store gives is not its content: {judgement.text()}")

    def _corrupt(self, why: str) -> errors.Corrupt:
        return errors.Corrupt(why, store=self._store.spec.alias, key=self._key, operation="read")
