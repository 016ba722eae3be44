"""The cache keeps its limit, loses nothing it vouches for, and survives what happens to its users."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.processes import ROOT
from vstorefs import errors
from vstorefs.cache.chunks import ChunkReader, ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key, content_prefix, listing_key
from vstorefs.cache.listings import Listings
from vstorefs.model import Content, Entry, EntryKind, Key, StoreId, Token

MIB = 1 << 20
LIMIT = 64 * MIB

_WRITER = """
import os, random, sys
from pathlib import Path
from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key
seed = int(sys.argv[2])
chance = random.Random(seed)
writer = ChunkWriter(Cache.open(Path(sys.argv[1]), 64 << 20))
total, number = 0, 0
while total < int(sys.argv[3]):
    size = chance.choice([800, 5_000, 100_000, 1 << 20])
    assert writer.put(chunk_key(bytes([seed]) * 16, number), os.urandom(size))
    total, number = total + size, number + 1
    if number == 3:
        print("going", flush=True)
"""


def key(number: int) -> bytes:
    return chunk_key(b"k" * 16, number)


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    one = Cache.open(tmp_path / "cache", LIMIT)
    yield one
    one.close()


def writer(folder: Path, seed: int, size: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER, folder, str(seed), str(size)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def output(process: subprocess.Popen[str]) -> IO[str]:
    assert process.stdout is not None
    return process.stdout


def test_two_processes_fill_it_many_times_over(cache: Cache) -> None:
    reader = ChunkReader(cache)
    assert ChunkWriter(cache).put(key(0), b"held")
    held = reader.find(key(0))
    assert held is not None
    with (
        writer(cache.directory, 1, 3 * LIMIT) as one,
        writer(cache.directory, 2, 3 * LIMIT) as other,
    ):
        assert output(one).readline() == "going\n"
        assert bytes(held.data) == b"held"
        held.close()
        for process in (one, other):
            output(process).read()
    assert (one.returncode, other.returncode) == (0, 0)
    info = cache.info()
    assert info.used_bytes <= LIMIT
    assert info.file_bytes <= 1.05 * LIMIT
    found = 0
    for seed in (1, 2):
        for number in range(2000):
            view = reader.find(chunk_key(bytes([seed]) * 16, number))
            if view is not None:
                with view:
                    assert view.is_sound()
                found += 1
    assert found + 0 <= info.chunks
    assert found > 20


def test_a_killed_writer_leaves_nothing_half_done(cache: Cache) -> None:
    with writer(cache.directory, 3, 100 * LIMIT) as process:
        assert output(process).readline() == "going\n"
        process.send_signal(signal.SIGKILL)
    assert ChunkWriter(cache).put(key(1), b"next")
    for number in range(3):
        view = ChunkReader(cache).find(chunk_key(b"\3" * 16, number))
        assert view is not None
        with view:
            assert view.is_sound()


def test_what_is_pinned_stays_until_it_is_released(cache: Cache) -> None:
    chunks = ChunkWriter(cache)
    for number in range(10):
        assert chunks.put(key(number), os.urandom(MIB), pinned_by="me")
    for number in range(100, 250):
        assert chunks.put(key(number), os.urandom(MIB))
    assert all(chunks.has(key(number)) for number in range(10))
    chunks.release("me", [key(number) for number in range(10)])
    for number in range(300, 400):
        assert chunks.put(key(number), os.urandom(MIB))
    assert not any(chunks.has(key(number)) for number in range(10))


def test_a_cache_full_of_pins_says_no_and_goes_on(cache: Cache) -> None:
    chunks = ChunkWriter(cache)
    kept = [
        number for number in range(100) if chunks.put(key(number), os.urandom(MIB), pinned_by="me")
    ]
    assert 20 < len(kept) < 64
    assert all(chunks.has(key(number)) for number in kept)
    chunks.release("me", [key(number) for number in kept])
    assert chunks.put(key(1000), os.urandom(MIB))


def test_pins_of_the_dead_are_let_go(tmp_path: Path) -> None:
    first = Cache.open(tmp_path / "c", LIMIT)
    ChunkWriter(first).put(key(1), b"x", pinned_by="dead")
    ChunkWriter(first).put(key(2), b"x", pinned_by="dead too")
    first.close()
    again = Cache.open(tmp_path / "c", LIMIT)
    for number in range(100, 200):
        assert ChunkWriter(again).put(key(number), os.urandom(MIB))
    assert not ChunkWriter(again).has(key(1))
    again.close()


def test_recently_read_goes_last(cache: Cache) -> None:
    chunks = ChunkWriter(cache)
    for number in range(30):
        chunks.put(key(number), os.urandom(MIB))
    chunks.note([key(0)])
    for number in range(100, 120):
        chunks.put(key(number), os.urandom(MIB))
    assert chunks.has(key(0))
    assert not chunks.has(key(1))


def test_damage_is_noticed(cache: Cache) -> None:
    chunks = ChunkWriter(cache)
    chunks.put(key(1), b"content")
    with cache.writing() as txn:
        txn.put(key(1), b"\0" * 8 + b"content", db=cache.index.chunks)
    view = ChunkReader(cache).find(key(1))
    assert view is not None
    with view:
        assert not view.is_sound()
    assert chunks.read(key(1)) is None
    chunks.drop(key(1))
    assert chunks.put(key(1), b"content")
    assert chunks.read(key(1)) == b"content"


def test_an_ordinary_end_keeps_it_and_an_unclean_one_of_the_machine_does_not(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "c"
    first = Cache.open(folder, LIMIT)
    ChunkWriter(first).put(key(1), b"x")
    first.close()
    (folder / "boot").write_text("another boot")
    again = Cache.open(folder, LIMIT)
    assert ChunkWriter(again).has(key(1))
    ChunkWriter(again).put(key(2), b"x")
    assert not (folder / "clean").exists()
    again.close()
    (folder / "clean").unlink()
    (folder / "boot").write_text("another boot")
    third = Cache.open(folder, LIMIT)
    assert not ChunkWriter(third).has(key(1))
    third.close()


def test_a_damaged_file_is_started_anew(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    Cache.open(folder, LIMIT).close()
    (folder / "data.mdb").write_bytes(b"this is no database" * 1000)
    again = Cache.open(folder, LIMIT)
    assert ChunkWriter(again).put(key(1), b"x")
    again.close()


@pytest.mark.parametrize("left", [MIB, 8192, 4096, 100])
def test_a_file_that_was_cut_short_is_started_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, left: int
) -> None:
    folder = tmp_path / "c"
    first = Cache.open(folder, LIMIT)
    for number in range(20):
        assert ChunkWriter(first).put(key(number), os.urandom(MIB))
    first.close()
    os.truncate(folder / "data.mdb", left)
    again = Cache.open(folder, LIMIT)
    assert not ChunkWriter(again).has(key(1))
    assert ChunkWriter(again).put(key(1), b"x")
    again.close()
    assert len([one for one in caplog.messages if "starting it anew" in one]) == 1


def test_a_cache_of_another_release_is_started_anew_and_left_alone_where_it_is_in_use(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "c"
    first = Cache.open(folder, LIMIT)
    assert ChunkWriter(first).put(key(1), b"x")
    (folder / "format").write_text("1")
    result = subprocess.run(
        [sys.executable, "-c", _WRITER, folder, "1", "1"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "in use by another release" in result.stderr
    first.close()
    again = Cache.open(folder, LIMIT)
    assert not ChunkWriter(again).has(key(1))
    assert ChunkWriter(again).put(key(1), b"x")
    again.close()
    third = Cache.open(folder, LIMIT)
    assert ChunkWriter(third).has(key(1))
    third.close()


def test_what_cannot_be_taken_displaces_nothing(cache: Cache) -> None:
    chunks = ChunkWriter(cache)
    for number in range(4):
        assert chunks.put(key(number), os.urandom(MIB))
    pinned = 100
    while chunks.put(key(pinned), os.urandom(MIB), pinned_by="me"):
        pinned += 1
    kept = [number for number in range(4) if chunks.has(key(number))]
    for number in (200, 201):
        assert not chunks.put(key(number), os.urandom(MIB))
    assert [number for number in range(4) if chunks.has(key(number))] == kept
    chunks.release("me", [key(number) for number in range(100, pinned)])
    assert chunks.put(key(200), os.urandom(MIB))


def test_a_damaged_chunk_that_was_pinned_gives_its_room_back(cache: Cache) -> None:
    chunks = ChunkWriter(cache)
    for number in range(200):
        assert chunks.put(key(number), os.urandom(MIB), pinned_by="me"), number
        chunks.drop(key(number))
    assert chunks.put(key(1000), os.urandom(MIB))


def test_a_smaller_limit_is_kept_too(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    large = Cache.open(folder, 3 * LIMIT)
    for number in range(150):
        ChunkWriter(large).put(key(number), os.urandom(MIB))
    large.close()
    small = Cache.open(folder, LIMIT)
    assert small.limit_bytes == LIMIT
    assert ChunkWriter(small).put(key(1), os.urandom(MIB))
    assert small.info().file_bytes <= 1.05 * LIMIT
    small.close()


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(errors.UsageError, match="--cache-dir"):
        Cache.open(tmp_path / "file", LIMIT)
    with pytest.raises(errors.UsageError, match="9MB"):
        Cache.open(tmp_path / "c", MIB)


def test_listings_go_there_and_back(cache: Cache) -> None:
    entries = (
        Entry(Key("d/f"), EntryKind.FILE, 3, 4, Token("t")),
        Entry(Key("d/g"), EntryKind.DIRECTORY),
    )
    listings = Listings(cache, "boot")
    listings.put(StoreId("s"), Key("d"), entries, 12.5)
    found = listings.get(StoreId("s"), Key("d"))
    assert found is not None
    assert (found.entries, found.listed_at) == (entries, 12.5)
    other = Listings(cache, "another boot").get(StoreId("s"), Key("d"))
    assert other is not None
    assert other.listed_at == float("-inf")
    listings.forget(StoreId("s"), Key("d"), 13.0)
    assert listings.get(StoreId("s"), Key("d")) is None


def test_a_listing_from_before_a_change_or_a_newer_one_is_not_kept(cache: Cache) -> None:
    store, directory = StoreId("s"), Key("d")
    listings = Listings(cache, "boot")

    def kept() -> float | None:
        found = listings.get(store, directory)
        return found.listed_at if found is not None else None

    listings.put(store, directory, (), 10.0)
    listings.forget(store, directory, 12.0)
    for before in (11.0, 12.0):
        assert listings.put(store, directory, (), before).listed_at == before
        assert kept() is None
    listings.put(store, directory, (), 13.0)
    # Of three that were under way the oldest comes last.
    listings.put(store, directory, (), 11.0)
    assert kept() == 13.0
    # It was asked for after that change, and shows it.
    listings.forget(store, directory, 12.5)
    assert kept() == 13.0
    # Times of an earlier boot mean nothing.
    later = Listings(cache, "another boot")
    later.put(store, directory, (), 1.0)
    listings = later
    assert kept() == 1.0


def test_a_change_is_forgotten_by_a_cache_that_takes_nothing(cache: Cache) -> None:
    listings = Listings(cache, "boot")
    listings.put(StoreId("s"), Key("d"), (), 1.0)
    number = 0
    writer = ChunkWriter(cache)
    while writer.put(b"x" * 16 + number.to_bytes(4, "big"), bytes(MIB), pinned_by="me"):
        number += 1
    listings.forget(StoreId("s"), Key("d"), 2.0)
    assert listings.get(StoreId("s"), Key("d")) is None


names = st.text(max_size=8)


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_keys_differ_where_contents_do(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    contents = [
        Content(StoreId(store), Key(name), Token(token), 1) for store, name, token in (one, other)
    ]
    prefixes = [content_prefix(content) for content in contents]
    assert (prefixes[0] == prefixes[1]) == (one == other)
    assert listing_key(StoreId(one[0]), Key(one[1]))[:16] != prefixes[0]


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_random_operations_against_a_model(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)
    cache = Cache.open(tmp_path_factory.mktemp("cache"), LIMIT)
    chunks = ChunkWriter(cache)
    model: dict[int, bytes] = {}
    pinned: set[int] = set()
    try:
        for _ in range(150):
            number = chance.randrange(80)
            action = chance.random()
            if action < 0.6:
                data = os.urandom(chance.choice([10, 5_000, MIB]))
                owner = "me" if chance.random() < 0.1 and len(pinned) < 10 else None
                if not chunks.has(key(number)) and chunks.put(key(number), data, pinned_by=owner):
                    model[number] = data
                    if owner:
                        pinned.add(number)
            elif action < 0.7:
                chunks.release("me", [key(number)])
                pinned.discard(number)
            elif action < 0.8:
                chunks.drop(key(number))
                pinned.discard(number)
                model.pop(number, None)
            else:
                chunks.note([key(number)])
            found = chunks.read(key(number))
            assert found is None or found == model[number]
            assert all(chunks.has(key(one)) for one in pinned)
        assert cache.info().used_bytes <= LIMIT
    finally:
        cache.close()
