"""Carries out one journal entry in its store, exactly once, however often it is tried.

Every try of an entry sends the same identities. A try that is not the first, or whose last answer
was unclear, looks first: a version that carries the entry's write id is the proof that the write
has happened. Only when the store has it does the entry leave the journal.

How a version is made is the business of the store's layout; this is the same for all of them.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vstorefs import errors, files
from vstorefs.digests import hash_file
from vstorefs.model import (
    Content,
    Entry,
    EntryKind,
    Hashes,
    JournalEntry,
    Key,
    Operation,
    StoreId,
    Token,
    Version,
    Write,
    parent_of,
)
from vstorefs.state.fingerprints import Fingerprint, Fingerprints
from vstorefs.state.journal import Journal
from vstorefs.state.staging import Ranges, missing
from vstorefs.stores.base import Fix, Store
from vstorefs.versions.moved import carried, derived, moved, moves_directory

log = logging.getLogger(__name__)

ReadParts = Callable[[Content, Ranges], Iterator[tuple[int, bytes]]]
"""Gives the parts of a content, each block with where it belongs. What comes later for a place counts; a Corrupt at the
end means that none of it does."""
KeepWritten = Callable[[Content, Path], None]
"""Told of a content that a store has now, and of the file that holds its bytes until the entry ends."""
Changed = Callable[[JournalEntry], None]
"""Told of an entry that was carried out, or tried, while it is in the journal still."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an entry.

    `unchanged`: the head had this content already and stayed. `late`: kept beside the head.
    """

    version: Version | None = None
    unchanged: bool = False
    removed: Version | None = None
    late: bool = False


class Publisher:
    """Publishes entries; safe from many threads, for different paths."""

    def __init__(
        self,
        store_of: Callable[[StoreId], Store],
        journal: Journal,
        fingerprints: Fingerprints,
        state_dir: Path,
        read_parts: ReadParts,
        keep_written: KeepWritten,
        changed: Changed,
    ) -> None:
        self._store_of = store_of
        self._journal = journal
        self._fingerprints = fingerprints
        self._staging = state_dir / "staging"
        self._read_parts = read_parts
        self._keep_written = keep_written
        self._changed = changed

    def publish(self, entry: JournalEntry, *, look: bool, overdue: bool) -> Outcome:
        """Make the store have what the entry says, then end it.

        Raises: a StoreError; the entry stays, with the reason.
        """
        store = self._store_of(entry.store)
        # An earlier try may have chosen the name of a record, and an earlier entry what this one starts from.
        entry = self._journal.entry(entry.seq) or entry
        steps: dict[Operation, Callable[[Store, JournalEntry, bool, bool], Outcome]] = {
            Operation.PUT: self._put,
            Operation.RENAME: self._rename,
            Operation.COPY: self._copy,
            Operation.REMOVE: self._remove,
            Operation.MAKE_DIRECTORY: self._make_directory,
            Operation.REMOVE_DIRECTORY: self._remove_directory,
            Operation.ATTRIBUTES: self._attributes,
            Operation.SYMLINK: self._symlink,
        }
        try:
            outcome = steps[entry.operation](store, entry, look, overdue)
        except OSError as error:
            # The disk of the staging files, not the store's.
            self._note(entry, error)
            raise errors.of_disk(
                f"cannot read or complete its staging file: {error.strerror or error}",
                error.errno,
                key=entry.path,
                operation=entry.operation.value,
            ) from error
        except errors.StoreError as error:
            self._note(entry, error)
            raise
        finally:
            # What failed may have happened all the same. Before the entry ends: who is killed in between is not missed.
            self._changed(entry)
        same_as = outcome.version.token if outcome.unchanged and outcome.version else None
        carry = partial(carried, entry) if moves_directory(entry) else None
        self._journal.finish(entry.seq, same_as=same_as, carry=carry)
        return outcome

    def check_room(self, store: StoreId, path: Key, target: Key) -> None:
        """See that all of a directory has a place under another path: asked before its rename is promised.

        Raises: NotSupported, as ENAMETOOLONG; a StoreError.
        """
        opened = self._store_of(store)
        folders, contents = _tree(opened, path)
        _check_room(opened, path, target, [*folders, *contents])

    def set_aside(self, seq: int, reason: str, at_ns: int) -> None:
        """Try an entry no more; its content is made complete first where that can be. Raises: JournalError."""
        entry = self._journal.entry(seq)
        if entry is None:
            return
        staged = entry.staged
        if staged is not None:
            try:
                self._fill(entry, self._staging / staged.name)
                whole = ((0, staged.size),) if staged.size else ()
                entry = replace(entry, staged=replace(staged, present=whole, base=None))
            except (errors.StoreError, OSError) as error:
                log.warning(
                    "%s: what was set aside lacks what was not written: %s", entry.path, error
                )
        self._journal.set_aside(entry, reason, at_ns)

    def _note(self, entry: JournalEntry, error: Exception) -> None:
        """Keep why it failed; a journal that cannot take that must not hide the reason from who waits for it."""
        try:
            self._journal.fail(entry.seq, str(error))
        except errors.JournalError as full:
            log.warning("%s: why it failed is not noted: %s", entry.path, full)

    # --- content

    def _put(self, store: Store, entry: JournalEntry, look: bool, overdue: bool) -> Outcome:
        assert entry.staged is not None
        path = self._staging / entry.staged.name
        if look:
            done = store.find_write(entry.path, entry.write)
            if done is not None:
                return self._made(store, entry, done)
        try:
            self._fill(entry, path)
            hashes = hash_file(path)
        except FileNotFoundError as error:
            raise errors.Corrupt(
                "its staging file is gone", key=entry.path, operation="put"
            ) from error
        write = replace(entry.write, size=entry.staged.size, hashes=hashes)
        heads: list[Version] = []

        def same(head: Version) -> bool:
            if self._sha256(store, head) != hashes.sha256:
                return False
            heads.append(head)
            return True

        made = store.put(entry.path, path, write, overdue=overdue, same=same, fix=self._fix(entry))
        if heads:
            self._touch(store, heads[0], write)
            return Outcome(heads[0], unchanged=True)
        self._keep_written(made.content(entry.store), path)
        return self._made(store, entry, made, hashes)

    def _fix(self, entry: JournalEntry, *, removal: bool = False) -> Fix:
        """Keeps the name of a record, so that every later try sends the same one."""
        return lambda record: self._journal.fix(entry.seq, record, removal=removal)

    def _made(
        self, store: Store, entry: JournalEntry, version: Version, hashes: Hashes | None = None
    ) -> Outcome:
        write = entry.write
        known = Fingerprint(
            hashes or version.hashes, False, write.mode, write.mtime_ns, write.write_id
        )
        self._fingerprints.put(store.spec.id, entry.path, version.token, known)
        return Outcome(version, late=not version.is_head)

    def _fill(self, entry: JournalEntry, path: Path) -> None:
        """Bring what was not written from the base into the staging file.

        Doing it twice changes nothing. Raises: Corrupt where what comes is not the base, and is so a second time.
        """
        staged = entry.staged
        assert staged is not None
        number = files.change("staging.open", os.open, path, os.O_RDWR | os.O_CLOEXEC)
        try:
            files.change("staging.size", os.ftruncate, number, staged.size)
            base_end = min(staged.base.size, staged.size) if staged.base is not None else 0
            parts = missing(staged.present, 0, base_end)
            if parts:
                assert staged.base is not None
                for at, block in self._read_parts(staged.base, parts):
                    files.write_all("staging.fill", number, block, at)
        finally:
            os.close(number)

    def _sha256(self, store: Store, head: Version) -> str | None:
        if head.hashes is not None:
            return head.hashes.sha256
        known = self._fingerprints.get(store.spec.id, head.key, head.token)
        return known.hashes.sha256 if known is not None and known.hashes is not None else None

    def _touch(self, store: Store, head: Version, write: Write) -> None:
        """Equal content makes no version, but a program that set a mode or a time means it."""
        mode = write.mode if write.mode not in {None, head.mode} else None
        moved = write.mtime_set and write.mtime_ns != head.mtime_ns
        mtime = write.mtime_ns if moved else None
        if (mode, mtime) != (None, None):
            store.set_attributes(head.key, replace(write, mode=mode, mtime_ns=mtime))

    # --- names

    def _rename(self, store: Store, entry: JournalEntry, look: bool, overdue: bool) -> Outcome:
        del overdue
        assert entry.target is not None
        assert entry.removal is not None
        if entry.link is not None:
            return self._rename_link(store, entry, look)
        if entry.source is None:
            return self._rename_directory(store, entry, look)
        made = store.find_write(entry.target, entry.write) if look else None
        if made is None:
            source = self._source(store, entry)
            made = self._copied(store, entry, source, entry.target)
            removal = replace(entry.removal, base=source.token)
        else:
            removal = entry.removal
        removed = store.remove(entry.path, removal, fix=self._fix(entry, removal=True))
        store.keep_directory(parent_of(entry.path), removal)
        return Outcome(made, removed=removed)

    def _rename_link(self, store: Store, entry: JournalEntry, look: bool) -> Outcome:
        """A link is its text: it is made again under the new name, whatever the old one is by now."""
        assert entry.target is not None
        assert entry.removal is not None
        made = self._linked(store, entry, entry.target, look)
        removed = store.remove(entry.path, entry.removal, fix=self._fix(entry, removal=True))
        store.keep_directory(parent_of(entry.path), entry.removal)
        return Outcome(made, removed=removed)

    def _copy(self, store: Store, entry: JournalEntry, look: bool, overdue: bool) -> Outcome:
        """An old version becomes the newest one, of its own path or of another."""
        del overdue
        assert entry.target is not None
        assert entry.source is not None
        made = store.find_write(entry.target, entry.write) if look else None
        return Outcome(made or self._copied(store, entry, entry.source, entry.target))

    def _copied(self, store: Store, entry: JournalEntry, source: Content, target: Key) -> Version:
        made = store.copy(
            entry.path,
            source.token,
            target,
            entry.write,
            version=source.version,
            fix=self._fix(entry),
        )
        self._copy_fingerprint(store, entry, source.token, made)
        return made

    def _source(self, store: Store, entry: JournalEntry) -> Content:
        assert entry.source is not None
        assert entry.removal is not None
        if entry.source.token:
            return entry.source
        head = store.stat(entry.path)
        if entry.removal.after is not None and head.write_id != entry.removal.after:
            found = store.find_write(
                entry.path, replace(entry.removal, write_id=entry.removal.after)
            )
            head = found or head
        return replace(entry.source, token=head.token, size=head.size, version=head.id)

    def _copy_fingerprint(
        self, store: Store, entry: JournalEntry, token: Token, made: Version
    ) -> None:
        known = self._fingerprints.get(store.spec.id, entry.path, token)
        if known is not None:
            self._fingerprints.put(
                store.spec.id, made.key, made.token, replace(known, write_id=entry.write.write_id)
            )

    def _rename_directory(self, store: Store, entry: JournalEntry, look: bool) -> Outcome:
        """All targets first, then tombstones bound to what was seen, then the directories bottom up."""
        assert entry.target is not None
        folders, contents = _tree(store, entry.path)
        _check_room(store, entry.path, entry.target, [*folders, *contents])
        _ignoring(errors.AlreadyExists, store.make_directory, entry.target, entry.write)
        for folder in folders:
            _ignoring(
                errors.AlreadyExists,
                store.make_directory,
                moved(folder.key, entry.path, entry.target),
                replace(derived(entry.write, folder.key), mode=folder.mode),
            )
        for content in contents:
            target = moved(content.key, entry.path, entry.target)
            write = _with_attributes(derived(entry.write, content.key), content)
            if not (look and store.find_write(target, write) is not None):
                made = store.copy(
                    content.key, content.token, target, write, version=content.version
                )
                self._copy_fingerprint(store, replace(entry, path=content.key), content.token, made)
        assert entry.removal is not None
        for content in contents:
            store.remove(
                content.key, replace(derived(entry.removal, content.key), base=content.token)
            )
        for folder in sorted(folders, key=lambda one: len(one.key), reverse=True):
            store.remove_directory(folder.key, derived(entry.removal, folder.key))
        store.remove_directory(entry.path, entry.removal)
        store.keep_directory(parent_of(entry.path), entry.removal)
        return Outcome()

    def _remove(self, store: Store, entry: JournalEntry, look: bool, overdue: bool) -> Outcome:
        del overdue
        if look:
            done = store.find_write(entry.path, entry.write)
            if done is not None:
                return Outcome(removed=done)
        removed = store.remove(entry.path, entry.write, fix=self._fix(entry))
        store.keep_directory(parent_of(entry.path), entry.write)
        return Outcome(removed=removed)

    def _make_directory(
        self, store: Store, entry: JournalEntry, look: bool, overdue: bool
    ) -> Outcome:
        del overdue, look
        # Two hosts may make the same directory, and so may a retry: either way it is there.
        _ignoring(errors.AlreadyExists, store.make_directory, entry.path, entry.write)
        return Outcome()

    def _remove_directory(
        self, store: Store, entry: JournalEntry, look: bool, overdue: bool
    ) -> Outcome:
        del overdue, look
        store.remove_directory(entry.path, entry.write)
        store.keep_directory(parent_of(entry.path), entry.write)
        return Outcome()

    def _attributes(self, store: Store, entry: JournalEntry, look: bool, overdue: bool) -> Outcome:
        del overdue, look
        # What has gone meanwhile needs no attributes.
        _ignoring(errors.NotFound, store.set_attributes, entry.path, entry.write)
        return Outcome()

    def _symlink(self, store: Store, entry: JournalEntry, look: bool, overdue: bool) -> Outcome:
        del overdue
        return Outcome(self._linked(store, entry, entry.path, look))

    @staticmethod
    def _linked(store: Store, entry: JournalEntry, path: Key, look: bool) -> Version:
        """Make the symlink of an entry, once."""
        assert entry.link is not None
        made = store.find_write(path, entry.write) if look else None
        return made or store.make_symlink(path, entry.link, entry.write)


def _tree(store: Store, root: Key) -> tuple[list[Entry], list[Entry]]:
    """All directories and everything else below a directory.

    What is gone already has been moved by an earlier try.
    """
    folders: list[Entry] = []
    contents: list[Entry] = []
    waiting = [root]
    while waiting:
        folder = waiting.pop()
        try:
            for page in store.list(folder):
                for entry in page.entries:
                    if entry.kind is EntryKind.DIRECTORY:
                        folders.append(entry)
                        waiting.append(entry.key)
                    else:
                        contents.append(entry)
        except errors.NotFound:
            continue
    return folders, contents


def _with_attributes(write: Write, entry: Entry) -> Write:
    """What a listing tells of a file goes with it; where it tells nothing, the content's own metadata do."""
    if entry.mode is None or entry.kind is not EntryKind.FILE:
        return write
    return replace(
        write,
        mode=entry.mode,
        mtime_ns=entry.mtime_ns,
        mtime_set=True,
        uid=entry.uid,
        gid=entry.gid,
    )


def _check_room(store: Store, path: Key, new_path: Key, below: list[Entry]) -> None:
    """Before anything is moved: see that all of a directory has a place under its new name.

    Raises: NotSupported, as ENAMETOOLONG.
    """
    if len(new_path) <= len(path):
        return
    room = store.capabilities()
    for one in below:
        target = moved(one.key, path, new_path)
        if not room.has_room_for(target):
            raise errors.NotSupported(
                "its path would be too long for the store in the renamed directory",
                store=store.spec.alias,
                key=target,
                operation="rename",
                number=errno.ENAMETOOLONG,
            )


def _ignoring(
    kind: type[errors.StoreError], call: Callable[..., object], *arguments: object
) -> None:
    try:
        call(*arguments)
    except kind:
        return
