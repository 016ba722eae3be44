"""Every single change that a host makes to its state, its cache and its ledger's directory fails once.

Whatever fails: who asked gets that error, the same request again ends as if nothing had been, a content is in the
history once and as it was written, and nothing is left behind. The cache's failures are nobody's.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from tests.support.diskfaults import FAULTS, disk
from tests.support.disklabels import labels
from tests.workers.asking import CACHE_BYTES, Place
from vstorefs import errors, files
from vstorefs.cache.chunks import ChunkReader, ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key
from vstorefs.ledger.archive import Archive, open_archive
from vstorefs.model import (
    JournalEntry,
    Key,
    Operation,
    Promise,
    Staged,
    VersionId,
    Write,
    WriteId,
)
from vstorefs.state.env import State
from vstorefs.state.journal import Journal
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea
from vstorefs.workers.jobs.context import WorkerContext

OLD, NEW = b"what it was before, to its end", b"what it became"
EXPECTED = NEW + OLD[len(NEW) :]
Refusal = OSError | errors.VstorefsError


def _errno_of(error: Refusal) -> int | None:
    return error.errno if isinstance(error, OSError) else errors.to_errno(error)


class Host:
    """A host that writes over the beginning of a file, in steps; each is tried again where it fails."""

    def __init__(self, folder: Path) -> None:
        self.place = Place(folder)
        self.base = self.place.content("f", OLD)
        self.errors: list[Refusal] = []
        self.steps: list[Callable[[], object]] = [
            self.begin,
            self.create,
            self.write,
            self.clone,
            self.record,
            self.publish,
            self.end,
        ]
        self.tries = 0

    def run(self) -> None:
        """All steps."""
        for step in self.steps:
            self.tries = 0
            while True:
                self.tries += 1
                try:
                    step()
                except (OSError, errors.VstorefsError) as error:
                    self.errors.append(error)
                    assert self.tries == 1, step
                    continue
                break

    def begin(self) -> None:
        self.session = Session.open(self.place.state_dir)
        try:
            self.context = WorkerContext(self.place.start)
            self.area = StagingArea(self.place.state_dir, self.session.id)
        except BaseException:
            self.session.close(owns_entries=False)
            raise

    def create(self) -> None:
        self.first = self.area.create()

    def write(self) -> None:
        number = os.open(self.area.path(self.first), os.O_RDWR)
        try:
            files.write_all("staging.write", number, NEW, 0)
        finally:
            os.close(number)

    def clone(self) -> None:
        staged = Staged(self.first, len(OLD), ((0, len(NEW)),), self.base)
        self.staged = self.area.clone(staged)

    def record(self) -> None:
        write = Write(WriteId("w"), VersionId("v" * 26), 1, self.base.token, size=len(OLD))
        entry = JournalEntry(
            0,
            self.session.id,
            self.place.spec.id,
            Operation.PUT,
            Key("f"),
            write,
            Promise.CLOSED,
            staged=self.staged,
        )
        (seq,) = self.context.journal.record((entry,))
        (self.entry,) = [one for one in self.context.journal.pending() if one.seq == seq]

    def publish(self) -> None:
        self.context.publisher.publish(self.entry, look=self.tries > 1, overdue=False)

    def end(self) -> None:
        if self.tries == 1:
            for name in (self.first, self.staged.name):
                try:
                    self.area.discard(name)
                except OSError as error:
                    self.errors.append(error)
        self.area.close()
        self.context.close()
        self.session.close(owns_entries=False)

    def check(self) -> None:
        """The new version, once, on top of the old one; nothing left."""
        history = self.place.store.history(Key("f"))
        contents = [
            b"".join(self.place.store.read(Key("f"), one.token, 0, one.size)) for one in history
        ]
        assert contents == [OLD, EXPECTED]
        state = self.place.state_dir
        assert list((state / "staging").iterdir()) == list((state / "sessions").iterdir()) == []
        left = [one.name for one in state.rglob("*") if one.name.startswith(".")]
        assert left == []
        again = State.open(state)
        assert Journal(again).pending() == []
        again.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Callable[[], Host]:
    """New hosts, in directories of their own: one that could not begin may have its cache open."""
    numbers = itertools.count(100)

    def make() -> Host:
        return Host(tmp_path / f"host{next(numbers)}")

    return make


def _is_of_the_cache(made: list[str], at: int) -> bool:
    """Whether a change costs speed only. What the cache says durably of itself comes just before or after a change of it."""
    steps = ("durable.", "directory.")
    if made[at].startswith("directory.") and made[at - 1].startswith("cache."):
        return True
    return next(one for one in made[at:] if not one.startswith(steps)).startswith("cache.")


def test_each_change_of_a_content_on_its_way_fails_once(hosts: Callable[[], Host]) -> None:
    host = hosts()
    with disk() as whole:
        host.run()
    host.check()
    assert host.errors == []
    for at, label in enumerate(whole.made):
        for fault in FAULTS:
            host = hosts()
            with disk(at, fault) as broken:
                host.run()
            host.check()
            assert broken.made[: at + 1] == whole.made[: at + 1], (label, at, fault)
            told = [_errno_of(one) for one in host.errors]
            is_told = fault is not None and not _is_of_the_cache(whole.made, at)
            if is_told and not isinstance(host.errors[0], errors.UsageError):
                assert told == [fault], (label, at, fault)
            else:
                assert len(told) <= 1, (label, at, fault)


def test_a_full_map_is_a_full_disk(hosts: Callable[[], Host]) -> None:
    host = hosts()
    for step in host.steps[:4]:
        step()
    before, files.before_change = files.before_change, _full_map
    try:
        with pytest.raises(errors.JournalError) as caught:
            host.record()
    finally:
        files.before_change = before
    assert errors.to_errno(caught.value) == errno.ENOSPC
    for step in host.steps[4:]:
        host.tries = 1
        step()
    host.check()


def _full_map(label: str) -> int | None:
    if label == "state.commit":
        raise lmdb.MapFullError("mdb_txn_commit: MDB_MAP_FULL")
    return None


# --- the cache


def _use(folder: Path) -> list[bytes | None]:
    """What a mount does with its cache; what it finds in it in the end."""
    found: list[bytes | None] = []
    for _ in range(2):
        cache = _opened(folder)
        writer = ChunkWriter(cache)
        for number in range(3):
            writer.put(chunk_key(b"c" * 16, number), bytes([number]) * 5000, pinned_by="me")
        writer.release("me", [chunk_key(b"c" * 16, 0)])
        writer.note([chunk_key(b"c" * 16, 1)])
        for number in range(3):
            view = ChunkReader(cache).find(chunk_key(b"c" * 16, number))
            if view is not None:
                with view:
                    assert view.is_sound()
                    found.append(bytes(view.data))
        cache.close()
    return found


def _opened(folder: Path) -> Cache:
    try:
        return Cache.open(folder, CACHE_BYTES)
    except errors.UsageError:
        return Cache.open(folder, CACHE_BYTES)


def test_each_change_of_the_cache_fails_once_and_nobody_notices(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    everything = [bytes([number]) * 5000 for number in range(3)]
    with disk() as whole:
        assert _use(folder) == 2 * everything
    for at in range(len(whole.made)):
        for fault in FAULTS:
            shutil.rmtree(folder)
            with disk(at, fault):
                found = _use(folder)
            assert found[-3:] == everything, (whole.made[at], fault)
            assert set(found) <= set(everything)


def test_a_cache_is_started_anew_on_a_disk_that_refuses_that_at_first(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for fault in (errno.EIO, errno.ENOSPC):
        _use(folder)
        (folder / "format").write_text("another")
        with disk() as whole:
            _opened(folder).close()
        for at in range(len(whole.made)):
            (folder / "format").write_text("another")
            with disk(at, fault):
                assert len(_use(folder)) >= 3


# --- what a dead session left


def _orphan(state_dir: Path) -> None:
    session = Session.open(state_dir)
    area = StagingArea(state_dir, session.id)
    area.path(area.create()).write_bytes(b"orphan")
    session.close(owns_entries=True)


def _adopt(state_dir: Path) -> None:
    session = Session.open(state_dir)
    try:
        state = State.open(state_dir)
        try:
            Journal(state).adopt(session.id, (), state_dir)
        finally:
            state.close()
    finally:
        session.close(owns_entries=False)


def test_what_was_promised_to_nobody_is_kept_where_the_disk_refuses_that_at_first(
    tmp_path: Path,
) -> None:
    _orphan(tmp_path / "whole")
    with disk() as whole:
        _adopt(tmp_path / "whole")
    for at, label in enumerate(whole.made):
        state_dir = tmp_path / f"state-{at}"
        _orphan(state_dir)
        with disk(at, errno.EIO):
            try:
                _adopt(state_dir)
            except (OSError, errors.VstorefsError):
                _adopt(state_dir)
        kept = [one.read_bytes() for one in (state_dir / "unpromised").iterdir()]
        assert kept == [b"orphan"], label


# --- the ledger


def _note(archive: Archive) -> list[errors.StoreError]:
    """Put an object in and take one out, each once more where it is refused."""
    refused: list[errors.StoreError] = []
    for act in (
        lambda: archive.add("runs/a.json", b"text"),
        lambda: archive.remove("runs/b.json"),
    ):
        try:
            act()
        except errors.StoreError as error:
            refused.append(error)
            act()
    return refused


def _noted(place: Place) -> Archive:
    """A ledger with one object."""
    shutil.rmtree(place.root / ".vstorefs", ignore_errors=True)
    archive = open_archive(place.spec)
    archive.add("runs/b.json", b"other")
    return archive


def test_each_change_of_a_ledgers_directory_fails_once(tmp_path: Path) -> None:
    place = Place(tmp_path / "place")
    archive = _noted(place)
    with disk() as whole:
        assert _note(archive) == []
    for at, label in enumerate(whole.made):
        for fault in (errno.EIO, errno.ENOSPC):
            archive = _noted(place)
            with disk(at, fault):
                refused = _note(archive)
            assert [errors.to_errno(one) for one in refused] == [fault], label
            assert archive.get("runs/a.json") == b"text"
            there = [one for one in (place.root / ".vstorefs").rglob("*") if one.is_file()]
            assert [one.name for one in there] == ["a.json"], label


def test_every_change_of_these_is_one_of_those(hosts: Callable[[], Host], tmp_path: Path) -> None:
    """No label of these kinds stands in the code that nothing above reaches."""
    archive = _noted(Place(tmp_path / "place"))
    _orphan(tmp_path / "state")
    with disk() as whole:
        hosts().run()
        _adopt(tmp_path / "state")
        _note(archive)
        _use(tmp_path / "cache")
        (tmp_path / "cache" / "format").write_text("another")
        _use(tmp_path / "cache")
    kinds = ("staging.", "state.", "session.", "cache.", "unpromised.", "ledger.", "durable.")
    wanted = {one for one in labels() if one.startswith(kinds)}
    # The front's own is in its tests; where the parts of an S3 upload cannot be noted, a later try begins anew.
    front = {"staging.sync", "staging.write-again", "staging.note-upload"}
    assert wanted - set(whole.made) == front
