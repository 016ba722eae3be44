"""A path whose record a mount's workers cannot encode, for as long as a test says so.

unencodable = Unencodable(folder)
with host(folder / "host", unencodable.env) as one:
    unencodable.begin("f")
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from tests.support.changedworkers import changed_workers
from vstorefs.model import JournalEntry

_ENV = "VSTOREFS_TEST_UNENCODABLE"


class Unencodable:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "unencodable"
        self.env = {**changed_workers(folder, "unencodable"), _ENV: str(self._file)}

    def begin(self, path: str) -> None:
        """From now on, records of this path are not encoded."""
        self._file.write_text(path)

    def end(self) -> None:
        """They are again."""
        self._file.unlink()


def watch() -> None:
    """Have this worker meet a fault of the program, where it is told to, in the middle of publishing."""
    from vstorefs.versions import publish, records  # noqa: PLC0415 — not in other processes

    file, own, encode = Path(os.environ[_ENV]), threading.local(), records.encode_body

    class Watched(publish.Publisher):
        def publish(self, entry: JournalEntry, *, look: bool, overdue: bool) -> publish.Outcome:
            own.path = entry.path
            try:
                return super().publish(entry, look=look, overdue=overdue)
            finally:
                own.path = ""

    def encode_some(body: records.Body) -> bytes:
        if file.exists() and getattr(own, "path", "") == file.read_text():
            raise UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates not allowed")
        return encode(body)

    # For whoever imports it after this; a class and a function are no variables to the type checker.
    setattr(publish, "Publisher", Watched)  # noqa: B010
    setattr(records, "encode_body", encode_some)  # noqa: B010
