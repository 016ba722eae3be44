"""The LMDB environment of the cache: its directory, its limit, and whether what lies in it can be trusted.

The map has a fixed size a little over the limit, so that the file cannot outgrow it; freed pages
can be used again only by later transactions, so the content is kept below the limit by what one
transaction may write. The limit belongs to the directory: the first opener sets it, and a later one
can change it while nobody else has the cache open.

Commits are not synced. A process that dies loses nothing (the page cache has it all); a machine
that dies may leave damage. So: `boot` names the boot in which the cache was last written, and
`clean` exists while everything is on disk. The first write after a sync removes `clean` durably,
inside its transaction, that is, under LMDB's writer lock; a sync makes it again under the same
lock. No mark and another boot: the cache is wiped.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from vstorefs import errors, files, units
from vstorefs.cache.eviction import Index
from vstorefs.cache.values import FORMAT

log = logging.getLogger(__name__)

MIN_BYTES = 8 << 20
_STEP_BYTES = 256 << 20
_ENTRY_BYTES = 160
_PAGE = 4096
_open: dict[str, Cache] = {}
_lock = threading.Lock()


@dataclass(frozen=True, slots=True)
class CacheInfo:
    """How full the cache is."""

    limit_bytes: int
    used_bytes: int
    file_bytes: int
    chunks: int


class Cache:
    """An open cache; safe from all threads of a process."""

    def __init__(self, directory: Path, limit_bytes: int, env: Any, users: int) -> None:
        self.directory = directory
        self.limit_bytes = limit_bytes
        self.index = Index(env, _capacity_bytes(limit_bytes))
        self._env = env
        self._users_fd = users
        self._openings = 1
        self._allocated = 0
        self._clean = directory / "clean"
        self._writes = 0
        self._marked_at = 0
        self.told_full = False

    @classmethod
    def open(cls, directory: Path, limit_bytes: int) -> Cache:
        """Open or make the cache in `directory`, wiping one that cannot be trusted.

        Raises: UsageError for a directory or size that cannot work, saying what to do.
        """
        with _lock:
            name = str(directory.resolve())
            cache = _open.get(name)
            if cache is None:
                cache = _open[name] = cls._open_new(directory, limit_bytes)
            else:
                cache._openings += 1  # noqa: SLF001 — its own class
            return cache

    @classmethod
    def _open_new(cls, directory: Path, limit_bytes: int) -> Cache:
        if limit_bytes < MIN_BYTES:
            raise errors.UsageError(
                f"a cache of {units.size(limit_bytes)} is too small; give --cache-size at least 9MB"
            )
        files.require_local(directory, "--cache-dir")
        try:
            files.make_private(directory)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            users = files.change("cache.lock", os.open, directory / "users", flags, 0o600)
        except OSError as error:
            raise errors.UsageError(
                f"cannot use {directory} for the cache: {error.strerror}; choose another directory with --cache-dir"
            ) from error
        try:
            with files.change("cache.lock", (directory / "opening").open, "w") as opening:
                fcntl.flock(opening, fcntl.LOCK_EX)
                alone = _is_alone(users)
                limit = _settle_limit(directory, limit_bytes, alone=alone)
                if alone and _is_doubtful(directory):
                    log.warning(
                        "the cache was not closed before the machine went down; starting it anew"
                    )
                    wipe(directory)
                _settle_format(directory, alone=alone)
                fcntl.flock(users, fcntl.LOCK_SH)
                cache = cls(directory, limit, _open_env(directory, limit, alone=alone), users)
                if alone:
                    cache.release_all()
                return cache
        except (OSError, lmdb.Error) as error:
            os.close(users)
            raise errors.UsageError(
                f"cannot use {directory} for the cache: {error}; choose another directory with --cache-dir"
            ) from error
        except BaseException:
            os.close(users)
            raise

    def close(self) -> None:
        """Close this opening; the last one leaves the clean mark."""
        with _lock:
            self._openings -= 1
            if self._openings:
                return
            _open.pop(str(self.directory.resolve()), None)
            try:
                self.mark_clean()
            except (OSError, lmdb.Error) as error:
                # Unmarked, it is started anew if the machine goes down before the next mark.
                log.warning("cannot sync the cache to disk: %s", error)
            finally:
                self._env.close()
                os.close(self._users_fd)

    @contextmanager
    def writing(self) -> Iterator[Any]:
        """A write transaction. Raises: lmdb.Error."""
        with self._env.begin(write=True) as txn:
            if self._writes == self._marked_at or self._clean.exists():
                self._remove_mark()
            yield txn
            files.commit("cache.commit")
        self._writes += 1
        self._allocate()

    def reading(self) -> Any:
        """A new read transaction whose values are views of the map. Raises: lmdb.Error."""
        return self._env.begin(buffers=True)

    def mark_clean(self) -> None:
        """Bring everything to disk and say so, if this process wrote since it last did."""
        if self._writes == self._marked_at:
            return
        with self._env.begin(write=True) as txn:
            files.change("cache.sync", self._env.sync, True)
            files.change("cache.mark", self._clean.touch)
            files.sync_folder(self.directory)
            self._marked_at = self._writes
            txn.abort()

    def reader_check(self) -> None:
        """Clear what dead readers left in LMDB's table."""
        self._env.reader_check()

    def info(self) -> CacheInfo:
        """How full the cache is; its file has no bytes where somebody removed it."""
        with self._env.begin() as txn:
            used = self.index.used_bytes(txn)
            entries = txn.stat(self.index.chunks)["entries"]
        try:
            about = (self.directory / "data.mdb").stat()
        except FileNotFoundError:
            return CacheInfo(self.limit_bytes, used, 0, entries)
        return CacheInfo(self.limit_bytes, used, max(about.st_size, about.st_blocks * 512), entries)

    def clear(self) -> int:
        """Drop everything.

        Gives the bytes that were used. The file keeps its size, for what comes next.
        """
        used = self.info().used_bytes
        try:
            with self.writing() as txn:
                self.index.clear(txn)
        except (lmdb.Error, OSError) as error:
            raise errors.CacheError(
                f"cannot clear the cache in {self.directory}: {error}"
            ) from error
        return used

    def release_all(self) -> None:
        """Let go of what dead processes kept from eviction."""
        with self._env.begin() as txn:
            if txn.stat(self.index.pinned)["entries"] == 0:
                return
        with self.writing() as txn:
            self.index.release_all(txn)

    def _remove_mark(self) -> None:
        boot = self.directory / "boot"
        files.write_durably(boot, files.boot_id().encode())
        files.change("cache.unmark", self._clean.unlink, missing_ok=True)
        files.sync_folder(self.directory)

    def _allocate(self) -> None:
        """Keep the file allocated a step ahead of its use: filling it is ten times as fast then."""
        info = self._env.info()
        used = (info["last_pgno"] + 1) * _PAGE
        if used + _STEP_BYTES // 4 <= self._allocated or self._allocated >= info["map_size"]:
            return
        end = min(info["map_size"], max(self._allocated, used) + _STEP_BYTES)
        file = self.directory / "data.mdb"
        number = files.change("cache.open", os.open, file, os.O_RDWR | os.O_CLOEXEC)
        try:
            files.change("cache.reserve", os.posix_fallocate, number, 0, end)
        except OSError as error:
            log.warning("cannot set aside disk space for the cache: %s", error.strerror)
            end = info["map_size"]
        finally:
            os.close(number)
        self._allocated = end


def cost(size_bytes: int) -> int:
    """What a value of this size takes in the file, its entries in the indexes included."""
    pages = (
        -(-(size_bytes + 16) // _PAGE) * _PAGE if size_bytes > _PAGE // 2 - 64 else size_bytes + 32
    )
    return pages + _ENTRY_BYTES


def _capacity_bytes(limit_bytes: int) -> int:
    """What the chunks may take together: the rest is for what one transaction writes."""
    return limit_bytes - max(limit_bytes // 16, min(32 << 20, limit_bytes // 4))


def wipe(directory: Path) -> None:
    """Remove the databases."""
    for name in ("data.mdb", "lock.mdb", "clean"):
        files.change("cache.wipe", (directory / name).unlink, missing_ok=True)


def _is_alone(users: int) -> bool:
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_doubtful(directory: Path) -> bool:
    if (directory / "clean").exists() or not (directory / "data.mdb").exists():
        return False
    boot = directory / "boot"
    return not boot.exists() or boot.read_text() != files.boot_id()


def _settle_limit(directory: Path, wanted: int, *, alone: bool) -> int:
    file = directory / "limit"
    present = int(file.read_text()) if file.exists() else None
    if present is not None and not alone:
        if present != wanted:
            log.info("the cache is in use with a limit of %s, which stays", units.size(present))
        return present
    held = (
        (directory / "data.mdb").stat().st_blocks * 512 if (directory / "data.mdb").exists() else 0
    )
    free = shutil.disk_usage(directory).free + held
    if wanted > free:
        raise errors.UsageError(
            f"a cache of {units.size(wanted)} does not fit: {directory} has {units.size(free)} left; "
            "give a smaller --cache-size or another --cache-dir"
        )
    if present is not None and wanted < present:
        wipe(directory)
    files.write_durably(file, str(wanted).encode())
    return wanted


def _settle_format(directory: Path, *, alone: bool) -> None:
    """See that what is there is written as this release reads it."""
    file = directory / "format"
    if file.exists() and file.read_text() == FORMAT:
        return
    if not alone:
        raise errors.UsageError(
            f"the cache in {directory} is in use by another release of vstorefs; choose another --cache-dir, "
            "or unmount the other one"
        )
    if (directory / "data.mdb").exists():
        log.info("the cache in %s is of another release; starting it anew", directory)
        wipe(directory)
    files.write_durably(file, FORMAT.encode())


def _open_env(directory: Path, limit: int, *, alone: bool) -> Any:
    size = (limit + limit // 32) // _PAGE * _PAGE
    options: dict[str, Any] = {
        "map_size": size,
        "max_dbs": 8,
        "max_readers": 4096,
        "sync": False,
        "metasync": False,
    }
    try:
        env = lmdb.open(str(directory), **options)
    except lmdb.Error as error:
        if not alone:
            raise errors.UsageError(
                f"cannot open the cache in {directory}: {error}; choose another --cache-dir"
            ) from error
        log.warning("the cache in %s is damaged (%s); starting it anew", directory, error)
        return _open_anew(directory, options)
    if files.is_cut_short(
        directory / "data.mdb",
        last_page=env.info()["last_pgno"],
        page_bytes=env.stat()["psize"],
    ):
        env.close()
        if not alone:
            raise errors.UsageError(
                f"the cache in {directory} is damaged: its file was cut short while another mount uses it; "
                "choose another --cache-dir, or unmount the other one"
            )
        log.warning(
            "the cache in %s is damaged (its file was cut short); starting it anew", directory
        )
        return _open_anew(directory, options)
    env.reader_check()
    return env


def _open_anew(directory: Path, options: dict[str, Any]) -> Any:
    wipe(directory)
    return lmdb.open(str(directory), **options)
