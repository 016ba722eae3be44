"""What every kind of store does, whatever is behind it."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.stores.kinds import KINDS, chosen
from vstorefs import errors
from vstorefs.digests import hash_file
from vstorefs.model import (
    Entry,
    EntryKind,
    Hashes,
    Key,
    Mark,
    Token,
    Version,
    VersionId,
    VersionKind,
    Write,
    WriteId,
)
from vstorefs.stores.base import Store
from vstorefs.stores.ids import new_id

pytestmark = pytest.mark.stores

MOTO_NATIVE = {"s3-native"}
MOTO = {"s3-native", "s3-portable", "careless-portable"}


def _told(version: Version) -> tuple[object, ...]:
    """What a listing must tell of a version."""
    late = Mark.LATE in version.marks
    about = (version.key, version.id, version.kind, version.time_ns, version.token, version.size)
    return (*about, late, version.is_head)


class Box:
    """A store and short ways to use it."""

    def __init__(self, store: Store, folder: Path) -> None:
        self.store = store
        self._folder = folder
        self._now = 1_790_000_000_000_000_000

    def write(self, base: Token | None, **about: object) -> Write:
        self._now += 1_000_000
        return Write(WriteId(new_id()), VersionId(new_id()), self._now, base, **about)  # type: ignore[arg-type]

    def source(self, data: bytes) -> tuple[Path, Hashes]:
        path = self._folder / new_id()
        path.write_bytes(data)
        return path, hash_file(path)

    def put(
        self,
        key: str,
        data: bytes,
        base: Token | None = None,
        *,
        overdue: bool = False,
        write: Write | None = None,
        **about: object,
    ) -> Version:
        path, hashes = self.source(data)
        write = write or self.write(base, size=len(data), hashes=hashes, **about)
        return self.store.put(Key(key), path, write, overdue=overdue)

    def read(self, key: str, version: Version, start: int = 0, end: int | None = None) -> bytes:
        end = version.size if end is None else end
        return b"".join(self.store.read(Key(key), version.token, start, end, version=version.id))

    def names(self, directory: str = "") -> dict[str, EntryKind]:
        pages = self.store.list(Key(directory))
        return {entry.key: entry.kind for page in pages for entry in page.entries}

    def contents(self, key: str) -> list[bytes | None]:
        return [
            self.read(key, one) if one.kind is VersionKind.CONTENT else None
            for one in self.store.history(Key(key))
        ]


@pytest.fixture(params=chosen())
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    request.node.user_properties.append(("kind", request.param))
    store = KINDS[request.param](request)
    folder = tmp_path / "sources"
    folder.mkdir()
    yield Box(store, folder)
    store.close()


class TestVersions:
    def test_a_put_makes_a_current_version_and_keeps_the_old_one(self, box: Box) -> None:
        first = box.put("d/f", b"first", mode=0o640, mtime_ns=1_600_000_000_000_000_000)
        second = box.put("d/f", b"second", first.token)
        history = box.store.history(Key("d/f"))
        assert [one.is_head for one in history] == [False, True]
        assert box.contents("d/f") == [b"first", b"second"]
        assert (history[0].mode, history[0].mtime_ns) == (0o640, 1_600_000_000_000_000_000)
        assert history[0].hashes == first.hashes
        assert history[1].base in {first.token, first.id}
        assert box.store.stat(Key("d/f")).id == second.id
        assert box.store.stat(Key("d/f"), first.id).size == 5

    def test_a_removal_keeps_every_content(self, box: Box, request: pytest.FixtureRequest) -> None:
        first = box.put("f", b"content")
        tombstone = box.store.remove(Key("f"), box.write(first.token))
        assert tombstone is not None
        assert box.contents("f") == [b"content", None]
        with pytest.raises(errors.NotFound):
            box.store.stat(Key("f"))
        assert "f" not in box.names()
        assert list(box.store.versions(Key(""))) == ["f"]
        again = box.put("f", b"again")
        assert Mark.OLDER_HEAD not in again.marks
        if request.node.callspec.params["box"] in MOTO_NATIVE:
            # moto lists delete markers apart, with times in seconds: their place is not known.
            assert sorted(box.contents("f"), key=str) == [None, b"again", b"content"]
        else:
            assert box.contents("f") == [b"content", None, b"again"]

    def test_a_removal_of_what_is_no_longer_current_changes_nothing(self, box: Box) -> None:
        first = box.put("f", b"first")
        box.put("f", b"second", first.token)
        assert box.store.remove(Key("f"), box.write(first.token)) is None
        assert box.read("f", box.store.stat(Key("f"))) == b"second"
        assert box.store.remove(Key("never"), box.write(None)) is None

    def test_content_based_on_an_older_version_is_marked(self, box: Box) -> None:
        first = box.put("f", b"first")
        box.put("f", b"second", first.token)
        third = box.put("f", b"third", first.token)
        assert Mark.OLDER_HEAD in third.marks
        assert box.contents("f") == [b"first", b"second", b"third"]

    def test_content_that_is_overdue_never_goes_on_top(self, box: Box) -> None:
        first = box.put("f", b"first")
        box.put("f", b"second", first.token)
        late = box.put("f", b"late", first.token, overdue=True)
        assert not late.is_head
        assert Mark.LATE in late.marks
        assert box.read("f", box.store.stat(Key("f"))) == b"second"
        history = box.store.history(Key("f"))
        assert history[-1].is_head
        assert [box.read("f", one) for one in history if Mark.LATE in one.marks] == [b"late"]
        assert late.write_id is not None
        assert (
            box.store.find_write(Key("f"), Write(late.write_id, late.id, 0, first.token))
            is not None
        )

    def test_a_write_is_found_again(self, box: Box) -> None:
        first = box.put("f", b"first")
        path, hashes = box.source(b"second")
        write = box.write(first.token, size=6, hashes=hashes)
        assert box.store.find_write(Key("f"), write) is None
        box.store.put(Key("f"), path, write)
        found = box.store.find_write(Key("f"), write)
        assert found is not None
        assert found.write_id == write.write_id

    def test_writers_at_the_same_time_all_get_their_version(self, box: Box) -> None:
        failures: list[Exception] = []

        def one(number: int) -> None:
            try:
                box.put("f", f"content {number}".encode())
            except errors.VstorefsError as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert Counter(box.contents("f")) == Counter(
            f"content {number}".encode() for number in range(8)
        )

    def test_a_copy_is_a_new_version_of_its_target(self, box: Box) -> None:
        source = box.put("a", b"content", mode=0o600)
        target = box.put("b", b"old")
        copied = box.store.copy(
            Key("a"), source.token, Key("b"), box.write(target.token), version=source.id
        )
        assert copied.hashes == source.hashes
        assert box.contents("b") == [b"old", b"content"]
        box.put("a", b"changed", source.token)
        box.store.copy(Key("a"), source.token, Key("c"), box.write(None))
        assert box.contents("c") == [b"content"]
        with pytest.raises((errors.Changed, errors.NotFound)):
            box.store.copy(Key("a"), Token("nothing"), Key("c"), box.write(None))

    def test_all_histories_below_a_directory_are_those_of_its_paths(self, box: Box) -> None:
        first = box.put("d/f", b"first", mode=0o600)
        second = box.put("d/f", b"second!", first.token)
        box.put("d/f", b"late", first.token, overdue=True)
        gone = box.put("d.txt", b"gone")
        box.store.remove(Key("d.txt"), box.write(gone.token))
        box.put("d/e/g", b"")
        large = box.put("d/large", os.urandom(40_000))
        box.put("d/large", os.urandom(50_000), large.token)
        box.store.make_directory(Key("d/empty"), box.write(None))
        box.store.make_symlink(Key("d/link"), "f", box.write(None))
        box.store.copy(Key("d/f"), second.token, Key("moved"), box.write(None), version=second.id)
        box.put(f"d/{'x' * 200}/{'y' * 200}/{'z' * 200}/{'v' * 200}/f", b"deep")
        for directory in ("", "d", "d/e", "never"):
            paths = list(box.store.paths(Key(directory)))
            found = dict(box.store.histories(Key(directory)))
            assert list(found) == sorted(found)
            assert set(paths) <= set(found)
            for path in {*paths, *found}:
                assert [_told(one) for one in found[path]] == [
                    _told(one) for one in box.store.history(path)
                ]
        assert box.contents("d.txt")[-1] is None

    def test_what_never_was_has_no_history(self, box: Box) -> None:
        assert box.store.history(Key("never")) == ()


class TestSymlinks:
    def test_a_write_that_comes_again_makes_nothing_new(self, box: Box) -> None:
        write = box.write(None)
        made = box.store.make_symlink(Key("link"), "f", write)
        again = box.store.make_symlink(Key("link"), "f", write)
        assert made.token == again.token == _token(box, "link")
        with pytest.raises(errors.AlreadyExists):
            box.store.make_symlink(Key("link"), "g", box.write(None))
        assert _listed(box, "link").target == "f"

    def test_what_follows_a_write_needs_no_token(self, box: Box) -> None:
        first, second = box.write(None), box.write(None)
        box.store.make_symlink(Key("link"), "f", first)
        box.store.make_symlink(Key("link"), "g", replace(second, after=first.write_id))
        assert _listed(box, "link").target == "g"
        box.store.remove(Key("link"), replace(box.write(None), after=second.write_id))
        assert box.names() == {}

    def test_another_link_than_the_base_stays(self, box: Box) -> None:
        base = box.store.make_symlink(Key("link"), "f", box.write(None)).token
        box.store.make_symlink(Key("link"), "g", box.write(base))
        box.store.remove(Key("link"), box.write(base))
        assert _listed(box, "link").target == "g"

    def test_no_link_takes_the_place_of_a_file(self, box: Box) -> None:
        version = box.put("f", b"content")
        for write in (box.write(None), box.write(version.token)):
            with pytest.raises(errors.AlreadyExists):
                box.store.make_symlink(Key("f"), "g", write)
        assert box.read("f", version) == b"content"


class TestReading:
    def test_ranges_at_every_border(self, box: Box) -> None:
        data = os.urandom(3 * 1024 * 1024 + 5)
        version = box.put("f", data)
        size = len(data)
        for start, end in [
            (0, 1),
            (0, size),
            (size - 1, size),
            (1 << 20, 2 << 20),
            ((1 << 20) - 1, (2 << 20) + 1),
            (7, 7),
        ]:
            assert box.read("f", version, start, end) == data[start:end]

    def test_a_token_names_one_content_for_ever(self, box: Box) -> None:
        first = box.put("f", b"first")
        box.put("f", b"second", first.token)
        assert b"".join(box.store.read(Key("f"), first.token, 0, 5)) == b"first"
        box.store.remove(Key("f"), box.write(box.store.stat(Key("f")).token))
        assert b"".join(box.store.read(Key("f"), first.token, 0, 5)) == b"first"
        with pytest.raises((errors.Changed, errors.NotFound)):
            list(box.store.read(Key("f"), Token("0" * 32), 0, 5))
        with pytest.raises((errors.Changed, errors.NotFound)):
            list(box.store.read(Key("never"), first.token, 0, 5))

    def test_an_empty_file(self, box: Box) -> None:
        version = box.put("f", b"")
        assert version.size == 0
        assert box.read("f", version) == b""

    def test_a_file_of_several_parts(self, box: Box) -> None:
        data = os.urandom((40 << 20) + 3)
        version = box.put("large", data)
        assert box.read("large", version) == data
        assert box.store.stat(Key("large")).write_id is not None


class TestListing:
    def test_entries_are_files_and_directories(self, box: Box) -> None:
        version = box.put("f", b"12345")
        box.put("d/e/g", b"")
        assert box.names() == {"f": EntryKind.FILE, "d": EntryKind.DIRECTORY}
        assert box.names("d") == {"d/e": EntryKind.DIRECTORY}
        (entry,) = [
            one for page in box.store.list(Key("")) for one in page.entries if one.key == "f"
        ]
        assert (entry.size, entry.token) == (5, version.token)

    def test_our_own_directory_is_hidden(self, box: Box) -> None:
        first = box.put("f", b"1")
        second = box.put("f", b"2", first.token)
        box.put("f", b"late", first.token, overdue=True)
        assert box.names() == {"f": EntryKind.FILE}
        assert box.store.stat(Key("f")).id == second.id

    @pytest.mark.parametrize(
        "name", ["a b", "ü", "u\u0308", "a+b&c=%25", "new\nline", "@at", "~tilde", "x" * 255]
    )
    def test_odd_names_go_there_and_back(
        self, box: Box, name: str, request: pytest.FixtureRequest
    ) -> None:
        if "\n" in name and request.node.callspec.params["box"] in MOTO:
            # Seen with moto 5.2.5: it answers 404 for a name with a line end; radosgw and S3 take it.
            return
        if "\n" in name and request.node.callspec.params["box"].startswith("gcs"):
            # Google takes no line ends in names.
            with pytest.raises(errors.NotSupported):
                box.put(f"d/{name}", b"content")
            return
        version = box.put(f"d/{name}", b"content")
        assert box.names("d") == {f"d/{name}": EntryKind.FILE}
        assert box.read(f"d/{name}", version) == b"content"
        assert list(box.store.versions(Key("d"))) == [f"d/{name}"]
        box.put(f"d/{name}", b"more", version.token)
        assert box.contents(f"d/{name}") == [b"content", b"more"]

    def test_directories(self, box: Box, request: pytest.FixtureRequest) -> None:
        box.store.make_directory(Key("d"), box.write(None))
        assert box.names() == {"d": EntryKind.DIRECTORY}
        assert box.names("d") == {}
        with pytest.raises(errors.AlreadyExists):
            box.store.make_directory(Key("d"), box.write(None))
        version = box.put("d/f", b"1")
        with pytest.raises(errors.NotSupported):
            box.store.remove_directory(Key("d"), box.write(None))
        box.store.remove(Key("d/f"), box.write(version.token))
        box.store.keep_directory(Key("d"), box.write(None))
        assert box.names() == {"d": EntryKind.DIRECTORY}
        box.store.remove_directory(Key("d"), box.write(None))
        box.store.remove_directory(Key("d"), box.write(None))
        if request.node.callspec.params["box"] not in MOTO_NATIVE:
            # moto goes on naming prefixes of deleted keys.
            assert box.names() == {}


class TestPast:
    def test_as_of_now_is_what_is_listed(self, box: Box) -> None:
        first = box.put("d/f", b"first", mode=0o600)
        box.put("d/f", b"second!", first.token, mode=0o640)
        box.put("d/f", b"late", first.token, overdue=True)
        gone = box.put("gone", b"gone")
        box.store.remove(Key("gone"), box.write(gone.token))
        box.put("d/e/g", b"")
        box.store.set_attributes(
            Key("d/e/g"), box.write(None, mode=0o604, mtime_ns=1_600_000_000_000_000_000)
        )
        box.store.make_directory(Key("empty"), box.write(None, mode=0o700))
        box.store.make_directory(Key("removed"), box.write(None))
        box.store.remove_directory(Key("removed"), box.write(None))
        box.store.make_symlink(Key("d/link"), "f", box.write(None))
        box.store.make_symlink(Key("d/old"), "g", box.write(None))
        box.store.remove(Key("d/old"), box.write(_token(box, "d/old")))
        assert _listed(box, "d/link").target == "f"
        found = {entry.key: entry for entry in box.store.as_of(Key(""), time.time_ns())}
        for key in map(Key, ("d", "d/e", "d/f", "d/e/g", "d/link", "empty")):
            assert _shown(found.pop(key)) == _shown(_listed(box, key)), key
        assert found == {}
        below = [entry.key for entry in box.store.as_of(Key("d"), time.time_ns())]
        assert sorted(below) == ["d/e", "d/e/g", "d/f", "d/link"]
        assert list(box.store.as_of(Key(""), 10**18)) == []


def _listed(box: Box, key: str) -> Entry:
    folder = Key(key.rpartition("/")[0])
    return next(one for page in box.store.list(folder) for one in page.entries if one.key == key)


def _token(box: Box, key: str) -> Token:
    return _listed(box, key).token


def _shown(entry: Entry) -> Entry:
    """A past says which version it is where a listing does not; folders keep no owners of versions."""
    return replace(entry, version=None, uid=None, gid=None)


def test_a_store_says_what_it_can_do(box: Box) -> None:
    found = box.store.capabilities()
    assert (found.writable, found.why_read_only) == (True, "")
