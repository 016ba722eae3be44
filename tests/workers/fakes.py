"""A store that does what a test tells it, and a worker's context around it, in this process."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from vstorefs.checksums import Claims, Told
from vstorefs.model import Capabilities, Content, Entry, Key, StoreSpec, Token, Version, VersionId
from vstorefs.stores.base import Page
from vstorefs.workers.jobs.context import WorkerContext


class FakeStore:
    """Serves bytes and listings; `fails` is raised by the next calls, one each; `says` is told of all contents."""

    def __init__(self, spec: StoreSpec) -> None:
        self.spec = spec
        self.contents: dict[Key, bytes] = {}
        self.pages: list[Page] = []
        self.fails: list[Exception] = []
        self.reads: list[tuple[int, int]] = []
        self.block = 300_000
        self.says: Claims = ()
        self.histories_of: dict[Key, tuple[Version, ...]] = {}
        self.alter: Callable[[Iterator[bytes]], Iterator[bytes]] = lambda blocks: blocks
        self.on_list: Callable[[], None] = lambda: None
        self.longest = 0

    def list(self, directory: Key) -> Iterator[Page]:
        del directory
        self.on_list()
        self._maybe_fail()
        return iter(self.pages)

    def history(self, key: Key) -> tuple[Version, ...]:
        return self.histories_of[key]

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
        del token, version
        self.reads.append((start, end))
        self._maybe_fail()
        if told is not None:
            told(self.says)
        return self.alter(self._blocks(key, start, end))

    def _blocks(self, key: Key, start: int, end: int) -> Iterator[bytes]:
        data = self.contents[key]
        for at in range(start, end, self.block):
            yield data[at : min(at + self.block, end)]

    def _maybe_fail(self) -> None:
        if self.fails:
            raise self.fails.pop(0)

    def holds(self, name: str, data: bytes) -> Content:
        """Put bytes under a name."""
        self.contents[Key(name)] = data
        return Content(self.spec.id, Key(name), Token(f"token-{name}"), len(data))

    def capabilities(self) -> Capabilities:
        return Capabilities(writable=True, path_bytes=self.longest)

    def lists(self, *entries: Entry) -> None:
        """What a listing shows."""
        self.pages = [Page((entry,)) for entry in entries]


def use(context: WorkerContext, store: Any) -> None:
    """Let the worker's jobs find `store` where they would open one."""
    context.stores._open[store.spec.id] = store
    context.stores._doubtable[store.spec.id] = math.inf
