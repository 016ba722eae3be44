"""Which id a store has where its server lets several hosts say one at once, as some do where they keep versions."""

from __future__ import annotations

import pytest

from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket
from vstorefs import errors
from vstorefs.stores.bucket import Versioning
from vstorefs.versions import records
from vstorefs.versions.layouts.format import Agreement, Known, Layout, agreed_format, read_format

OURS, THEIRS, EARLIER = "a" * 26, "b" * 26, "c" * 26


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(versioning=Versioning.ENABLED, conditions=False)


def say(shelf: Shelf, store_id: str, layout: str = Layout.NATIVE.value) -> None:
    MemoryBucket(shelf).put(
        records.FORMAT_KEY,
        records.encode_format(layout, store_id),
        metadata={},
        content_type="application/json",
    )


def test_both_of_two_hosts_go_by_what_was_said_first(shelf: Shelf) -> None:
    """The second looks, then the first says its own, and then so does the second."""
    first = Agreement(MemoryBucket(shelf), Layout.NATIVE)

    def step(label: str, request: object) -> object:
        if label == f"put {records.FORMAT_KEY}" and first.id is None:
            first.agree()
        assert callable(request)
        return request()

    second = Agreement(MemoryBucket(shelf, step), Layout.NATIVE)
    second.agree()
    assert second.id == first.id
    found = read_format(MemoryBucket(shelf))
    assert found is not None
    assert found.id == first.id


def test_a_host_that_knows_the_store_goes_on_while_another_one_hides_its_id(shelf: Shelf) -> None:
    say(shelf, OURS)
    say(shelf, THEIRS)
    Agreement(MemoryBucket(shelf), Layout.NATIVE, Known(OURS, lambda _: None)).agree()


def test_who_only_reads_sees_what_was_said_first_and_changes_nothing(shelf: Shelf) -> None:
    say(shelf, OURS)
    say(shelf, THEIRS)
    reader = Agreement(MemoryBucket(shelf), Layout.NATIVE)
    reader.look()
    assert reader.id == OURS
    found = read_format(MemoryBucket(shelf))
    assert found is not None
    assert found.id == THEIRS


@pytest.mark.parametrize("between", ["deletion", "migration"])
def test_what_an_earlier_store_said_is_not_what_holds(shelf: Shelf, between: str) -> None:
    say(shelf, EARLIER)
    if between == "deletion":
        MemoryBucket(shelf).delete(records.FORMAT_KEY)
    else:
        say(shelf, OURS, Layout.PORTABLE.value)
    say(shelf, OURS)
    found = agreed_format(MemoryBucket(shelf))
    assert found is not None
    assert found.id == OURS


def test_a_bucket_that_was_made_anew_is_not_written_to(shelf: Shelf) -> None:
    say(shelf, THEIRS)
    known = Agreement(MemoryBucket(shelf), Layout.NATIVE, Known(OURS, lambda _: None))
    with pytest.raises(errors.Displaced):
        known.agree()
