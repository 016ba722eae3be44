"""Every single change that a `file` store makes to its disk fails once, for every kind of operation.

Whatever fails: the program gets that error, what is shown is the state before or the state after and nothing between,
the same request again ends as if nothing had been, and nothing is left behind.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.diskfaults import FAULTS, disk
from tests.support.disklabels import labels
from vstorefs import errors
from vstorefs.model import (
    Key,
    Mark,
    Purger,
    StoreId,
    StoreSpec,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.base import Condemned
from vstorefs.stores.local.store import LocalStore

F, G, LINK, FOLDER = Key("d/f"), Key("d/new/g"), Key("d/link"), Key("d/folder")
EARLY_NS = 1_600_000_000_000_000_000


class Clock:
    """A millisecond goes by at each look."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000_000_000

    def wall_ns(self) -> int:
        self.now += 10_000_000
        return self.now

    def monotonic_s(self) -> float:
        return 0.0


def write(name: str, **more: Any) -> Write:
    about = {"base": None, **more}
    return Write(WriteId(f"write-{name}"), VersionId(name.ljust(26, "0")), EARLY_NS, **about)


class World:
    """A store with two versions of a file, a link and a directory."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "store"
        self.sources = folder / "sources"
        self.sources.mkdir(parents=True)
        (self.root / "d").mkdir(parents=True)
        spec = StoreSpec(StoreId("s"), "s", self.root.as_uri())
        self.store = LocalStore(spec, clock=Clock())
        self.put(F, b"one", "one")
        self.put(F, b"two", "two")
        self.store.make_symlink(LINK, "old", write("link"))
        self.store.make_directory(FOLDER, write("folder", mode=0o700))

    def put(
        self, key: Key, data: bytes, name: str, *, stale: bool = False, overdue: bool = False
    ) -> None:
        """Publish a content, as if from the head."""
        source = self.sources / name
        source.write_bytes(data)
        try:
            base = None if stale else self.store.stat(key).token
        except errors.NotFound:
            base = None
        about = write(name, base=base, size=len(data), mode=0o640, mtime_ns=EARLY_NS)
        self.store.put(key, source, about, overdue=overdue)

    def shown(self) -> dict[str, object]:
        """What everybody sees: all histories with their contents, and what is at the plain paths."""
        found: dict[str, object] = {}
        for key in (F, G, Key("d/copy")):
            found[key] = [
                (_id(one), one.kind, _marks(one), self._bytes(key, one), one.is_head)
                for one in self.store.history(key)
            ]
        for path in sorted((self.root / "d").rglob("*")):
            name = str(path.relative_to(self.root))
            if path.is_symlink():
                found[f"plain {name}"] = str(path.readlink())
            elif path.is_file():
                found[f"plain {name}"] = path.read_bytes()
            elif name != str(Path(G).parent):
                # That one is made on the way, and stays.
                found[f"plain {name}"] = "directory"
        return found

    def _bytes(self, key: Key, version: Version) -> bytes | None:
        if version.kind is not VersionKind.CONTENT or not version.token or version.purged:
            return None
        try:
            return b"".join(self.store.read(key, version.token, 0, version.size))
        except errors.Changed:
            # Another program wrote over it.
            return None

    def left_behind(self) -> list[str]:
        """What is in the hidden directory and no part of a version, once the next write has been made."""
        self.put(F, b"next", "next")
        hidden = self.root / ".vstorefs"
        ends = (".tmp", ".new", ".link", ".about")
        return [
            str(one) for one in hidden.rglob("*") if one.name.endswith(ends) or "probe" in one.name
        ]


def _id(version: Version) -> str:
    # Another program's has the number of its inode in its id.
    return "outside" if Mark.OUTSIDE in version.marks else version.id


def _marks(version: Version) -> list[Mark]:
    # A purge that was begun says so until the next one ends it.
    return [one for one in version.marks if one is not Mark.PURGING]


@dataclass(frozen=True)
class Operation:
    """What is asked of the store. `done` says whether it has happened, as a publisher looks before it asks again."""

    act: Callable[[World], object]
    done: Callable[[World], bool] = lambda _: False
    before: Callable[[World], object] = lambda _: None


def _has(key: Key, name: str) -> Callable[[World], bool]:
    return lambda world: world.store.find_write(key, write(name)) is not None


def _from_outside(world: World) -> None:
    (world.root / F).write_bytes(b"another program's")
    os.utime(world.root / F, (1_650_000_000, 1_650_000_000))


def _copy(world: World) -> None:
    token = next(one.token for one in world.store.history(F) if one.id.startswith("one"))
    world.store.copy(F, token, Key("d/copy"), write("copy"))


def _purge(world: World) -> None:
    version = next(one for one in world.store.history(F) if one.id.startswith("one"))
    if version.purged is None:
        erased = world.store.purge([Condemned(version, 0)], Purger("me", 1))
        if erased[0].error is not None:
            raise erased[0].error


def _remove(world: World) -> None:
    world.store.remove(F, write("gone", base=world.store.stat(F).token))


def _rmdir(world: World) -> None:
    world.store.remove_directory(FOLDER, write("rmdir"))


def _mkdir(world: World) -> None:
    try:
        world.store.make_directory(Key("d/made"), write("made", mode=0o711))
    except errors.AlreadyExists:
        return


def _relink(world: World) -> None:
    world.store.make_symlink(LINK, "fresh", write("relink", after=WriteId("write-link")))


OPERATIONS = {
    "first version": Operation(lambda world: world.put(G, b"g", "g"), _has(G, "g")),
    "overwrite": Operation(lambda world: world.put(F, b"three", "three"), _has(F, "three")),
    "overwrite what another program wrote": Operation(
        lambda world: world.put(F, b"three", "three"), _has(F, "three"), _from_outside
    ),
    "late": Operation(
        lambda world: world.put(F, b"late", "late", stale=True, overdue=True), _has(F, "late")
    ),
    "remove": Operation(_remove, _has(F, "gone")),
    "copy": Operation(_copy, _has(Key("d/copy"), "copy")),
    "purge": Operation(_purge),
    "mkdir": Operation(_mkdir),
    "rmdir": Operation(_rmdir),
    "link": Operation(lambda world: world.store.make_symlink(Key("d/new-link"), "x", write("l"))),
    "another link": Operation(_relink),
    "remove a link": Operation(
        lambda world: world.store.remove(LINK, write("unlink", after=WriteId("write-link")))
    ),
    "attributes": Operation(
        lambda world: world.store.set_attributes(
            F, write("a", mode=0o600, mtime_ns=EARLY_NS + 7, uid=os.getuid(), gid=os.getgid())
        )
    ),
}


@pytest.fixture
def worlds(tmp_path: Path) -> Callable[[], World]:
    """New worlds, one at a time."""
    folder = tmp_path / "world"

    def make() -> World:
        shutil.rmtree(folder, ignore_errors=True)
        return World(folder)

    return make


def _run(operation: Operation, world: World) -> errors.StoreError | None:
    try:
        operation.act(world)
    except errors.StoreError as error:
        return error
    return None


EVERYTHING: frozenset[str] = frozenset()
NO_EXCHANGE = frozenset({"file.exchange", "file.name"})
"""NFS swaps no names, and has no rename that spares what is there."""


@pytest.mark.parametrize("unknown", [EVERYTHING, NO_EXCHANGE])
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_change_fails_once(
    name: str, unknown: frozenset[str], worlds: Callable[[], World]
) -> None:
    operation = OPERATIONS[name]
    world = worlds()
    operation.before(world)
    before = world.shown()
    with disk(unknown=unknown) as whole:
        assert _run(operation, world) is None
    after = world.shown()
    assert after != before or name == "attributes"
    for at, label in enumerate(whole.made):
        for fault in FAULTS if label not in unknown else ():
            what = f"{name}: {label} ({at} of {whole.made}), {fault}"
            world = worlds()
            operation.before(world)
            with disk(at, fault, unknown) as broken:
                error = _run(operation, world)
            assert broken.made[: at + 1] == whole.made[: at + 1], what
            found = world.shown()
            if error is None:
                assert found == after, what
            else:
                assert errors.to_errno(error) == fault, what
                assert found in (before, after), what
                if not operation.done(world):
                    assert _run(operation, world) is None, what
                assert world.shown() == after, what
            assert world.left_behind() == [], what


def test_every_change_of_this_kind_is_one_of_those(worlds: Callable[[], World]) -> None:
    """No label of the `file` kind stands in the code that no operation above reaches."""
    reached = set()
    for unknown in (EVERYTHING, NO_EXCHANGE):
        for operation in OPERATIONS.values():
            world = worlds()
            operation.before(world)
            with disk(unknown=unknown) as whole:
                _run(operation, world)
            reached.update(whole.made)
    wanted = {one for one in labels() if one.startswith("file.")}
    assert wanted - reached == set()
