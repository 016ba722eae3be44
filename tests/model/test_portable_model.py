"""The portable layout's protocol: one store, several hosts, every request a step of its own.

The hosts run the product's own code; between any two of their requests another host may go on, a
reply may be lost, a request may be dropped or arrive late, a host may die, and another tool may write
and delete plain keys. Clocks are minutes apart. Whatever comes of it: a content whose put returned is in the
history exactly once and can be read, nothing outside `heads/` is written over or deleted by us, and
every host sees the same head and the same history, which a reader in the middle of it all sees too.
"""

from __future__ import annotations

import random
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket
from vstorefs import errors
from vstorefs.digests import Digests
from vstorefs.model import (
    Capabilities,
    Key,
    Mark,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings
from vstorefs.versions.records import Names, RecordKind, Summary

PATHS = (Key("f"), Key("d/g"))
_MINUTE = 60_000_000_000


class Killed(BaseException):
    """The process is gone."""


class Turns:
    """Lets one host go on at a time, from request to request; `chance` decides who, and what goes wrong."""

    def __init__(self, chance: random.Random, *, faults: bool) -> None:
        self._chance = chance
        self._faults = faults
        self._waiting: dict[int, threading.Semaphore] = {}
        self._arrived = threading.Semaphore(0)
        self._late: list[Callable[[], object]] = []
        self.steps = 0

    def step(self, host: int) -> Callable[[str, Callable[[], object]], object]:
        def take(label: str, request: Callable[[], object]) -> object:
            turn = threading.Semaphore(0)
            self._waiting[host] = turn
            self._arrived.release()
            turn.acquire()
            return self._answer(label, request)

        return take

    def _answer(self, label: str, request: Callable[[], object]) -> object:
        self.steps += 1
        writes = label.startswith(("put", "copy", "delete"))
        if self._late and self._chance.random() < 0.2:
            _ignoring(self._late.pop(self._chance.randrange(len(self._late))))
        fault = self._chance.random() if self._faults else 1.0
        if fault < 0.02:
            raise Killed
        if fault < 0.05:
            raise errors.Unavailable("the request was dropped")
        if fault < 0.08 and writes:
            _ignoring(request)
            raise errors.Unavailable("the reply was lost")
        if fault < 0.10 and writes:
            self._late.append(request)
            raise errors.Unavailable("the request is late")
        return request()

    def run(self, hosts: list[Callable[[], None]]) -> None:
        threads = []
        for number, host in enumerate(hosts):
            thread = threading.Thread(target=self._one, args=(number, host), daemon=True)
            threads.append(thread)
            thread.start()
        for _ in hosts:
            self._arrived.acquire()
        while self._waiting:
            number = self._chance.choice(sorted(self._waiting))
            self._waiting.pop(number).release()
            self._arrived.acquire()
        for thread in threads:
            thread.join()
        for request in self._late:
            _ignoring(request)

    def _one(self, number: int, host: Callable[[], None]) -> None:
        try:
            host()
        finally:
            self._arrived.release()


def _ignoring(request: Callable[[], object]) -> None:
    try:
        request()
    except errors.StoreError:
        return


class World:
    """The store, and what was promised about it."""

    def __init__(self, seed: random.Random, folder: Path, *, atomic: bool, outside: bool) -> None:
        self.chance = seed
        self.folder = folder
        self.shelf = Shelf(conditions=atomic)
        self.findings = Findings(atomic, atomic, atomic and seed.random() < 0.5, pinned=True)
        self.outside = outside
        self.number = 0
        self.now = 1_790_000_000_000_000_000
        self.returned: dict[WriteId, tuple[Key, bytes]] = {}
        self.tried: dict[WriteId, tuple[Key, bytes]] = {}
        self.failures: list[BaseException] = []
        # The format is there, as if the first publish was long ago.
        first = self.store(lambda _, request: request())
        first.ready()
        self.id = first._agreement.id

    def store(self, step: Callable[[str, Callable[[], object]], object]) -> PortableStore:
        return PortableStore(
            MemoryBucket(self.shelf, step), Capabilities(writable=True), lambda: self.findings
        )

    def write(self, skew: int, base: Token | None) -> Write:
        self.number += 1
        self.now += 1_000_000
        identity = f"{self.number:026d}"
        return Write(WriteId(identity), VersionId(identity), max(0, self.now + skew), base)

    def host(self, number: int, turns: Turns, operations: int) -> Callable[[], None]:
        chance = random.Random(self.chance.random())
        store = self.store(turns.step(number))
        store._agreement.id = self.id
        store._agreement._agreed_at = float("inf")
        store._conditions.find_out()
        skew = chance.choice([0, -10 * _MINUTE, 10 * _MINUTE, -365 * 24 * 60 * _MINUTE])

        def run() -> None:
            try:
                for _ in range(operations):
                    self.operation(store, chance, skew)
            except BaseException as error:  # noqa: BLE001 — told by the thread that checks
                self.failures.append(error)

        return run

    def operation(self, store: PortableStore, chance: random.Random, skew: int) -> None:
        path = chance.choice(PATHS)
        kind = chance.random()
        if kind < 0.5:
            self.put(store, path, skew, chance)
        elif kind < 0.65:
            self.remove(store, path, skew)
        elif kind < 0.75:
            self.rename(store, path, skew)
        elif kind < 0.85:
            self.attributes(store, path, skew)
        elif kind < 0.93 or not self.outside:
            self.tidy(store, path)
            self.look(store, path)
        else:
            self.outside_tool(store, path, chance)

    def head(self, store: PortableStore, path: Key) -> Version | None:
        while True:
            try:
                return store.stat(path)
            except errors.NotFound:
                return None
            except (errors.Unavailable, errors.Changed, Killed):
                continue

    def put(self, store: PortableStore, path: Key, skew: int, chance: random.Random) -> None:
        head = self.head(store, path)
        write = self.write(skew, head.token if head is not None else None)
        data = f"content {write.write_id}".encode() * chance.choice([1, 1000])
        digests = Digests()
        digests.update(data)
        write = replace(
            write, size=len(data), hashes=digests.finish(), mode=chance.choice([None, 0o600])
        )
        self.tried[write.write_id] = (path, data)
        source = self.folder / write.write_id
        source.write_bytes(data)
        self.until_done(
            store,
            path,
            write,
            lambda write, overdue, fix: store.put(path, source, write, overdue=overdue, fix=fix),
            chance,
        )
        self.returned[write.write_id] = (path, data)

    def until_done(
        self,
        store: PortableStore,
        path: Key,
        write: Write,
        attempt: Callable[[Write, bool, Callable[[str], None]], Version | None],
        chance: random.Random | None = None,
    ) -> Version | None:
        """As the publisher does it: the same identity at every try, and a look before each but the first."""
        fixed: list[str] = []
        look = overdue = False
        while True:
            if fixed:
                write = replace(write, record=fixed[0])
            try:
                if look:
                    done = store.find_write(path, write)
                    if done is not None:
                        return done
                return attempt(write, overdue, fixed.append)
            except (errors.Unavailable, errors.Changed):
                look = True
            except Killed:
                # The next mount takes it over.
                look = True
                overdue = chance is not None and chance.random() < 0.5

    def remove(self, store: PortableStore, path: Key, skew: int) -> None:
        head = self.head(store, path)
        if head is not None:
            write = self.write(skew, head.token)
            self.until_done(
                store, path, write, lambda write, _, fix: store.remove(path, write, fix=fix)
            )

    def rename(self, store: PortableStore, path: Key, skew: int) -> None:
        source = self.head(store, path)
        target = PATHS[1 - PATHS.index(path)]
        over = self.head(store, target)
        if source is None:
            return
        write = self.write(skew, over.token if over is not None else None)
        try:
            made = self.until_done(
                store,
                target,
                write,
                lambda write, _, fix: _copy(store, path, source.token, target, write, fix),
            )
        except errors.NotFound:
            return  # another tool took the plain key away before anything was copied
        if made is not None:
            removal = self.write(skew, source.token)
            self.until_done(
                store, path, removal, lambda write, _, fix: store.remove(path, write, fix=fix)
            )

    def attributes(self, store: PortableStore, path: Key, skew: int) -> None:
        write = replace(self.write(skew, None), mode=0o640)
        while True:
            try:
                store.set_attributes(path, write)
            except errors.NotFound:
                return
            except (errors.Unavailable, errors.Changed, Killed):
                continue
            return

    def tidy(self, store: PortableStore, path: Key) -> None:
        try:
            store.tidy(path)
        except (errors.Unavailable, Killed):
            return

    def look(self, store: PortableStore, path: Key) -> None:
        """A reader in the middle of it all misses nothing that was there before it began."""
        before = {write for write, (where, _) in self.returned.items() if where == path}
        try:
            found = {one.id for one in store._records.all_of_path(path)}
            plain = store._lookup.plain(path)
        except (errors.Unavailable, Killed):
            return
        if plain is not None:
            found.add(plain.metadata.get("vstorefs-write", ""))
        if not self.outside:
            assert before <= found

    def outside_tool(self, store: PortableStore, path: Key, chance: random.Random) -> None:
        def act() -> None:
            if chance.random() < 0.5:
                self.shelf.objects.pop(path, None)
            else:
                self.shelf.clock += 1_000_000_000
                self.number += 1
                self.shelf.objects.pop(path, None)
                self.shelf.write(path, f"outside {self.number}".encode(), {}, absent=False)

        try:
            store._bucket.step("outside", act)  # type: ignore[attr-defined]
        except (errors.Unavailable, Killed):
            return

    def check(self) -> None:
        for failure in self.failures:
            raise failure
        assert self.shelf.taken_away == []
        self.check_names()
        stores = [self.store(lambda _, request: request()) for _ in range(2)]
        for path in PATHS:
            histories = [store.history(path) for store in stores]
            assert histories[0] == histories[1]
            history = histories[0]
            head = self.head(stores[0], path)
            assert [one.id for one in history if one.is_head] == ([head.id] if head else [])
            placed = [one for one in history if Mark.LATE not in one.marks]
            if head is not None:
                assert placed[-1].id == head.id
            elif placed:
                assert placed[-1].kind is VersionKind.TOMBSTONE
            self.check_contents(stores[0], path, history)

    def check_names(self) -> None:
        """A write has one name for ever, however often it was sent."""
        names: dict[str, set[Summary]] = {}
        for key in self.shelf.objects:
            found = Names().parse(key)
            if found is not None and found.summary.kind is not RecordKind.ATTRIBUTES:
                names.setdefault(found.summary.id, set()).add(found.summary)
        assert [one for one in names.values() if len(one) > 1] == []

    def check_contents(self, store: PortableStore, path: Key, history: tuple[Version, ...]) -> None:
        ids = [one.id for one in history]
        assert len(ids) == len(set(ids))
        readable: dict[str, bytes] = {}
        for one in history:
            if one.kind is VersionKind.CONTENT and Mark.REPLACED_OUTSIDE not in one.marks:
                assert one.write_id not in readable or one.write_id is None
                readable[one.write_id or one.id] = b"".join(
                    store.read(path, one.token, 0, one.size)
                )
        for write, (where, data) in self.tried.items():
            if write in readable and where == path:
                assert readable[write] == data
        if not self.outside:
            wanted = {write for write, (where, _) in self.returned.items() if where == path}
            assert wanted <= set(readable)


def _copy(
    store: PortableStore,
    path: Key,
    token: Token,
    target: Key,
    write: Write,
    fix: Callable[[str], None],
) -> Version | None:
    try:
        return store.copy(path, token, target, write, fix=fix)
    except errors.Changed:
        return None  # another tool replaced the plain key


@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.randoms(use_true_random=False),
    hosts=st.integers(1, 4),
    atomic=st.booleans(),
    outside=st.booleans(),
    faults=st.booleans(),
)
def test_any_history_of_requests_loses_nothing(
    seed: random.Random, hosts: int, atomic: bool, outside: bool, faults: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(seed, Path(folder), atomic=atomic, outside=outside)
        turns = Turns(random.Random(seed.random()), faults=faults)
        turns.run([world.host(number, turns, 4) for number in range(hosts)])
        world.check()
