"""One path's versions in a `file` store: how a new head is published, and how an old one is filed.

The order of the steps is the protocol; it was chosen so that a process that dies between any two of
them leaves nothing lost and nothing twice, and so that other programs, which know no lock, can
replace or change the plain file at any moment:

* a new head is exchanged with the old one in one system call, so the plain path never is without
  content and what came out is exactly what was there;
* what came out is filed under *its own* identity, never over another name;
* a tombstone is created first and names the head that it removes; from then on that head counts as
  removed.

`finish` does what a dead process left undone. Every method that changes something expects the
exclusive lock. `step` is called with a label before each system call that matters, so that a test
can stop at any of them.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from vstorefs import errors, files
from vstorefs.clock import Clock
from vstorefs.model import Key, Mark, Purger, Token, Version, VersionId, VersionKind, Write
from vstorefs.stores.base import is_base
from vstorefs.stores.ids import to_id
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import exchange, rename_absent
from vstorefs.stores.local.names import Identity

_GAP_NS = 2_000_000
_TRIES = 100

Step = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Filed:
    """One filed version.

    Where it is, what its name and its xattr say, and whether its bytes still fit.
    """

    path: Path
    time_ns: int
    id: str
    suffix: str
    identity: Identity
    sound: bool


class PathVersions:
    """The versions of one path. `plain` is where other programs see the head."""

    def __init__(self, root: Path, key: Key, clock: Clock, step: Step) -> None:
        self.key = key
        self.plain = root / key
        self.folder = names.folder_of(root, key)
        self._clock = clock
        self._step = step

    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """Hold the path's lock.

        A reader of a store that it cannot write goes without, if there is none.
        """
        number = self._open_lock(exclusive=exclusive)
        try:
            if number is not None:
                fcntl.flock(number, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
            try:
                yield
            except OSError:
                if exclusive:
                    # What one refused call left half done is shown to everybody, and the next writer may be far away.
                    with suppress(OSError):
                        self.finish()
                raise
        finally:
            if number is not None:
                os.close(number)

    def _open_lock(self, *, exclusive: bool) -> int | None:
        if exclusive:
            files.change("file.make-hidden", self.folder.mkdir, parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
            return files.change("file.lock", os.open, self.folder / names.LOCK, flags, 0o666)
        try:
            return os.open(self.folder / names.LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None

    # --- looking

    def head(self) -> Identity | None:
        """The identity of what is at the plain path, None where that is no regular file."""
        try:
            about = self.plain.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return (
            names.identify(self.plain, about, self.key, self.folder)
            if stat.S_ISREG(about.st_mode)
            else None
        )

    def live_head(self) -> Identity | None:
        """The head, unless the newest tombstone names it: then a removal was cut short."""
        head = self.head()
        newest = max(
            (one for one in self.filed() if one.suffix != names.REPLACED), key=_order, default=None
        )
        removed = (
            newest is not None and newest.suffix == names.DELETED and not newest.identity.marks
        )
        if head is not None and removed and newest is not None and newest.identity.base == head.id:
            return None
        return head

    def filed(self) -> list[Filed]:
        """Everything filed, and superseded heads that a dead process left, oldest first."""
        found = []
        try:
            listing = list(self.folder.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        for path in listing:
            one = self._filed(path)
            if one is not None:
                found.append(one)
        return sorted((self._in_line(one, found) for one in found), key=_order)

    def _in_line(self, one: Filed, found: list[Filed]) -> Filed:
        """An outside head that came out and was not filed yet stands just before what replaced it."""
        head = self.head() if one.identity.derived and one.path.name.endswith(names.NEW) else None
        if head is None or head.derived:
            return one
        earlier = (other.time_ns for other in found if other is not one)
        lowest = max((time_ns for time_ns in earlier if time_ns < head.time_ns), default=0)
        return replace(one, time_ns=max(lowest + 1, min(one.time_ns, head.time_ns - 1)))

    def _filed(self, path: Path) -> Filed | None:
        parsed = names.parse_filed(path.name)
        try:
            about = path.lstat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(about.st_mode):
            return None
        if parsed is None:
            if not path.name.endswith(names.NEW):
                return None
            identity = names.identify(path, about, self.key, self.folder)
            if identity.id == path.name.removesuffix(names.NEW):
                return None
            return Filed(path, identity.time_ns, identity.id, "", identity, sound=True)
        time_ns, version, suffix = parsed
        identity = names.carried(path, self.folder) or replace(
            names.derive(about, self.key), id=version
        )
        sound = bool(suffix) or names.fits(identity, about)
        return Filed(path, time_ns, version, suffix, identity, sound)

    # --- changing, under the exclusive lock

    def finish(self) -> None:
        """Complete what a process left undone when it died."""
        for one in self.filed():
            if one.path.name.endswith(names.NEW) and not self._is_head_still(one.path):
                self.file_away(one.path, self._newest_ns())
        if self.head() is not None and self.live_head() is None:
            self._remove_head(None)

    def _is_head_still(self, aside: Path) -> bool:
        """Where names are not swapped in one step: a second name of the head, made just before the end."""
        try:
            if not aside.samefile(self.plain):
                return False
        except FileNotFoundError:
            return False
        files.change("file.clear", aside.unlink)
        return True

    def publish(self, new: Path, identity: Identity, write: Write, *, overdue: bool) -> Version:
        """Make `new`, complete and on disk, the head.

        Or file it beside one that is not its base, if `overdue`.
        """
        self.finish()
        head = self.head()
        expected = _is_base(head, write)
        if not expected:
            mark = Mark.LATE if overdue else Mark.OLDER_HEAD
            identity = replace(identity, marks=(*identity.marks, mark))
        if not expected and overdue:
            return self._file_beside(new, identity, head)
        time_ns = max(self._clock.wall_ns(), self._newest_ns() + _GAP_NS)
        identity = self._stamp(new, replace(identity, time_ns=time_ns))
        self._step("exchange")
        came_out = self._swap(new)
        if came_out:
            self._step("file")
            self.file_away(new, time_ns)
        self._step("sync")
        files.sync_folder(self.folder)
        files.sync_folder(self.plain.parent)
        return to_version(self.key, identity, identity.time_ns, is_head=True)

    def remove(self, write: Write) -> Version | None:
        """Make a tombstone, then file the head.

        A removal of what is no longer head is only recorded.
        """
        self.finish()
        head = self.head()
        if head is None:
            return None
        if not _is_base(head, write):
            self._tombstone(write, self._before_head_ns(write.time_ns, head), (Mark.LATE,))
            return None
        time_ns = max(self._clock.wall_ns(), self._newest_ns() + _GAP_NS)
        identity = self._tombstone(replace(write, base=Token(head.id)), time_ns, ())
        self._step("file")
        self._remove_head(head.id)
        files.sync_folder(self.folder)
        files.sync_folder(self.plain.parent)
        return to_version(self.key, identity, time_ns, kind=VersionKind.TOMBSTONE)

    def purge(self, version: Version, purger: Purger) -> None:
        """Remove a filed version's bytes; before that, file what is known of it.

        Raises: Changed where there is no such version that is filed.
        """
        self.finish()
        filed = [one for one in self.filed() if one.id == version.id]
        one = next((one for one in filed if not one.suffix), None)
        if one is None:
            raise errors.Changed("this version is not there", key=self.key, operation="purge")
        if all(other.suffix != names.PURGED for other in filed):
            self._file_note(one, version, purger)
        self._step("purge")
        about = names.side_file(one.path, self.folder)
        try:
            files.change("file.purge", one.path.unlink)
        except PermissionError:
            # What is protected is not purged, and its history must not say that it will be.
            note = self.folder / names.filed_name(one.time_ns, one.id, names.PURGED)
            files.change("file.clear", note.unlink)
            raise
        files.change("file.clear", about.unlink, missing_ok=True)
        files.sync_folder(self.folder)

    def _file_note(self, one: Filed, version: Version, purger: Purger) -> None:
        note = replace(
            one.identity,
            id=one.id,
            time_ns=one.time_ns,
            size=version.size,
            hashes=version.hashes,
            marks=tuple(mark for mark in version.marks if mark is not Mark.PURGING),
            purged=purger,
        )
        scratch = self.folder / f"{one.id}.purged.tmp"
        self._write_empty(scratch, note)
        self._step("note")
        _name(scratch, self.folder / names.filed_name(one.time_ns, one.id, names.PURGED))
        files.sync_folder(self.folder)

    def file_away(self, path: Path, before_ns: int) -> None:
        """File superseded content under its own identity.

        Bytes destroyed in place leave a record of what they were.
        """
        about = path.lstat()
        identity = names.identify(path, about, self.key, self.folder)
        own = names.carried(path, self.folder)
        if identity.derived:
            if own is not None and own.path == self.key:
                self._file_replaced(own)
            others = (one.time_ns for one in self.filed() if one.path != path)
            lowest = max((time_ns for time_ns in others if time_ns < before_ns), default=0)
            time_ns = max(lowest + 1, min(identity.time_ns, before_ns - 1))
            identity = self._stamp(path, replace(identity, time_ns=time_ns))
        self._step("seal")
        files.change("file.mode", path.chmod, 0o444)
        self._step("rename")
        try:
            rename_absent(path, self.folder / names.filed_name(identity.time_ns, identity.id))
        except FileExistsError:
            # The same content came back to the path and was superseded again: it is filed already.
            files.change("file.clear", path.unlink)

    def _swap(self, new: Path) -> bool:
        """Put `new` at the plain path.

        Whether something came out. Raises: NotSupported for a directory or link there.
        """
        for _ in range(_TRIES):
            try:
                if os.path.lexists(self.plain):
                    aside = self.folder / f"{to_id(0)}{names.NEW}"
                    if not stat.S_ISREG(self.plain.lstat().st_mode):
                        raise self._no_file()
                    exchange(new, self.plain, aside)
                    if stat.S_ISREG(new.lstat().st_mode):
                        return True
                    exchange(new, self.plain, aside)
                    raise self._no_file()
                rename_absent(new, self.plain)
            except OSError as error:
                if (
                    error.errno not in {errno.EEXIST, errno.ENOENT}
                    or not self.plain.parent.is_dir()
                ):
                    raise
                continue
            return False
        raise errors.Unavailable(
            "other programs keep replacing this file", key=self.key, operation="put"
        )

    def _no_file(self) -> errors.NotSupported:
        return errors.NotSupported(
            "there is no regular file at this path", key=self.key, operation="put"
        )

    def _remove_head(self, expected: str | None) -> None:
        """Move the head away and file it; something else that turned up meanwhile goes back."""
        head = self.head()
        if head is None or (expected is not None and head.id != expected):
            return
        out = self.folder / f"{to_id(0)}{names.NEW}"
        rename_absent(self.plain, out)
        taken = names.identify(out, out.lstat(), self.key, self.folder)
        if taken.id != head.id:
            try:
                rename_absent(out, self.plain)
                return
            except FileExistsError:
                pass
        self.file_away(out, self._newest_ns())

    def _tombstone(self, write: Write, time_ns: int, marks: tuple[Mark, ...]) -> Identity:
        identity = Identity(
            write.version,
            time_ns,
            0,
            time_ns,
            self.key,
            base=write.base,
            write_id=write.write_id,
            marks=marks,
            run=write.run,
        )
        scratch = self.folder / f"{write.version}.tmp"
        self._write_empty(scratch, identity)
        self._step("tombstone")
        _name(scratch, self.folder / names.filed_name(time_ns, write.version, names.DELETED))
        files.sync_folder(self.folder)
        return identity

    def _file_replaced(self, own: Identity) -> None:
        target = self.folder / names.filed_name(own.time_ns, own.id, names.REPLACED)
        if target.exists() or (self.folder / names.filed_name(own.time_ns, own.id)).exists():
            return
        scratch = self.folder / f"{own.id}.gone.tmp"
        self._write_empty(scratch, own)
        _name(scratch, target)

    def _write_empty(self, path: Path, identity: Identity) -> None:
        files.change("file.clear", path.unlink, missing_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        number = files.change("file.create", os.open, path, flags, 0o444)
        try:
            names.stamp(number, self.folder, identity)
            files.change("file.sync", os.fsync, number)
        except OSError:
            with suppress(OSError):
                files.change("file.clear", path.unlink)
            raise
        finally:
            os.close(number)

    def _file_beside(self, new: Path, identity: Identity, head: Identity | None) -> Version:
        time_ns = self._before_head_ns(identity.time_ns, head)
        identity = self._stamp(new, replace(identity, time_ns=time_ns))
        files.change("file.mode", new.chmod, 0o444)
        self._step("beside")
        rename_absent(new, self.folder / names.filed_name(time_ns, identity.id))
        files.sync_folder(self.folder)
        return to_version(self.key, identity, time_ns)

    def _before_head_ns(self, time_ns: int, head: Identity | None) -> int:
        newest = max((one.time_ns for one in self.filed()), default=time_ns)
        limit = self.head_time_ns(head) if head is not None else newest
        return min(time_ns, limit - 1)

    def _stamp(self, path: Path, identity: Identity) -> Identity:
        number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            names.stamp(path, self.folder, identity)
            self._step("stamp")
            files.change("file.sync", os.fsync, number)
        finally:
            os.close(number)
        return identity

    def head_time_ns(self, head: Identity) -> int:
        """When the head was made: its own word, or what its times say, behind everything else."""
        if not head.derived:
            return head.time_ns
        return max(head.time_ns, self._newest_ns() + 1)

    def _newest_ns(self) -> int:
        """The latest time that is taken: of what is filed, of the head, of bytes destroyed in place."""
        newest = max((one.time_ns for one in self.filed()), default=0)
        own = names.carried(self.plain, self.folder) if self.head() is not None else None
        return max(newest, own.time_ns if own is not None and own.path == self.key else 0)


def _name(scratch: Path, target: Path) -> None:
    """Give a note its name; one that is refused leaves nothing behind. Raises: OSError."""
    try:
        rename_absent(scratch, target)
    except OSError:
        with suppress(OSError):
            files.change("file.clear", scratch.unlink, missing_ok=True)
        raise


def _is_base(head: Identity | None, write: Write) -> bool:
    return (
        is_base(Token(head.id), head.write_id, write)
        if head is not None
        else is_base(None, None, write)
    )


def to_version(
    key: Key,
    identity: Identity,
    time_ns: int,
    *,
    kind: VersionKind = VersionKind.CONTENT,
    is_head: bool = False,
) -> Version:
    """A file's identity in the words of every kind of store."""
    return Version(
        key,
        VersionId(identity.id),
        kind,
        time_ns,
        Token(identity.id),
        not identity.derived,
        identity.size,
        identity.mtime_ns,
        identity.mode,
        identity.base,
        identity.write_id,
        identity.hashes,
        identity.marks,
        is_head,
        identity.run,
    )


def _order(one: Filed) -> tuple[int, str]:
    return one.time_ns, one.id
