"""A record that its server fails at each time: who lists the directory sees the name, and nobody else notices."""

from __future__ import annotations

import pytest

from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket
from vstorefs import errors
from vstorefs.model import Capabilities, EntryKind, Key, VersionId, Write, WriteId
from vstorefs.stores.base import Store
from vstorefs.stores.bucket import Versioning
from vstorefs.stores.ids import new_id
from vstorefs.stores.retry import Retrying
from vstorefs.versions.layouts.native import NativeStore
from vstorefs.versions.layouts.portable import PortableStore
from vstorefs.versions.layouts.probe import Findings
from vstorefs.versions.records import Area

FINDINGS = Findings(put=True, parts=True, copy=True)
KINDS = [errors.Unavailable, errors.Throttled, errors.Denied]


class Failing(MemoryBucket):
    """Fails to give the records of some paths."""

    def __init__(self, shelf: Shelf) -> None:
        super().__init__(shelf)
        self.bad: set[str] = set()
        self.error: type[errors.StoreError] = errors.Unavailable

    def get(self, name: str) -> bytes:
        if any(name.startswith(f"{Area.HEADS.value}{path}@") for path in self.bad):
            raise self.error("not now", key=name)
        return super().get(name)


def written() -> Write:
    identity = new_id()
    return Write(WriteId(identity), VersionId(identity), 1, None, size=0)


def store_on(bucket: MemoryBucket, layout: str) -> NativeStore | PortableStore:
    able = Capabilities(writable=True)
    if layout == "native":
        return NativeStore(bucket, able)
    return PortableStore(bucket, able, lambda: FINDINGS)


class Asked:
    """A store that is asked again, on a clock of its own."""

    def __init__(self, bucket: Failing, layout: str) -> None:
        self._now = 0.0
        self.bucket = bucket
        self.heals = False
        self.store: Store = Retrying(
            store_on(bucket, layout), sleep=self._sleep, now=lambda: self._now
        )

    def _sleep(self, seconds: float) -> None:
        self._now += seconds
        if self.heals:
            self.bucket.bad.clear()

    def targets(self) -> dict[str, str | None]:
        found = [entry for page in self.store.list(Key("d")) for entry in page.entries]
        assert {entry.kind for entry in found} == {EntryKind.SYMLINK}
        return {entry.key: entry.target for entry in found}


@pytest.fixture(params=["native", "portable"])
def layout(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def shelf(layout: str) -> Shelf:
    """A directory with many symlinks."""
    shelf = Shelf(page=1000)
    shelf.versioning = Versioning.ENABLED if layout == "native" else Versioning.OFF
    store = store_on(MemoryBucket(shelf), layout)
    store.ready()
    for number in range(40):
        store.make_symlink(Key(f"d/{number}"), f"target {number}", written())
    return shelf


@pytest.fixture
def asked(shelf: Shelf, layout: str) -> Asked:
    """The store as another host opens it, which has read nothing yet; one record fails."""
    bucket = Failing(shelf)
    bucket.bad = {"d/3"}
    return Asked(bucket, layout)


@pytest.mark.parametrize("kind", KINDS)
def test_a_symlink_is_shown_without_its_target_until_that_can_be_read(
    asked: Asked, kind: type[errors.StoreError]
) -> None:
    asked.bucket.error = kind
    whole: dict[str, str | None] = {f"d/{number}": f"target {number}" for number in range(40)}
    for _ in range(3):
        assert asked.targets() == {**whole, "d/3": None}
    asked.bucket.bad.clear()
    assert asked.targets() == whole


def test_where_many_fail_it_is_the_store(asked: Asked) -> None:
    asked.bucket.bad = {f"d/{number}" for number in range(40)}
    for _ in range(3):
        with pytest.raises(errors.Unavailable):
            asked.targets()


def test_a_record_that_fails_once_is_asked_for_again(asked: Asked) -> None:
    asked.heals = True
    assert asked.targets()["d/3"] == "target 3"


def test_a_share_that_is_gone_is_no_matter_of_one_record(asked: Asked) -> None:
    asked.bucket.error = errors.Displaced
    with pytest.raises(errors.Displaced):
        asked.targets()


def test_attributes_are_not_changed_of_what_cannot_be_read(asked: Asked) -> None:
    asked.targets()
    with pytest.raises(errors.Unavailable):
        asked.store.set_attributes(Key("d/3"), written())
