"""The state's database: private, and refused in words where it is damaged."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import lmdb
import pytest

from vstorefs import errors
from vstorefs.model import SessionId
from vstorefs.state.env import State
from vstorefs.state.sessions import Session
from vstorefs.state.staging import StagingArea


@pytest.mark.parametrize("left", [12_288, 8192, 5000, 100])
def test_a_database_that_was_cut_short_is_refused_in_words(tmp_path: Path, left: int) -> None:
    state = State.open(tmp_path / "state")
    for number in range(100):
        with state.writing() as txn:
            txn.put(str(number).encode(), bytes(2000), db=state.probes)
    state.close()
    os.truncate(tmp_path / "state/lmdb/data.mdb", left)
    with pytest.raises(errors.UsageError, match=r"damaged.*mv .*/lmdb .*and mount again"):
        State.check(tmp_path / "state")


def test_an_empty_database_is_begun(tmp_path: Path) -> None:
    State.open(tmp_path / "state").close()
    os.truncate(tmp_path / "state/lmdb/data.mdb", 0)
    State.check(tmp_path / "state")


def test_directories_of_ours_are_private_whatever_the_umask(tmp_path: Path) -> None:
    state_dir = tmp_path / "missing" / "state"
    before = os.umask(0)
    try:
        State.open(state_dir).close()
        session = Session.open(state_dir)
        StagingArea(state_dir, SessionId("s")).create()
        session.close(owns_entries=False)
    finally:
        os.umask(before)
    made = [state_dir.parent, *(one for one in state_dir.rglob("*") if one.is_dir()), state_dir]
    assert {stat.S_IMODE(one.stat().st_mode) for one in made} == {0o700}
    assert len(made) == 6


@pytest.mark.parametrize(
    ("error", "number"),
    [
        (lmdb.DiskError("mdb_txn_commit: No space left on device"), errno.ENOSPC),
        (lmdb.MapFullError("mdb_put: MDB_MAP_FULL"), errno.ENOSPC),
        (lmdb.Error("mdb_txn_commit: Disk quota exceeded"), errno.EDQUOT),
        (lmdb.Error("mdb_txn_commit: File too large"), errno.EFBIG),
        (lmdb.Error("mdb_txn_commit: Input/output error"), None),
    ],
)
def test_what_the_disk_said_is_kept(tmp_path: Path, error: Exception, number: int | None) -> None:
    state = State.open(tmp_path)
    with pytest.raises(errors.JournalError, match="is the disk full") as caught, state.writing():
        raise error
    assert caught.value.number == number
    state.close()
