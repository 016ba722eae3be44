"""Who owns which journal entries: a session is one run of one front process.

Its file `sessions/<id>.json` is held with a lock for as long as the process lives, so that a dead
owner is known for certain, whatever became of its process number.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from pathlib import Path

from vstorefs import files
from vstorefs.model import SessionId


class Session:
    """The session of this process."""

    def __init__(self, session: SessionId, path: Path, number: int) -> None:
        self.id = session
        self._path = path
        self._number = number

    @classmethod
    def open(cls, state_dir: Path) -> Session:
        """Begin a session and hold its lock."""
        folder = state_dir / "sessions"
        files.make_private(folder)
        session = SessionId(secrets.token_hex(12))
        path = folder / f"{session}.json"
        with files.change("state.lock", (state_dir / "adopt.lock").open, "w") as lock:
            # Nobody may take stock of the living between the file and its lock.
            fcntl.flock(lock, fcntl.LOCK_EX)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            number = files.change("session.create", os.open, path, flags, 0o600)
            fcntl.flock(number, fcntl.LOCK_EX)
        one = cls(session, path, number)
        pid = os.getpid()
        about = {"boot": files.boot_id(), "pid": pid, "start": files.process_start(pid)}
        try:
            files.write_all("session.write", number, json.dumps(about).encode(), 0)
            files.change("session.sync", os.fsync, number)
            files.sync_folder(folder)
        except OSError:
            one.close(owns_entries=False)
            raise
        return one

    def close(self, *, owns_entries: bool) -> None:
        """End the session; its file stays while entries name it."""
        if not owns_entries:
            files.change("session.remove", self._path.unlink, missing_ok=True)
        os.close(self._number)


def is_alive(state_dir: Path, session: SessionId) -> bool:
    """Whether the process of a session lives: then its lock is held."""
    try:
        number = os.open(state_dir / "sessions" / f"{session}.json", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(number)
    return False
