"""The parts that the layouts are made of, each alone on a bucket in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.support.memory.shelf import Shelf
from tests.support.memory.store import MemoryBucket
from vstorefs import errors
from vstorefs.model import Hashes, Key, Mark, Token, Version, VersionId, VersionKind, Write, WriteId
from vstorefs.stores.ids import new_id
from vstorefs.versions.layouts.attributes import AttributeKeeper
from vstorefs.versions.layouts.entries import Entries
from vstorefs.versions.layouts.format import Agreement, Layout
from vstorefs.versions.layouts.gone import changed
from vstorefs.versions.layouts.laterversions import LaterVersions
from vstorefs.versions.layouts.lookup import Lookup
from vstorefs.versions.layouts.plainkeys import PortableKeys, as_plain
from vstorefs.versions.layouts.probe import Conditions, Findings
from vstorefs.versions.layouts.recorded import as_copy, as_version, new_body
from vstorefs.versions.layouts.recordstore import RecordStore
from vstorefs.versions.records import Area, RecordKind, Summary

F = Key("d/f")
NOW = 1_790_000_000_000_000_000
ALIKE = Hashes("a" * 32, "b" * 40, "c" * 64)


class Parts:
    """What a store of one host is made of; `requests` are the names of all that it asked."""

    def __init__(self, shelf: Shelf) -> None:
        self.requests: list[str] = []
        self.bucket = MemoryBucket(shelf, self.step)
        self.records = RecordStore(self.bucket)
        self.agreement = Agreement(self.bucket, Layout.PORTABLE)
        self.agreement.agree()
        self.lookup = Lookup(self.bucket, self.records)
        self.attributes = AttributeKeeper(
            self.records,
            self.agreement,
            self.lookup,
            Entries(self.records, PortableKeys(self.bucket)),
        )
        self.later = LaterVersions(self.records, self.agreement)

    def step(self, label: str, request: Callable[[], object]) -> object:
        self.requests.append(label)
        return request()

    def publish(self, content: bytes, write: Write, *, overdue: bool = False) -> Version:
        looked = self.lookup.path(F)
        return self.later.publish(F, write, looked, overdue=overdue, inline=content)


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def parts(shelf: Shelf) -> Parts:
    return Parts(shelf)


def write(**about: object) -> Write:
    identity = new_id()
    known = {"base": None, **about}
    return Write(WriteId(identity), VersionId(identity), NOW, **known)  # type: ignore[arg-type]


def heads(shelf: Shelf) -> list[str]:
    return [name for name in shelf.objects if name.startswith(Area.HEADS.value)]


class TestConditions:
    def test_nothing_holds_before_it_was_found_out(self, shelf: Shelf) -> None:
        conditions = Conditions(MemoryBucket(shelf), lambda: Findings(put=True, parts=True))
        assert not conditions.hold_for(1)
        conditions.find_out()
        assert conditions.hold_for(1)

    def test_it_is_found_out_once_also_where_nothing_holds(self, shelf: Shelf) -> None:
        asked = []

        def find() -> Findings:
            asked.append(1)
            return Findings()

        conditions = Conditions(MemoryBucket(shelf), find)
        conditions.find_out()
        conditions.find_out()
        assert asked == [1]

    def test_what_could_not_be_found_out_is_asked_again(self, shelf: Shelf) -> None:
        answers: list[errors.Unavailable | Findings] = [
            errors.Unavailable("nobody answers"),
            Findings(put=True),
        ]

        def find() -> Findings:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        conditions = Conditions(MemoryBucket(shelf), find)
        with pytest.raises(errors.Unavailable):
            conditions.find_out()
        conditions.find_out()
        assert conditions.hold_for(1)

    def test_content_in_parts_has_a_condition_of_its_own(self, shelf: Shelf) -> None:
        bucket = MemoryBucket(shelf)
        conditions = Conditions(bucket, lambda: Findings(put=True, parts=False))
        conditions.find_out()
        assert conditions.hold_for(bucket.whole_bytes)
        assert not conditions.hold_for(bucket.whole_bytes + 1)


class TestAttributes:
    def test_what_a_plain_key_shows_gets_no_record(self, shelf: Shelf, parts: Parts) -> None:
        parts.bucket.put(F, b"x", metadata={}, content_type="text/plain")
        plain = as_plain(F, parts.bucket.stat(F))
        assert plain is not None
        before = len(parts.requests)
        parts.attributes.complete(plain, write(), lambda: pytest.fail("nobody needs to know"))
        assert (parts.requests[before:], heads(shelf)) == ([], [])

    def test_a_mode_of_its_own_is_one_record_beside_the_plain_key(
        self, shelf: Shelf, parts: Parts
    ) -> None:
        parts.bucket.put(F, b"x", metadata={}, content_type="text/plain")
        plain = as_plain(F, parts.bucket.stat(F))
        assert plain is not None
        parts.attributes.complete(plain, write(mode=0o600), lambda: 1)
        (found,) = parts.records.of_path(Area.HEADS, F)
        assert (found.kind, found.stamp, found.mode & 0o777) == (
            RecordKind.ATTRIBUTES,
            plain.stamp,
            0o600,
        )
        assert parts.lookup.path(F).state.attributes == found

    def test_where_nothing_is_nothing_can_be_said(self, parts: Parts) -> None:
        with pytest.raises(errors.NotFound):
            parts.attributes.set(F, write(mode=0o600))

    def test_the_same_symlink_again_asks_for_nothing_new(self, shelf: Shelf, parts: Parts) -> None:
        wanted = write()
        made = parts.attributes.make_symlink(F, "there", wanted)
        assert parts.attributes.make_symlink(F, "there", wanted) == made
        assert len(heads(shelf)) == 1
        with pytest.raises(errors.AlreadyExists):
            parts.attributes.make_symlink(F, "there", write())

    def test_after_a_tombstone_there_is_no_head(self, parts: Parts) -> None:
        parts.publish(b"one", write(size=3))
        gone = parts.attributes.bury(F, write(), parts.lookup.path(F), 0o100000)
        assert gone.kind is VersionKind.TOMBSTONE
        assert parts.lookup.path(F).state.head is None


class TestLaterVersions:
    def test_what_is_late_lies_beside_the_head(self, shelf: Shelf, parts: Parts) -> None:
        head = parts.publish(b"one", write(size=3))
        late = parts.publish(b"two", write(size=3, base=Token("other")), overdue=True)
        assert (late.marks, late.is_head) == ((Mark.LATE,), False)
        assert parts.lookup.path(F).state.head_id == head.id
        assert [one for one in shelf.objects if one.startswith(Area.HISTORY.value)]

    def test_what_has_another_base_is_on_top_and_says_so(self, parts: Parts) -> None:
        parts.publish(b"one", write(size=3))
        made = parts.publish(b"two", write(size=3))
        assert (made.marks, made.is_head) == ((Mark.OLDER_HEAD,), True)
        assert parts.lookup.path(F).state.head_id == made.id


class TestRecords:
    def test_only_what_this_host_put_on_top_is_moved(self, shelf: Shelf, parts: Parts) -> None:
        first = parts.publish(b"one", write(size=3))
        parts.publish(b"two", write(size=3, base=first.token))
        other = Parts(shelf)
        other.records.tidy(F)
        assert len(heads(shelf)) == 2
        parts.records.tidy(F)
        assert len(heads(shelf)) == 1
        before = len(parts.requests)
        parts.records.tidy(F)
        assert parts.requests[before:] == []

    def test_a_damaged_body_is_a_version_that_says_so(self, shelf: Shelf, parts: Parts) -> None:
        made = parts.publish(b"one", write(size=3))
        (name,) = heads(shelf)
        shelf.objects[name] = replace(shelf.objects[name], data=b"{")
        (summary,) = parts.records.of_path(Area.HEADS, F)
        fresh = Parts(shelf).records
        assert fresh.body_or_none(F, summary) is None
        version = as_version(F, summary, None, parts.agreement.id, is_head=True)
        assert (version.id, version.marks) == (made.id, (Mark.DAMAGED,))

    def test_a_record_of_another_store_is_marked(self) -> None:
        wanted = write(size=3)
        summary = Summary(
            1, RecordKind.CONTENT, NOW, 3, NOW, 0o100644, "-" * 8, str(wanted.write_id)
        )
        body = new_body("other", F, wanted)
        assert as_version(F, summary, body, "mine", is_head=True).marks == (Mark.FOREIGN,)
        # Before this host knows which store it is, it cannot tell.
        assert as_version(F, summary, body, None, is_head=True).marks == ()

    def test_a_copy_has_of_its_source_what_it_does_not_say(self) -> None:
        source = Version(
            F,
            VersionId("v"),
            VersionKind.CONTENT,
            NOW,
            size=7,
            mtime_ns=5,
            mode=0o600,
            hashes=ALIKE,
        )
        made = as_copy(write(mode=0o640), source)
        assert (made.size, made.mode, made.mtime_ns, made.hashes) == (7, 0o640, 5, ALIKE)

    def test_content_that_nobody_purged_was_changed(self, parts: Parts) -> None:
        error = changed(parts.records, F, token=Token("gone"))
        assert (error.key, error.operation) == (F, "read")
        assert "no longer this one" in error.message
