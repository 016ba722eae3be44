"""What a state holds that no store has: journal entries, and content that was promised to nobody.

Read beside the mounts that write it, for `vstorefs journal`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vstorefs.model import JournalEntry, Promise
from vstorefs.state.env import State
from vstorefs.state.journal import Journal

_ID_CHARACTERS = 8


@dataclass(frozen=True, slots=True)
class Change:
    """One of them; `entry` is None for content that was promised to nobody, of which not even the name is known.

    `id` is what people call it: the number of the entry, or the beginning of its file's name. `file` holds its content,
    None where the change has none.
    """

    id: str
    entry: JournalEntry | None
    file: Path | None
    size: int
    time_ns: int

    @property
    def is_aside(self) -> bool:
        """Whether nothing happens to it any more."""
        return self.entry is None or self.entry.aside_ns is not None

    @property
    def state(self) -> str:
        """What is done with it, in the words of `vstorefs journal`."""
        if self.entry is None:
            return "unpromised"
        return "set aside" if self.is_aside else "pending"


def changes(state_dir: Path) -> list[Change]:
    """All that a state holds, oldest first. Raises: UsageError where it cannot be opened."""
    if not (state_dir / "lmdb" / "data.mdb").exists():
        return []
    state = State.open(state_dir)
    try:
        entries = Journal(state).pending()
    finally:
        state.close()
    # What was only synced is still being written, and no change yet.
    found = [_of_entry(one, state_dir) for one in entries if one.promise is Promise.CLOSED]
    kept = state_dir / "unpromised"
    found += [_of_file(file) for file in sorted(kept.iterdir())] if kept.is_dir() else []
    return sorted(found, key=lambda one: one.time_ns)


def _of_entry(entry: JournalEntry, state_dir: Path) -> Change:
    file = None if entry.staged is None else state_dir / "staging" / entry.staged.name
    return Change(str(entry.seq), entry, file, entry.write.size, entry.write.time_ns)


def _of_file(file: Path) -> Change:
    about = file.stat()
    # SESSION-RANDOM: sessions repeat.
    word = file.name.rpartition("-")[2][:_ID_CHARACTERS]
    return Change(word, None, file, about.st_size, about.st_mtime_ns)
