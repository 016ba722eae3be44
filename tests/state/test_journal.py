"""The journal keeps promises: in order, once, for whoever carries on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from vstorefs.model import (
    Hashes,
    JournalEntry,
    Key,
    Mark,
    Operation,
    Promise,
    SessionId,
    Staged,
    StoreId,
    Token,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.state.env import State
from vstorefs.state.fingerprints import Fingerprint, Fingerprints
from vstorefs.state.journal import Journal, Owner
from vstorefs.state.sessions import Session, is_alive
from vstorefs.state.staging import StagingArea

STORE = StoreId("store")
SESSION = SessionId("s")

_OWNER = """
import sys
from pathlib import Path
from tests.state.test_journal import entry
from vstorefs.state.env import State
from vstorefs.state.journal import Journal, Owner
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea
from vstorefs.model import Promise
folder = Path(sys.argv[1])
session = Session.open(folder)
area = StagingArea(folder, session.id)
named, orphan = area.create(), area.create()
area.path(orphan).write_bytes(b"orphan")
journal = Journal(State.open(folder))
journal.record([
    entry("closed", session.id, name=named),
    entry("synced", session.id, Promise.SYNCED, name=named),
    entry("scratch", session.id, Promise.SCRATCH, name=named),
])
print(session.id, flush=True)
sys.stdin.read()
"""


def entry(
    path: str, session: SessionId, promise: Promise = Promise.CLOSED, *, name: str | None = None
) -> JournalEntry:
    write = Write(WriteId(f"write-{path}"), VersionId(f"version-{path}"), 1, None)
    staged = Staged(name, 0, (), None) if name is not None else None
    return JournalEntry(0, session, STORE, Operation.PUT, Key(path), write, promise, staged=staged)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    one = State.open(tmp_path / "state")
    yield one
    one.close()


def test_entries_keep_the_order_of_the_promises_and_leave_when_done(state: State) -> None:
    journal = Journal(state)
    first, second = journal.record([entry("a", SessionId("s")), entry("b", SessionId("s"))])
    (third,) = journal.record([entry("c", SessionId("s"))], drop=[first])
    assert [one.path for one in journal.pending()] == ["b", "c"]
    journal.fail(second, "no answer")
    assert [(one.attempts, one.error) for one in journal.pending()] == [(1, "no answer"), (0, None)]
    for seq in (second, third):
        journal.finish(seq)
    assert journal.pending() == []
    (again,) = journal.record([entry("a", SessionId("s"))])
    assert again > third
    assert journal.pending([StoreId("another")]) == []


def test_recording_twice_is_recording_once(state: State) -> None:
    journal = Journal(state)
    assert journal.record([entry("a", SessionId("s"))]) == journal.record(
        [entry("a", SessionId("s"))]
    )
    assert len(journal.pending()) == 1


def test_what_comes_after_a_write_that_made_no_version_starts_from_the_one_that_is_there(
    state: State,
) -> None:
    journal = Journal(state)
    first, removed, moved = entry("a", SESSION), entry("a1", SESSION), entry("a2", SESSION)
    after = first.write.write_id
    removed = replace(removed, write=replace(removed.write, after=after))
    moved = replace(moved, removal=replace(removed.write, after=after))
    seq, *_ = journal.record([first, removed, moved, entry("b", SESSION)])
    journal.finish(seq, same_as=Token("there"))
    found = journal.pending()
    assert [one.write.base for one in found] == ["there", None, None]
    assert [one.removal.base for one in found if one.removal is not None] == ["there"]
    late = entry("c", SESSION)
    late = replace(late, write=replace(late.write, after=after), removal=replace(removed.write))
    journal.record([late], drop=[one.seq for one in found])
    assert [one.write.base for one in journal.pending()] == ["there"]


def test_what_was_synced_before_an_entry_ends_is_carried_along_by_it(state: State) -> None:
    """Contents that are in the journal only, of the same mount; nothing that comes after, or was set aside."""
    journal = Journal(state)
    synced = [entry(path, SESSION, Promise.SYNCED, name=path) for path in ("a", "b")]
    others = [entry("c", SessionId("another"), Promise.SYNCED, name="c"), entry("d", SESSION)]
    first, aside, *_, ended, _ = journal.record(
        [*synced, *others, entry("e", SESSION), entry("f", SESSION, name="f")]
    )
    journal.set_aside(journal.pending()[1], "too long", 1)
    journal.finish(ended, carry=lambda one: replace(one, path=Key("new")))
    assert [one.path for one in journal.pending()] == ["new", "b", "c", "d", "f"]
    assert [one.seq for one in journal.pending()][:2] == [first, aside]


def test_writes_that_made_no_version_are_forgotten_after_a_while(state: State) -> None:
    journal = Journal(state)
    for number in range(3):
        (seq,) = journal.record([entry(f"a{number}", SESSION)])
        journal.finish(seq, same_as=Token("there"))
    journal.record([entry(f"b{number}", SESSION) for number in range(1000)])
    (seq,) = journal.record([entry("c", SESSION)])
    journal.finish(seq, same_as=Token("there"))
    with state.reading() as txn:
        kept = [key for key, _ in txn.cursor(db=state.writes) if key.startswith(b"=")]
    assert kept == [b"=write-c"]


def test_what_a_dead_mount_promised_is_taken_over_once(state: State) -> None:
    folder = state.directory
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    ) as owner:
        assert owner.stdout is not None
        dead = SessionId(owner.stdout.readline().strip())
        mine = Session.open(folder)
        journal = Journal(state)
        assert is_alive(folder, dead)
        assert journal.adopt(mine.id, [STORE], folder).entries == ()
        assert journal.adopt(mine.id, [STORE], folder).held == 3
        owner.send_signal(signal.SIGKILL)
        owner.wait()
    assert not is_alive(folder, dead)
    taken = journal.adopt(mine.id, [STORE], folder).entries
    assert [(one.path, one.write.marks) for one in taken] == [
        ("closed", ()),
        ("synced", (Mark.INTERRUPTED,)),
    ]
    assert {one.session for one in taken} == {mine.id}
    assert all(one.adopted and one.promise is Promise.CLOSED for one in taken)
    # A worker that died before it could say so is asked again.
    assert journal.adopt(mine.id, [STORE], folder).entries == taken
    assert [file.read_bytes() for file in (folder / "unpromised").iterdir()] == [b"orphan"]
    assert [one.path for one in journal.pending()] == ["closed", "synced"]
    mine.close(owns_entries=False)


def test_another_store_s_entries_are_left_for_who_mounts_it(state: State) -> None:
    journal = Journal(state)
    journal.record([entry("a", SessionId("dead"))])
    mine = Session.open(state.directory)
    assert journal.adopt(mine.id, [StoreId("another")], state.directory).entries == ()
    assert len(journal.adopt(mine.id, [STORE], state.directory).entries) == 1
    mine.close(owns_entries=False)


def test_fingerprints_only_grow(state: State) -> None:
    prints = Fingerprints(state)
    hashes = Hashes("m", "s", "h")
    prints.put(STORE, Key("f"), Token("t"), Fingerprint(hashes, read=True, mtime_ns=5))
    prints.put(STORE, Key("f"), Token("t"), Fingerprint(mode=0o600))
    assert prints.get(STORE, Key("f"), Token("t")) == Fingerprint(hashes, True, 0o600, 5)
    assert prints.get(STORE, Key("f"), Token("u")) is None


def test_an_empty_staging_folder_goes_with_its_session(tmp_path: Path) -> None:
    area = StagingArea(tmp_path, SessionId("s"))
    name = area.create()
    area.close()
    assert area.path(name).exists()
    area.discard(name)
    area.discard(name)
    area.close()
    assert not area.path(name).parent.exists()


@pytest.fixture
def aside(state: State) -> tuple[Journal, int]:
    """A journal with one entry that was set aside, between others; its mount is dead."""
    area = StagingArea(state.directory, SessionId("dead"))
    name = area.create()
    area.path(name).write_bytes(b"content")
    journal = Journal(state)
    paths = (entry("a", SessionId("dead")), entry("b", SessionId("dead"), name=name))
    _, seq, _ = journal.record([*paths, entry("c", SessionId("dead"))])
    found = journal.entry(seq)
    assert found is not None
    journal.set_aside(found, "File name too long", 77)
    return journal, seq


def test_what_was_set_aside_is_kept_and_not_taken_over(
    aside: tuple[Journal, int], state: State
) -> None:
    journal, seq = aside
    mine = Session.open(state.directory)
    adoption = journal.adopt(mine.id, [STORE], state.directory)
    assert [one.path for one in adoption.entries] == ["a", "c"]
    assert [(one.seq, one.error, one.aside_ns) for one in adoption.aside] == [
        (seq, "File name too long", 77)
    ]
    assert journal.adopt(mine.id, [StoreId("another")], state.directory).aside == ()
    assert (state.directory / "staging/dead").exists(), "its content is there"
    mine.close(owns_entries=False)


def test_it_is_retried_once_by_a_mount_that_has_its_store(
    aside: tuple[Journal, int], state: State
) -> None:
    journal, seq = aside
    mine = SessionId("mine")
    assert journal.take_up([seq], Owner(mine, [StoreId("another")])) == ()
    (taken,) = journal.take_up([seq, 99], Owner(mine, [STORE]))
    assert (taken.seq, taken.session, taken.aside_ns, taken.adopted) == (seq, mine, None, True)
    assert journal.take_up([seq], Owner(mine, [STORE])) == ()


def test_it_is_retried_by_the_next_mount_where_there_is_none(
    aside: tuple[Journal, int], state: State
) -> None:
    journal, seq = aside
    assert len(journal.take_up([seq])) == 1
    mine = Session.open(state.directory)
    adoption = journal.adopt(mine.id, [STORE], state.directory)
    assert [one.path for one in adoption.entries] == ["a", "b", "c"]
    assert adoption.aside == ()
    mine.close(owns_entries=False)


def test_what_a_living_mount_set_aside_is_its_own(state: State) -> None:
    theirs = Session.open(state.directory)
    journal = Journal(state)
    (seq,) = journal.record([entry("a", theirs.id)])
    found = journal.entry(seq)
    assert found is not None
    journal.set_aside(found, "no", 1)
    other = Owner(SessionId("other"), [STORE])
    assert journal.take_up([seq], other) == journal.take_up([seq]) == ()
    assert journal.drop_aside([seq], other) == ()
    assert len(journal.drop_aside([seq], Owner(theirs.id, [STORE]))) == 1
    theirs.close(owns_entries=False)


def test_what_is_dropped_goes_with_its_content(aside: tuple[Journal, int], state: State) -> None:
    journal, seq = aside
    (dropped,) = journal.drop_aside([seq])
    assert dropped.path == "b"
    assert [one.path for one in journal.pending()] == ["a", "c"]
    assert list((state.directory / "staging/dead").iterdir()) == []


def test_what_is_on_its_way_cannot_be_dropped(state: State) -> None:
    journal = Journal(state)
    (seq,) = journal.record([entry("a", SessionId("dead"))])
    assert journal.drop_aside([seq]) == journal.take_up([seq]) == ()
    assert len(journal.pending()) == 1


def test_what_has_ended_is_not_set_aside(state: State) -> None:
    journal = Journal(state)
    (seq,) = journal.record([entry("a", SessionId("dead"))])
    found = journal.entry(seq)
    assert found is not None
    journal.finish(seq)
    journal.set_aside(found, "no", 1)
    assert journal.pending() == []
