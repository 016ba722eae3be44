"""Open files and folders, by handle number."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from vstorefs.model import Content, Entry, RunId
from vstorefs.mount.reading.readahead import Reader
from vstorefs.mount.reading.transfer import Transfer
from vstorefs.mount.tree.inodes import DirectoryNode, FileNode, Node
from vstorefs.mount.tree.remote import Remote
from vstorefs.mount.writing.opener import Opener


@dataclass(slots=True, eq=False)
class FileHandle:
    """A file of a store, opened.

    `transfer` is of the content that it read last; a version's handle has no `node`. `run` is set where it
    was opened for reading. `is_told`: a read has failed as what came before was not the content.
    """

    node: FileNode | None
    remote: Remote
    content: Content | None
    path: str
    writable: bool = False
    appends: bool = False
    opener: Opener | None = None
    run: RunId | None = None
    reader: Reader = field(default_factory=Reader)
    transfer: Transfer | None = None
    is_told: bool = False


@dataclass(slots=True, eq=False)
class TextHandle:
    """A file whose content we made."""

    data: bytes


@dataclass(slots=True, eq=False)
class FolderHandle:
    """A folder, as it was when reading it began: rows of (name, entry or node)."""

    node: Node
    rows: list[tuple[str, Entry | Node]] | None = None
    parent: DirectoryNode | None = None


Handle = FileHandle | TextHandle | FolderHandle


class Handles:
    """The table of handles; touched by the front's loop only."""

    def __init__(self) -> None:
        self._handles: dict[int, Handle] = {}
        self._numbers = itertools.count(1)

    def add(self, handle: Handle) -> int:
        """A number for a new handle."""
        number = next(self._numbers)
        self._handles[number] = handle
        return number

    def get(self, number: int) -> Handle:
        """The handle of a number that the kernel got from us."""
        return self._handles[number]

    def files(self) -> list[FileHandle]:
        """All open files of stores."""
        return [one for one in self._handles.values() if isinstance(one, FileHandle)]

    def remove(self, number: int) -> Handle:
        """The kernel gave it back."""
        return self._handles.pop(number)
