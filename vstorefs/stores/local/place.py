"""Which place a `file` store was opened on, and that what is changed is changed there and nowhere else.

A share may be unmounted at any moment, or another disk put in its place; what is at the path then is a directory like
any other. So whoever changes something holds the store's directory open (`held`), sees that it is the one that it was,
and works below the open directory: what happens to the path meanwhile does not matter to it.

A place is known by the id in `.vstorefs/format`, which the first change writes there; until there is one, by its
device and inode.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vstorefs import errors, files
from vstorefs.stores.ids import new_id
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import rename_absent, translated

_FORMAT = "format"
_NUMBER = 1
_DAMAGED = ".vstorefs/format is damaged; put it back from a copy, or see docs/reference/formats.md"


class Place:
    """The directory of one store; safe from many threads."""

    def __init__(self, alias: str, path: Path) -> None:
        self._alias = alias
        self._path = path
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._id: str | None = None

    def look(self, operation: str) -> None:
        """See that the place is there. Raises: Displaced, rather than let an empty mount point be shown."""
        with self._opened(operation) as number:
            self._compare(number, operation)

    @contextmanager
    def held(self, operation: str, *, agree: bool = True) -> Iterator[Path]:
        """A path of the open directory, for as long as something is changed below it.

        `agree`: give the place its id first, if it has none. Raises: Displaced; a StoreError.
        """
        with self._opened(operation) as number:
            self._compare(number, operation)
            root = Path(f"/proc/self/fd/{number}")
            if agree and self._id is None:
                self._agree(root)
            yield root

    @contextmanager
    def _opened(self, operation: str) -> Iterator[int]:
        try:
            with translated(self._alias, "", operation):
                number = os.open(self._path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except errors.NotFound as error:
            raise self._displaced(f"there is no directory {self._path}", operation) from error
        try:
            yield number
        finally:
            os.close(number)

    def _compare(self, number: int, operation: str) -> None:
        with translated(self._alias, "", operation):
            about = os.fstat(number)
            found = self._read_id(Path(f"/proc/self/fd/{number}"))
        seen = about.st_dev, about.st_ino
        with self._lock:
            is_same = self._seen in {None, seen} if self._id is None else found == self._id
            if not is_same:
                raise self._displaced(
                    f"what is at {self._path} is not what was there when it was mounted; is its share or disk mounted?",
                    operation,
                )
            self._seen, self._id = seen, found

    def _read_id(self, root: Path) -> str | None:
        """The id that a place carries, None where it has none yet."""
        try:
            data = (root / names.HIDDEN / _FORMAT).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            about = json.loads(data)
            number, found = int(about["format"]), str(about["id"])
        except (ValueError, KeyError, TypeError) as error:
            raise errors.Corrupt(_DAMAGED, store=self._alias, operation="check") from error
        if number > _NUMBER:
            raise errors.NotSupported(
                f"the store has format {number}, and this vstorefs knows format {_NUMBER}; "
                "install a newer vstorefs",
                store=self._alias,
                operation="check",
            )
        return found

    def _agree(self, root: Path) -> None:
        """Give the place an id; of several who do so at once, one is obeyed by all."""
        about = {"format": _NUMBER, "layout": "native", "id": new_id()}
        hidden = root / names.HIDDEN
        scratch = hidden / f"format-{new_id()}"
        with translated(self._alias, "", "publish"):
            files.change("file.make", hidden.mkdir, exist_ok=True)
            files.write_durably(scratch, json.dumps(about, separators=(",", ":")).encode())
            try:
                rename_absent(scratch, hidden / _FORMAT)
            except FileExistsError:
                files.change("file.clear", scratch.unlink)
            files.sync_folder(hidden)
            found = self._read_id(root)
        with self._lock:
            self._id = found

    def _displaced(self, what: str, operation: str) -> errors.Displaced:
        return errors.Displaced(what, store=self._alias, operation=operation)
