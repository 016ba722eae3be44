"""Real workers, killed, left alone and kept busy."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from tests.support.processes import wait_until
from tests.workers.asking import BeginWorker, Front, Place
from vstorefs.cache.chunks import ChunkReader
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import (
    CHUNK_BYTES,
    Content,
    Hashes,
    JournalEntry,
    Key,
    Operation,
    Staged,
    StoreId,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.state.env import State
from vstorefs.state.journal import Journal
from vstorefs.state.sessions import Session
from vstorefs.stores.registry import Settings, resolve
from vstorefs.workers import messages
from vstorefs.workers.messages import (
    Abandon,
    Adopt,
    Arrived,
    Available,
    Check,
    Fetch,
    Hash,
    Hashed,
    HashesKnown,
    History,
    HistoryNames,
    Known,
    ListDirectory,
    NoteRecency,
    Publish,
    Record,
)

MANY = 20


def _hashes(data: bytes) -> Hashes:
    return Hashes(*(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")))


def _put(place: Place, name: str, data: bytes, number: int = 1) -> JournalEntry:
    """A journal entry whose content lies staged."""
    folder = place.state_dir / "staging" / place.start.session
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"s{number}").write_bytes(data)
    staged = Staged(f"{place.start.session}/s{number}", len(data), ((0, len(data)),), None)
    write = Write(WriteId(f"write-{number}"), VersionId(f"version{number}"), number * 10**9, None)
    return JournalEntry(
        0, place.start.session, place.spec.id, Operation.PUT, Key(name), write, staged=staged
    )


def _recorded(front: Front, place: Place, *entries: JournalEntry) -> list[JournalEntry]:
    front.do(Record(entries))
    return _pending(place)


def _pending(place: Place) -> list[JournalEntry]:
    state = State.open(place.state_dir)
    try:
        return Journal(state).pending()
    finally:
        state.close()


def _cached(place: Place, content: Content) -> list[bytes | None]:
    """What the cache has of a content, chunk by chunk, each with a checksum that holds."""
    cache = Cache.open(place.cache_dir, place.start.cache_bytes)
    try:
        reader, prefix = ChunkReader(cache), content_prefix(content)
        found: list[bytes | None] = []
        for chunk in range(-(-content.size // CHUNK_BYTES)):
            view = reader.find(chunk_key(prefix, chunk))
            if view is None:
                found.append(None)
                continue
            with view:
                assert view.is_sound()
                found.append(bytes(view.data))
        return found
    finally:
        cache.close()


def test_a_file_goes_from_a_promise_to_a_version_and_back(
    place: Place, worker: BeginWorker
) -> None:
    front = worker(place.start)
    checked = front.do(Check(place.spec.id))
    assert checked.capabilities.why_read_only == ""
    assert checked.capabilities.writable
    data = os.urandom(2 * CHUNK_BYTES + 5)
    (entry,) = _recorded(front, place, _put(place, "a", data))
    published = front.do(Publish(entry, look=False))
    assert (place.root / "a").read_bytes() == data
    assert published.version.hashes == _hashes(data)
    assert _pending(place) == []
    listed = front.do(ListDirectory(place.spec.id, Key(""), float("-inf")))
    assert [one.key for one in listed.entries] == ["a"]
    content = place.content("a")
    assert front.do(Known(content)) == HashesKnown(_hashes(data), read=False)
    assert front.do(Fetch(content, 0, 3, pin=False)).downloaded == len(data)
    done = front.do(Hash(content, 3))
    assert (done.hashes, done.reread, done.damaged) == (_hashes(data), 0, "")
    assert front.do(Known(content)) == HashesKnown(_hashes(data), read=True)
    (version,) = front.do(History(place.spec.id, Key("a"))).versions
    assert version.hashes == _hashes(data)
    assert front.do(HistoryNames(place.spec.id, Key(""))).names == ("a",)
    key = chunk_key(content_prefix(content), 0)
    assert front.do(NoteRecency((key,))) == messages.Noted()


def test_a_publish_makes_the_cached_listing_forgotten(place: Place, worker: BeginWorker) -> None:
    front = worker(place.start)
    everything = ListDirectory(place.spec.id, Key(""), float("-inf"))
    assert front.do(everything).entries == ()
    (entry,) = _recorded(front, place, _put(place, "a", b"new"))
    front.do(Publish(entry, look=False))
    assert [one.key for one in front.do(everything).entries] == ["a"]


def test_what_fails_stays_in_the_journal_with_the_reason(place: Place, worker: BeginWorker) -> None:
    front = worker(place.start)
    (entry,) = _recorded(front, place, _put(place, "a", b"x"))
    assert entry.staged is not None
    (place.state_dir / "staging" / entry.staged.name).unlink()
    answer = front.do(Publish(entry, look=False))
    assert (answer.kind, answer.key) == ("Corrupt", "a")
    (left,) = _pending(place)
    assert left.attempts == 1
    assert left.error


def test_a_store_that_this_mount_does_not_have_is_an_answer(
    place: Place, worker: BeginWorker
) -> None:
    answer = worker(place.start).do(Check(StoreId("another")))
    assert answer.kind == "NotFound"


def test_an_error_of_ours_is_answered_and_its_traceback_logged(
    place: Place, worker: BeginWorker
) -> None:
    front = worker(place.start)
    (entry,) = _recorded(front, place, _put(place, "a", b"x"))
    # One that the journal has is taken as it is there.
    broken = replace(entry, seq=entry.seq + 1, staged=None)
    answer = front.do(Publish(broken, look=False))
    assert answer.kind == "Bug"
    assert any("Traceback" in line.exception for line in front.lines)
    assert front.do(Check(place.spec.id)).capabilities.writable


@pytest.mark.faults
def test_a_killed_download_is_finished_by_the_next_worker(
    place: Place, worker: BeginWorker
) -> None:
    data = os.urandom(40 * CHUNK_BYTES)
    content = place.content("big", data)
    first = worker(place.start)
    asked = first.ask(Fetch(content, 0, 40, pin=False))
    first.wait_report(asked, Arrived(2))
    first.kill()
    second = worker(place.start)
    again = second.ask(Fetch(content, 0, 40, pin=False))
    second.answer(again)
    chunks = {one.chunk for one in second.reports[again] if isinstance(one, Arrived)}
    assert chunks == set(range(40))
    assert b"".join(one or b"" for one in _cached(place, content)) == data


@pytest.mark.faults
def test_a_killed_hash_is_made_by_the_next_worker(place: Place, worker: BeginWorker) -> None:
    data = os.urandom(20 * CHUNK_BYTES + 1)
    content = place.content("big", data)
    first = worker(place.start)
    first.do(Fetch(content, 0, 10, pin=True))
    asked = first.ask(Hash(content, 10))
    first.wait_report(asked, Hashed(8))
    first.kill()
    second = worker(place.start)
    second.do(Fetch(content, 10, 21, pin=True))
    asked = second.ask(Hash(content, 10))
    second.tell(asked, Available(21))
    done = second.answer(asked)
    assert (done.hashes, done.damaged) == (_hashes(data), "")


@pytest.mark.faults
@pytest.mark.parametrize("sign", ["*.tmp", "*.new", "big"])
def test_a_killed_publish_happens_exactly_once(
    place: Place, worker: BeginWorker, sign: str
) -> None:
    data = os.urandom(48 * CHUNK_BYTES)
    first = worker(place.start)
    (entry,) = _recorded(first, place, _put(place, "big", data))
    first.ask(Publish(entry, look=False))
    where = place.root if sign == "big" else place.root / ".vstorefs"
    # The sign may pass unseen; then the kill comes later, and must be as harmless.
    wait_until(
        lambda: any(where.rglob(sign)) or (place.root / "big").exists(),
        f"{sign} of the publish",
        process=first.process,
    )
    first.kill()
    second = worker(place.start)
    for left in _pending(place):
        second.do(Publish(left, look=True))
    assert _pending(place) == []
    assert (place.root / "big").read_bytes() == data
    (version,) = second.do(History(place.spec.id, Key("big"))).versions
    assert (version.write_id, version.is_head) == ("write-1", True)


@pytest.mark.faults
def test_entries_of_a_dead_session_are_taken_over(place: Place, worker: BeginWorker) -> None:
    held = Session.open(place.state_dir)
    start = msgspec.structs.replace(place.start, session=held.id)
    first = worker(start)
    entry = _put(place, "a", b"promised")
    first.do(Record((msgspec.structs.replace(Record((entry,))).entries[0],)))
    held.close(owns_entries=True)
    first.kill()
    living = Session.open(place.state_dir)
    second = worker(msgspec.structs.replace(place.start, session=living.id))
    (adopted,) = second.do(Adopt((place.spec.id,))).entries
    assert adopted.adopted
    assert adopted.session == living.id
    second.do(Publish(adopted, look=True, overdue=True))
    assert (place.root / "a").read_bytes() == b"promised"
    living.close(owns_entries=False)


def test_a_worker_ends_with_its_front_whatever_it_waits_for(
    place: Place, worker: BeginWorker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        spec = resolve(
            "silent",
            "s3://bucket",
            Settings(endpoint=f"http://127.0.0.1:{silent.getsockname()[1]}", region="us-east-1"),
            environ={},
        )
        both = replace(place.start.project, stores=(place.spec, spec))
        start = msgspec.structs.replace(place.start, project=both)
        front = worker(start)
        front.ask(Hash(place.content("a", b"never there"), 0))
        front.ask(Check(spec.id))
        silent.settimeout(60)
        connection, _ = silent.accept()
        with connection:
            front.close()
    assert front.process.returncode == 0


def test_a_front_that_speaks_nonsense_ends_its_worker_even_while_it_waits(
    place: Place, worker: BeginWorker
) -> None:
    front = worker(place.start)
    front.ask(Hash(place.content("a", b"never there"), 0))
    front.do(Check(place.spec.id))
    front.socket.sendall(b"\0\0\0\x02\xc1\xc1")
    assert front.process.wait(20) != 0


def test_a_cache_that_cannot_be_opened_is_said_to_the_front(
    place: Place, worker: BeginWorker
) -> None:
    place.cache_dir.parent.mkdir(exist_ok=True)
    place.cache_dir.write_bytes(b"no folder")
    front = worker(place.start)
    assert front.process.wait(20) != 0
    with pytest.raises(AssertionError, match="has ended"):
        front.hear_for_ever()
    assert any("--cache-dir" in line.exception for line in front.lines)


def test_an_interrupt_from_the_terminal_is_not_for_workers(
    place: Place, worker: BeginWorker
) -> None:
    front = worker(place.start)
    front.do(Check(place.spec.id))
    front.process.send_signal(signal.SIGINT)
    assert front.do(Check(place.spec.id)).capabilities.writable


def test_no_sdk_is_loaded_before_its_store_is_used(place: Place, worker: BeginWorker) -> None:
    front = worker(place.start)
    front.do(Check(place.spec.id))
    maps = Path(f"/proc/{front.process.pid}/maps").read_text()
    assert "lmdb" in maps
    assert "_ssl" not in maps, "an SDK loads it"


def test_hashes_that_wait_do_not_hold_up_those_that_could_go_on(
    place: Place, worker: BeginWorker
) -> None:
    front = worker(place.start)
    waiting = []
    for number in range(MANY):
        content = place.content(f"w{number}", b"x" * number + b"y")
        waiting.append(front.ask(Hash(content, 0)))
    data = os.urandom(3 * CHUNK_BYTES)
    content = place.content("ready", data)
    front.do(Fetch(content, 0, 3, pin=True))
    assert front.do(Hash(content, 3)).hashes == _hashes(data)
    for number in waiting:
        front.tell(number, Abandon())
    assert [front.answer(number).hashes for number in waiting] == [None] * MANY


def test_a_hash_follows_what_becomes_available(place: Place, worker: BeginWorker) -> None:
    data = os.urandom(9 * CHUNK_BYTES)
    content = place.content("a", data)
    front = worker(place.start)
    asked = front.ask(Hash(content, 0))
    for first in range(9):
        front.do(Fetch(content, first, first + 1, pin=True))
        front.tell(asked, Available(first + 1))
    done = front.answer(asked)
    assert (done.hashes, done.reread) == (_hashes(data), 0)
    assert front.reports[asked][-1] == Hashed(9)


def test_memory_does_not_grow_with_the_file(place: Place, worker: BeginWorker) -> None:
    size = 200 << 20
    with (place.root / "big").open("wb") as file:
        file.write(b"head")
        file.truncate(size)
    content = place.content("big")
    front = worker(place.start)
    chunks, step, most = size // CHUNK_BYTES, 8, 0
    asked = front.ask(Hash(content, 0))
    for first in range(0, chunks, step):
        last = min(first + step, chunks)
        front.do(Fetch(content, first, last, pin=True))
        front.tell(asked, Available(last))
        most = max(most, _anonymous_bytes(front.process.pid))
        if last < chunks:
            front.wait_report(asked, Hashed(last))
    done = front.answer(asked)
    digest = hashlib.sha256(b"head")
    for _ in range(size // CHUNK_BYTES - 1):
        digest.update(bytes(CHUNK_BYTES))
    digest.update(bytes(CHUNK_BYTES - 4))
    assert done.hashes.sha256 == digest.hexdigest()
    assert done.reread == 0
    assert most < 120 << 20


def _anonymous_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no RssAnon")
