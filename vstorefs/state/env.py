"""The LMDB environment of `state`: small, synced at every commit, shared by the processes of all mounts.

LMDB allows one opening per process, so openings of one directory share an environment.
"""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb

from vstorefs import errors, files

_MAP_BYTES = 16 << 30
_COMMIT_BYTES = 1 << 20
_open: dict[str, State] = {}
_lock = threading.Lock()


Wanted = Callable[[], bool]
"""Whether a change is still wanted, asked when nothing stands before it any more."""


def always() -> bool:
    """Of what nobody withdraws."""
    return True


class State:
    """An open state directory. Safe to use from all threads of a process."""

    def __init__(self, directory: Path, env: Any) -> None:
        self.directory = directory
        self._env = env
        self._users = 1
        self.journal = env.open_db(b"journal")
        self.writes = env.open_db(b"writes")
        self.prints = env.open_db(b"prints")
        self.probes = env.open_db(b"probes")
        self.runs = env.open_db(b"runs")
        self.run_ids = env.open_db(b"run_ids")
        self.open_runs = env.open_db(b"open_runs")
        self.uses = env.open_db(b"uses")
        self.contents = env.open_db(b"contents")
        self.warnings = env.open_db(b"warnings")
        self.acks = env.open_db(b"acks")
        self.manifests = env.open_db(b"manifests")
        self.ledger = env.open_db(b"ledger")

    @classmethod
    def open(cls, directory: Path) -> State:
        """Open or make the state in `directory`. Raises: UsageError where that cannot work."""
        with _lock:
            name = str(directory.resolve())
            state = _open.get(name)
            if state is not None:
                state._users += 1  # noqa: SLF001 — its own class
                return state
            files.require_local(directory, "--state-dir")
            try:
                files.make_private(directory / "lmdb")
                env = lmdb.open(
                    str(directory / "lmdb"),
                    map_size=_MAP_BYTES,
                    max_dbs=32,
                    max_readers=4096,
                    metasync=True,
                    sync=True,
                )
                _refuse_cut_short(directory, env)
                env.reader_check()
                state = _open[name] = cls(directory, env)
            except (lmdb.InvalidError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
                raise _damaged(directory, str(error)) from error
            except (OSError, lmdb.Error) as error:
                raise errors.UsageError(
                    f"cannot use {directory} for vstorefs' state: {error}; choose another directory with --state-dir"
                ) from error
            return state

    @classmethod
    def check(cls, directory: Path) -> None:
        """Find out whether the state can be opened. Raises: UsageError, saying what to do."""
        cls.open(directory).close()

    def close(self) -> None:
        """Close this opening."""
        with _lock:
            self._users -= 1
            if self._users == 0:
                _open.pop(str(self.directory.resolve()), None)
                self._env.close()

    @contextmanager
    def reading(self) -> Iterator[Any]:
        """A read transaction."""
        with self._env.begin() as transaction:
            yield transaction

    @contextmanager
    def writing(self, wanted: Wanted = always) -> Iterator[Any]:
        """A write transaction, on disk when it ends.

        Raises: JournalError when the disk refuses; Unavailable where it is not wanted any more.
        """
        try:
            with self._env.begin(write=True) as transaction:
                if not wanted():
                    raise errors.Unavailable("it was withdrawn", origin=errors.Origin.WAIT)
                yield transaction
                files.commit("state.commit")
        except (lmdb.Error, OSError) as error:
            raise errors.JournalError(
                f"cannot write {self.directory}: {error}; is the disk full?",
                _errno_of(error, self.directory),
            ) from error


def _errno_of(error: Exception, directory: Path) -> int | None:
    """What the disk said, where LMDB tells it: by a class of its own, or by the words for it only.

    What a disk takes only in part is an I/O error to LMDB (lmdb 0.9, mdb_page_flush): a disk that is nearly full does.
    """
    if isinstance(error, OSError):
        return error.errno
    if isinstance(error, lmdb.DiskError | lmdb.MapFullError):
        return errno.ENOSPC
    told = (number for number in errors.LASTING if os.strerror(number) in str(error))
    return next(told, errno.ENOSPC if shutil.disk_usage(directory).free < _COMMIT_BYTES else None)


def _refuse_cut_short(directory: Path, env: Any) -> None:
    file, last = directory / "lmdb" / "data.mdb", env.info()["last_pgno"]
    page_bytes = env.stat()["psize"]
    if files.is_cut_short(file, last_page=last, page_bytes=page_bytes):
        env.close()
        there = file.stat().st_size
        raise _damaged(directory, f"{there:,} of {(last + 1) * page_bytes:,} bytes are there")


def _damaged(directory: Path, why: str) -> errors.UsageError:
    return errors.UsageError(
        f"the state in {directory} is damaged ({why}): what this host had not uploaded yet, and what it knew of hashes "
        f"and runs, cannot be read; restore {directory}/lmdb from a backup, or set it aside (mv {directory}/lmdb "
        f"{directory}/lmdb.damaged) and mount again: contents that were pending are then kept in "
        f"{directory}/unpromised"
    )
