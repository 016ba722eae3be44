"""A purge stopped at every one of its steps: no other host ever sees a version without its hashes, or another head."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model.test_local_model import Clock
from tests.model.test_portable_model import Killed
from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket, at_once
from vstorefs import errors
from vstorefs.digests import Digests
from vstorefs.model import (
    Capabilities,
    Hashes,
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
from vstorefs.stores.base import Condemned, Store
from vstorefs.stores.ids import new_id
from vstorefs.stores.local.store import LocalStore
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings

F, G = Key("d/f"), Key("g")
CONTENTS = [b"first " * 9000, b"second " * 9000, b"third", b"fourth " * 9000]
PURGER = Purger("someone@somewhere", 1_800_000_000_000_000_000)


class Steps:
    """Lets so many steps happen; then the process is gone, with all its threads."""

    def __init__(self, left: int) -> None:
        self._left = left
        self._lock = threading.Lock()

    def take(self) -> None:
        with self._lock:
            self._left -= 1
            if self._left < 0:
                raise Killed

    def bucket(self, label: str, request: Callable[[], object]) -> object:
        del label
        self.take()
        return request()

    def local(self, label: str) -> None:
        del label
        self.take()


def hashes_of(content: bytes) -> Hashes:
    digests = Digests()
    digests.update(content)
    return digests.finish()


def put(store: Store, folder: Path, key: Key, content: bytes, base: Version | None) -> Version:
    source = folder / "source"
    source.write_bytes(content)
    write = Write(
        WriteId(new_id()),
        VersionId(new_id()),
        1_790_000_000_000_000_000,
        base.token if base is not None else None,
        size=len(content),
        hashes=hashes_of(content),
    )
    return store.put(key, source, write)


def fill(store: Store, folder: Path) -> None:
    """A file of four versions, the second of which was copied to another file."""
    head = None
    for content in CONTENTS:
        head = put(store, folder, F, content, head)
        if content is CONTENTS[1]:
            other = put(store, folder, G, b"g", None)
            write = Write(WriteId(new_id()), VersionId(new_id()), 1, other.token)
            store.copy(F, head.token, G, write)


def portable(shelf: Shelf, step: Callable[[str, Callable[[], object]], object]) -> PortableStore:
    bucket = MemoryBucket(shelf, step)
    everything = Findings(put=True, parts=True, copy=True)
    return PortableStore(bucket, Capabilities(writable=True), lambda: everything)


def purge(store: Store) -> None:
    """All but the newest version."""
    history = store.history(F)
    condemned = [
        Condemned(one, rank)
        for rank, one in enumerate(history)
        if not one.is_head and Mark.PURGED not in one.marks
    ]
    for one in store.purge(condemned, PURGER):
        assert one.error is None, one.error


def read(store: Store, version: Version) -> bytes | None:
    try:
        return b"".join(store.read(version.key, version.token, 0, version.size, version=version.id))
    except errors.StoreError:
        return None


def check(store: Store) -> list[Version]:
    """What every reader sees at any moment of it all."""
    history = list(store.history(F))
    assert [one.kind for one in history] == [VersionKind.CONTENT] * 4
    for version, content in zip(history, CONTENTS, strict=True):
        assert version.hashes == hashes_of(content)
        assert version.size == len(content)
        left = {Mark.PURGED, Mark.PURGING} & set(version.marks)
        assert read(store, version) in {content, None if left else content}
    assert [one.is_head for one in history] == [False, False, False, True]
    assert not {Mark.PURGED, Mark.PURGING} & set(history[3].marks)
    assert store.stat(F).id == history[3].id
    assert [one.key for page in store.list(Key("d")) for one in page.entries] == [F]
    of_all = dict(store.histories(Key("")))[F]
    assert [(one.id, one.token, one.is_head) for one in of_all] == [
        (one.id, one.token, one.is_head) for one in history
    ]
    copied = store.history(G)[-1]
    assert read(store, copied) == CONTENTS[1]
    return history


def finished(history: list[Version]) -> bool:
    return [Mark.PURGED in one.marks for one in history] == [True] * 3 + [False]


def test_stopped_at_every_step_of_the_portable_layout(tmp_path: Path) -> None:
    for steps in range(1000):
        shelf = Shelf()
        fill(portable(shelf, at_once), tmp_path)
        head = portable(shelf, at_once).stat(F)
        try:
            purge(portable(shelf, Steps(steps).bucket))
            done = True
        except Killed:
            done = False
        history = check(portable(shelf, at_once))
        assert history[3].id == head.id
        purge(portable(shelf, at_once))
        assert finished(check(portable(shelf, at_once)))
        everything = b"".join(one.data for one in shelf.objects.values())
        assert CONTENTS[0] not in everything
        assert b"dGhpcmQ" not in everything
        shared = [one for one in shelf.objects.values() if one.data == CONTENTS[1]]
        assert len(shared) == 1
        if done:
            assert steps > 20
            return
    raise AssertionError("a purge never ends")


def test_what_shares_its_content_goes_with_the_last(tmp_path: Path) -> None:
    shelf = Shelf()
    store = portable(shelf, at_once)
    fill(store, tmp_path)
    purge(store)
    put(store, tmp_path, G, b"on top", store.stat(G))
    shared = store.history(G)[1]
    (erased,) = store.purge([Condemned(shared, 1)], PURGER)
    assert (erased.error, erased.kept) == (None, "")
    assert all(one.data != CONTENTS[1] for one in shelf.objects.values())
    assert [Mark.PURGED in one.marks for one in store.history(G)] == [False, True, False]


def test_a_file_whose_plain_key_was_purged_can_be_changed_and_removed(tmp_path: Path) -> None:
    shelf = Shelf()
    store = portable(shelf, at_once)
    fill(store, tmp_path)
    purge(store)
    assert F not in shelf.objects
    other = portable(shelf, at_once)
    assert [one.key for page in other.list(Key("")) for one in page.entries] == [G, Key("d")]
    head = other.stat(F)
    made = put(other, tmp_path, F, b"on", head)
    assert Mark.OLDER_HEAD not in other.history(F)[-1].marks
    assert [Mark.OUTSIDE in one.marks for one in other.history(F)] == [False] * 5
    write = Write(WriteId(new_id()), VersionId(new_id()), 1, made.token)
    assert other.remove(F, write) is not None
    assert [page.entries for page in store.list(Key("d")) if page.entries] == []
    kinds = [one.kind for one in store.history(F)]
    assert kinds == [VersionKind.CONTENT] * 5 + [VersionKind.TOMBSTONE]


def test_a_read_of_what_was_purged_says_so(tmp_path: Path) -> None:
    store = portable(Shelf(), at_once)
    fill(store, tmp_path)
    before = store.history(F)
    purge(store)
    for version in (before[0], before[2]):
        with pytest.raises(errors.Changed, match="purged by someone@somewhere"):
            list(store.read(F, version.token, 0, version.size))


def test_stopped_at_every_step_of_a_folder(tmp_path: Path) -> None:
    for steps in range(1000):
        root = tmp_path / f"{steps}"
        root.mkdir()
        spec = StoreSpec(StoreId("s"), "s", root.as_uri())
        fill(LocalStore(spec, clock=Clock()), tmp_path)
        try:
            purge(LocalStore(spec, step=Steps(steps).local))
            done = True
        except Killed:
            done = False
        check(LocalStore(spec))
        purge(LocalStore(spec))
        assert finished(check(LocalStore(spec)))
        left = [path.read_bytes() for path in root.rglob("*") if path.is_file()]
        assert not {CONTENTS[0], CONTENTS[2]} & set(left)
        assert hashlib.sha256(CONTENTS[3]).digest() in {
            hashlib.sha256(content).digest() for content in left
        }
        if done:
            assert steps > 5
            return
    raise AssertionError("a purge never ends")
