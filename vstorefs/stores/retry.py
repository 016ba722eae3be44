"""Back-off around any store: what only looks is asked again, what writes is not.

A write whose answer was lost may have happened; whoever sends it again has to look first, and that
is the publisher.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from vstorefs import errors
from vstorefs.backoff import Backoff
from vstorefs.checksums import Told
from vstorefs.model import (
    Capabilities,
    Entry,
    Key,
    Purger,
    StoreSpec,
    Token,
    Version,
    VersionId,
    Write,
)
from vstorefs.stores.base import Condemned, Erased, Fix, Page, Same, Store

T = TypeVar("T")

_BACKOFF = Backoff(0.1, 5.0)
# So that many readers of a slow store do not come back together.
_SPREAD = Backoff(0.1, 5.0, jitter=0.5)


class _Patience:
    """How long an answer is waited for: until `deadline_s` seconds after it last got on."""

    def __init__(
        self,
        backoff: Backoff,
        deadline_s: float,
        sleep: Callable[[float], None],
        now: Callable[[], float],
    ) -> None:
        self._backoff = backoff
        self._deadline_s = deadline_s
        self._sleep = sleep
        self._now = now
        self._until = now() + deadline_s
        self._failures = 0

    def got_on(self) -> None:
        """Something came."""
        self._until = self._now() + self._deadline_s

    def wait(self) -> bool:
        """Pause before the next attempt; False at once where it would come too late."""
        self._failures += 1
        pause_s = self._backoff.after(self._failures)
        if self._now() + pause_s > self._until:
            return False
        self._sleep(pause_s)
        return True


def ask_again(
    call: Callable[[], T],
    deadline_s: float,
    *,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> T:
    """The answer to a question that changes nothing, asked again while nobody answers or the store is busy."""
    patience = _Patience(_SPREAD, deadline_s, sleep, now)
    while True:
        try:
            return call()
        except errors.RETRIED as error:
            if not errors.may_pass(error) or not patience.wait():
                raise


class Retrying:
    """A store that asks again, for up to `deadline_s` seconds, when nobody answers or it is busy."""

    def __init__(
        self,
        store: Store,
        *,
        deadline_s: float = 20.0,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec: StoreSpec = store.spec
        self._store = store
        self._deadline_s = deadline_s
        self._sleep = sleep
        self._now = now

    def _again(self, call: Callable[[], T], deadline_s: float | None = None) -> T:
        bound = self._deadline_s if deadline_s is None else deadline_s
        return ask_again(call, bound, sleep=self._sleep, now=self._now)

    def _patience(self) -> _Patience:
        return _Patience(_BACKOFF, self._deadline_s, self._sleep, self._now)

    def capabilities(self) -> Capabilities:
        """See `base.Store`; a person waits for this answer, so it is not asked for long."""
        return self._again(self._store.capabilities, self._deadline_s / 4)

    def look(self) -> None:
        """See `base.Store`; others wait for what it tells, so it is not asked for long."""
        self._again(self._store.look, self._deadline_s / 4)

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`.

        Pages that have been given are not asked for again, so a failure midway starts over unseen.
        """
        return iter(self._again(lambda: list(self._store.list(directory))))

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        return self._again(lambda: self._store.stat(key, version))

    def read(
        self,
        key: Key,
        token: Token,
        start: int,
        end: int,
        *,
        version: VersionId | None = None,
        told: Told | None = None,
    ) -> Iterator[bytes]:
        """See `base.Store`; a body that ends early is continued where it stopped."""
        at = start
        patience = self._patience()
        while at < end:
            try:
                for block in self._store.read(key, token, at, end, version=version, told=told):
                    at += len(block)
                    patience.got_on()
                    yield block
                if at < end:
                    raise errors.Unavailable(
                        "the content ended early", store=self.spec.alias, key=key, operation="read"
                    )
            except errors.RETRIED as error:
                if not errors.may_pass(error) or not patience.wait():
                    raise

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
        return self._store.put(key, source, write, overdue=overdue, same=same, fix=fix)

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
        return self._store.copy(key, token, target, write, version=version, fix=fix)

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`."""
        return self._store.remove(key, write, fix=fix)

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return iter(self._again(lambda: list(self._store.versions(directory))))

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return iter(self._again(lambda: list(self._store.paths(directory))))

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`."""
        return self._again(lambda: self._store.history(key))

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`; where it stopped it goes on, as keys come in order."""
        last: Key | None = None
        patience = self._patience()
        while True:
            try:
                for key, history in self._store.histories(directory):
                    if last is None or key > last:
                        last = key
                        patience.got_on()
                        yield key, history
            except errors.RETRIED as error:
                if not errors.may_pass(error) or not patience.wait():
                    raise
            else:
                return

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`."""
        return iter(self._again(lambda: list(self._store.as_of(directory, moment_ns))))

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        return self._again(lambda: self._store.find_write(key, write))

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self._store.make_directory(key, write)

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self._store.remove_directory(key, write)

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`."""
        return self._store.set_attributes(key, write)

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`."""
        return self._store.make_symlink(key, target, write)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        self._store.keep_directory(key, write)

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`; what was purged already may be asked for again."""
        return self._again(lambda: self._store.purge(condemned, purger))

    def tidy(self, key: Key) -> None:
        """See `base.Store`."""
        self._store.tidy(key)

    def close(self) -> None:
        """See `base.Store`."""
        self._store.close()
