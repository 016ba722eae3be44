"""The `file` kind: a directory whose versions this module keeps itself, below `.vstorefs/`.

Other programs see and may change the plain files at any time; see `localversions.py` for how
nothing is lost then, and `names.py` for where things lie. A token is a version's id; it is
weak where it was derived from size and times.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import stat
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from vstorefs import errors, files
from vstorefs.clock import Clock, SystemClock
from vstorefs.model import (
    DEFAULT_FILE_MODE,
    DEFAULT_FOLDER_MODE,
    Capabilities,
    Entry,
    EntryKind,
    Key,
    Mark,
    Purger,
    StoreSpec,
    Token,
    Unshown,
    Version,
    VersionId,
    VersionKind,
    Write,
    join,
    name_of,
    parent_of,
)
from vstorefs.stores.base import Condemned, Erased, Fix, Page, Same, replaces
from vstorefs.stores.ids import new_id
from vstorefs.stores.local import names
from vstorefs.stores.local.disk import can_exchange, copy_file, rename_absent, translated
from vstorefs.stores.local.names import Identity
from vstorefs.stores.local.versions import Filed, PathVersions, Step, to_version
from vstorefs.stores.past import as_entry, version_at

log = logging.getLogger(__name__)

_BLOCK = 1 << 20
_PAGE_ENTRIES = 1000
_NO_EXCHANGE = (
    "its file system cannot swap two names in one step, so what another program writes to a file at the very "
    "moment of a save can be lost"
)


class LocalStore:
    """One directory of this machine."""

    def __init__(
        self, spec: StoreSpec, *, clock: Clock | None = None, step: Step = lambda _: None
    ) -> None:
        self.spec = spec
        self.root = Path(urllib.parse.unquote(urllib.parse.urlsplit(spec.url).path))
        self._clock = clock or SystemClock()
        self._step = step
        self._note = ""
        self._device: int | None = None

    def capabilities(self) -> Capabilities:
        """See `base.Store`.

        What its file system can do is tried.
        """
        if not self.root.is_dir():
            raise errors.NotFound(
                f"there is no folder {self.root}; make it, or correct the URL",
                store=self.spec.alias,
                operation="check",
            )
        with translated(self.spec.alias, "", "check"):
            if not os.access(self.root, os.R_OK | os.X_OK):
                raise errors.Denied(
                    f"no permission to read {self.root}", store=self.spec.alias, operation="check"
                )
            why = self._why_read_only()
        return Capabilities(not why, why, self._note, "native")

    def _why_read_only(self) -> str:
        if not os.access(self.root, os.W_OK):
            return f"no permission to write to {self.root}"
        hidden = self.root / names.HIDDEN
        made = not hidden.exists()
        one, other = hidden / f"probe-{new_id()}", hidden / f"probe-{new_id()}"
        try:
            hidden.mkdir(exist_ok=True)
            one.touch()
            other.touch()
            if not can_exchange(one, other):
                self._note = _NO_EXCHANGE
            one.unlink()
            rename_absent(other, one)
        except OSError as error:
            return f"the file system of {self.root} cannot keep versions ({error.strerror})"
        finally:
            one.unlink(missing_ok=True)
            other.unlink(missing_ok=True)
            if made and hidden.is_dir() and not any(hidden.iterdir()):
                hidden.rmdir()
        return ""

    def _see_that_it_is_mounted(self) -> None:
        """A share that went away leaves an empty folder behind, of another device.

        Raises: Unavailable, rather than show that.
        """
        with translated(self.spec.alias, "", "list"):
            device = self.root.stat().st_dev
        if self._device is None:
            self._device = device
        if device != self._device:
            raise errors.Unavailable(
                f"the file system that was mounted at {self.root} is gone; mount it again",
                store=self.spec.alias,
                operation="list",
            )

    # --- reading

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`."""
        self._see_that_it_is_mounted()
        entries: list[Entry] = []
        with (
            translated(self.spec.alias, directory, "list"),
            os.scandir(self.root / directory) as scan,
        ):
            for item in scan:
                if not directory and item.name == names.HIDDEN:
                    continue
                entry = self._entry(item, directory)
                if isinstance(entry, Unshown):
                    yield Page((), unshown=(entry,))
                elif entry is not None:
                    entries.append(entry)
                if len(entries) == _PAGE_ENTRIES:
                    yield Page(tuple(entries))
                    entries = []
        if entries:
            yield Page(tuple(entries))

    def _entry(self, item: os.DirEntry[str], directory: Key) -> Entry | Unshown | None:
        key = join(directory, item.name)
        if not _is_text(item.name):
            return Unshown(_printable(key), "its name is not UTF-8")
        try:
            about = item.stat(follow_symlinks=False)
            entry = _to_entry(Path(item.path), about, key, names.folder_of(self.root, key))
        except FileNotFoundError:
            return None
        if entry is not None and entry.target is not None and not _is_text(entry.target):
            return Unshown(_printable(key), "what it links to is not UTF-8")
        return entry

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        with translated(self.spec.alias, key, "stat"):
            if version is None:
                path = self.root / key
                about = path.lstat()
                if stat.S_ISREG(about.st_mode):
                    head = self._versions(key).live_head()
                    if head is not None:
                        return to_version(key, head, head.time_ns, is_head=True)
            else:
                for one in self.history(key):
                    if one.id == version:
                        return one
        raise errors.NotFound("no such version", store=self.spec.alias, key=key, operation="stat")

    def read(
        self, key: Key, token: Token, start: int, end: int, *, version: VersionId | None = None
    ) -> Iterator[bytes]:
        """See `base.Store`."""
        with translated(self.spec.alias, key, "read"):
            number = self._open_content(key, token)
            try:
                before = os.fstat(number)
                at = start
                while at < end:
                    block = os.pread(number, min(_BLOCK, end - at), at)
                    after = os.fstat(number)
                    if not block or (after.st_size, after.st_mtime_ns) != (
                        before.st_size,
                        before.st_mtime_ns,
                    ):
                        raise errors.Changed(
                            "another program changed the file while it was read; open it again",
                            store=self.spec.alias,
                            key=key,
                            operation="read",
                        )
                    yield block
                    at += len(block)
            finally:
                os.close(number)

    def _open_content(self, key: Key, token: Token) -> int:
        """Open exactly the content of a token, wherever it lies now."""
        for _ in range(3):
            candidates = [self.root / key]
            versions = self._versions(key)
            candidates += [
                one.path for one in versions.filed() if one.id == token and not one.suffix
            ]
            for path in candidates:
                try:
                    number = os.open(
                        path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                    )
                except OSError:
                    continue
                about = os.fstat(number)
                if (
                    stat.S_ISREG(about.st_mode)
                    and _identity_of(number, about, key, versions.folder).id == token
                ):
                    return number
                os.close(number)
            # It may have been filed between the two looks.
        is_purged = any(
            one.id == token and one.suffix == names.PURGED for one in self._versions(key).filed()
        )
        raise errors.Changed(
            "this version was purged; its hashes are in its history"
            if is_purged
            else "the store has other content now and no longer this one",
            store=self.spec.alias,
            key=key,
            operation="read",
        )

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        found: set[str] = set()
        with translated(self.spec.alias, directory, "versions"):
            folder = names.folder_of(self.root, directory)
            for item in folder.iterdir() if folder.is_dir() else []:
                name = self._versioned_name(item)
                if name is not None:
                    found.add(name)
            for page in self.list(directory) if (self.root / directory).is_dir() else []:
                found.update(
                    name_of(entry.key) for entry in page.entries if entry.kind is EntryKind.FILE
                )
        return (join(directory, name) for name in sorted(found))

    def _versioned_name(self, folder: Path) -> str | None:
        filed = (
            [one for one in folder.iterdir() if names.parse_filed(one.name)]
            if folder.is_dir()
            else []
        )
        if not filed:
            return None
        if not folder.name.startswith("~"):
            return folder.name.removesuffix("@")
        identity = names.carried(filed[0], folder)
        return name_of(Key(identity.path)) if identity is not None else None

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        found: set[Key] = set()
        waiting = [directory]
        while waiting:
            folder = waiting.pop()
            found.update(self.versions(folder))
            waiting += self._folders(folder)
        return iter(sorted(found))

    def _folders(self, directory: Key) -> Iterator[Key]:
        """Folders directly in a directory, those included of which only versions are left."""
        known: set[str] = set()
        kept = names.folder_of(self.root, join(directory, "x")).parent
        with translated(self.spec.alias, directory, "list"):
            for place, mark in ((self.root / directory, ""), (kept, "@")):
                for item in place.iterdir() if place.is_dir() else ():
                    is_hidden = not directory and item.name == names.HIDDEN
                    if not is_hidden and item.is_dir() and not item.is_symlink():
                        known.add(item.name.removesuffix(mark) if mark else item.name)
        return (join(directory, name) for name in sorted(known) if _is_text(name))

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`."""
        versions = self._versions(key)
        with translated(self.spec.alias, key, "history"), versions.locked(exclusive=False):
            found = _filed_versions(key, versions.filed())
            head, live = versions.head(), versions.live_head()
            if live is not None:
                found = sorted([*found, *_destroyed(versions, live)], key=_moment)
                found.append(to_version(key, live, versions.head_time_ns(live), is_head=True))
            elif head is not None:
                # A removal was cut short: what its tombstone, the newest of all, names stands before it.
                time_ns = min(versions.head_time_ns(head), found[-1].time_ns - 1)
                cut_short = [*_destroyed(versions, head), to_version(key, head, time_ns)]
                found = sorted([*found, *cut_short], key=_moment)
        return tuple(found)

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`. Nothing is missing here."""
        self._see_that_it_is_mounted()
        for key in self.paths(directory):
            history = self.history(key)
            if history:
                yield key, history

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`.

        Folders and links have no versions: what has not been touched since was there; other folders, where
        something was in them.
        """
        used: set[Key] = set()
        for key, history in self.histories(directory):
            version = version_at(history, moment_ns)
            if version is not None:
                used.add(parent_of(key))
                yield as_entry(version)
        yield from self._beside_files(directory, moment_ns, used)

    def _beside_files(self, directory: Key, moment_ns: int, used: set[Key]) -> Iterator[Entry]:
        """Folders and links of now that were there at a moment; `used` are folders that had files in them."""
        above = {key for one in used for key in _with_parents(one)}
        waiting = [directory]
        while waiting:
            folder = waiting.pop()
            for page in self.list(folder) if (self.root / folder).is_dir() else ():
                for entry in page.entries:
                    if entry.kind is EntryKind.FILE:
                        continue
                    if entry.kind is EntryKind.DIRECTORY:
                        waiting.append(entry.key)
                    if entry.key in above or self._is_untouched(entry.key, moment_ns):
                        yield entry

    def _is_untouched(self, key: Key, moment_ns: int) -> bool:
        try:
            return (self.root / key).lstat().st_ctime_ns <= moment_ns
        except (FileNotFoundError, NotADirectoryError):
            return False

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`."""
        versions = self._versions(key)
        if versions.folder.is_dir():
            with translated(self.spec.alias, key, "find"), versions.locked(exclusive=True):
                versions.finish()
        return next((one for one in self.history(key) if one.write_id == write.write_id), None)

    # --- writing

    def put(
        self,
        key: Key,
        source: Path,
        write: Write,
        *,
        overdue: bool = False,
        same: Same | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """See `base.Store`."""
        del fix
        if same is not None:
            try:
                head = self.stat(key)
            except errors.NotFound:
                head = None
            if head is not None and same(head):
                return head
        with translated(self.spec.alias, key, "put"), source.open("rb") as file:
            return self._publish(key, file.fileno(), write, overdue=overdue)

    def copy(
        self,
        key: Key,
        token: Token,
        target: Key,
        write: Write,
        *,
        version: VersionId | None = None,
        fix: Fix | None = None,
    ) -> Version:
        """See `base.Store`; a symlink is made again at the target."""
        del version, fix
        with translated(self.spec.alias, key, "copy"):
            plain = self.root / key
            if plain.is_symlink():
                return self._link(target, str(plain.readlink()), write)
            number = self._open_content(key, token)
            try:
                about = os.fstat(number)
                identity = _identity_of(number, about, key, self._versions(key).folder)
                mode = identity.mode if identity.mode is not None else stat.S_IMODE(about.st_mode)
                full = replace(
                    write,
                    size=about.st_size,
                    hashes=write.hashes or identity.hashes,
                    mode=mode if write.mode is None else write.mode,
                    mtime_ns=about.st_mtime_ns if write.mtime_ns is None else write.mtime_ns,
                )
                return self._publish(target, number, full, overdue=False)
            finally:
                os.close(number)

    def _publish(self, key: Key, source: int, write: Write, *, overdue: bool) -> Version:
        versions = self._versions(key)
        versions.folder.mkdir(parents=True, exist_ok=True)
        versions.plain.parent.mkdir(parents=True, exist_ok=True)
        scratch = versions.folder / f"{write.version}.tmp"
        new = versions.folder / f"{write.version}{names.NEW}"
        scratch.unlink(missing_ok=True)
        identity = self._fill(scratch, key, source, write)
        self._step("ready")
        with versions.locked(exclusive=True):
            # A retry of the same write whose first try stopped before the exchange.
            versions.finish()
            new.unlink(missing_ok=True)
            rename_absent(scratch, new)
            self._step("locked")
            return versions.publish(new, identity, write, overdue=overdue)

    def _fill(self, path: Path, key: Key, source: int, write: Write) -> Identity:
        mode = write.mode if write.mode is not None else self._default_mode(key)
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            self._step("create")
            copy_file(source, number, write.size)
            if write.uid is not None or write.gid is not None:
                _own(number, write.uid, write.gid)
            os.fchmod(number, mode)
            if write.mtime_ns is not None:
                os.utime(number, ns=(write.mtime_ns, write.mtime_ns))
            about = os.fstat(number)
            identity = Identity(
                write.version,
                write.time_ns,
                about.st_size,
                about.st_mtime_ns,
                key,
                mode=mode,
                base=write.base,
                write_id=write.write_id,
                hashes=write.hashes,
                marks=write.marks,
                run=write.run,
            )
            names.stamp(number, path.parent, identity)
            self._step("written")
            os.fsync(number)
        finally:
            os.close(number)
        return identity

    def _default_mode(self, key: Key) -> int:
        try:
            return stat.S_IMODE((self.root / key).lstat().st_mode)
        except OSError:
            return DEFAULT_FILE_MODE

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`. A symlink has no versions: it is gone."""
        del fix
        versions = self._versions(key)
        with translated(self.spec.alias, key, "remove"):
            if versions.plain.is_symlink():
                self._remove_link(versions.plain, write)
                return None
            if not versions.plain.exists() and not versions.folder.exists():
                return None
            with versions.locked(exclusive=True):
                return versions.remove(write)

    @staticmethod
    def _remove_link(path: Path, write: Write) -> None:
        """Remove a link, unless a later one than its remover saw; who made a link is written nowhere."""
        if write.after is not None or write.base == _link_token(path):
            path.unlink()
            files.sync_folder(path.parent)

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        with translated(self.spec.alias, key, "mkdir"):
            path = self.root / key
            path.mkdir()
            path.chmod(DEFAULT_FOLDER_MODE if write.mode is None else write.mode)
            files.sync_folder(path.parent)

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        with translated(self.spec.alias, key, "rmdir"):
            try:
                (self.root / key).rmdir()
            except FileNotFoundError:
                return

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`. A file's identity is written again, so that it goes on holding."""
        path = self.root / key
        with translated(self.spec.alias, key, "attributes"):
            if not stat.S_ISREG(path.lstat().st_mode):
                _apply(path, write)
                return _must(_to_entry(path, path.lstat(), key, names.folder_of(self.root, key)))
            versions = self._versions(key)
            with versions.locked(exclusive=True):
                identity = names.identify(path, path.lstat(), key, versions.folder)
                _apply(path, write)
                about = path.lstat()
                time_ns = versions.head_time_ns(identity)
                kept = replace(
                    identity,
                    mtime_ns=about.st_mtime_ns,
                    mode=stat.S_IMODE(about.st_mode),
                    time_ns=time_ns,
                )
                names.stamp(path, versions.folder, kept)
            return _must(_to_entry(path, about, key, versions.folder))

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`. A link to the same is taken for this one: who made it is written nowhere."""
        path = self.root / key
        with translated(self.spec.alias, key, "symlink"):
            if path.is_symlink() and not replaces(write):
                if str(path.readlink()) != target:
                    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
                return _link_version(path, key, write)
            return self._link(key, target, write)

    def _link(self, key: Key, target: str, write: Write) -> Version:
        """Put a link at a path, over one that is there."""
        path = self.root / key
        if path.is_symlink():
            path.unlink()
        path.symlink_to(target)
        # Who may not give a link away keeps it.
        with contextlib.suppress(PermissionError):
            _own(path, write.uid, write.gid)
        _apply(path, replace(write, uid=None, gid=None))
        files.sync_folder(path.parent)
        return _link_version(path, key, write)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`: directories are real here."""

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`."""
        return tuple(self._purge(one.version, purger) for one in condemned)

    def _purge(self, version: Version, purger: Purger) -> Erased:
        versions = self._versions(version.key)
        try:
            with (
                translated(self.spec.alias, version.key, "purge"),
                versions.locked(exclusive=True),
            ):
                versions.purge(version, purger)
        except errors.StoreError as error:
            return Erased(version, error)
        return Erased(version)

    def tidy(self, key: Key) -> None:
        """See `base.Store`: nothing is in the way here."""

    def close(self) -> None:
        """See `base.Store`."""

    def _versions(self, key: Key) -> PathVersions:
        return PathVersions(self.root, key, self._clock, self._step)


def _identity_of(number: int, about: os.stat_result, key: Key, folder: Path) -> Identity:
    """The identity of an open head or filed version.

    One changed after it was superseded has a derived one.
    """
    own = names.carried(number, folder)
    if own is not None and names.fits(own, about) and own.path == key:
        return own
    return names.derive(about, key)


def _filed_versions(key: Key, filed: list[Filed]) -> list[Version]:
    """What is filed, as versions. One whose bytes and note are both there is being purged."""
    noted = {one.id for one in filed if one.suffix == names.PURGED}
    there = {one.id for one in filed if not one.suffix}
    found = []
    for one in filed:
        if one.suffix == names.PURGED and one.id in there:
            continue
        version = _filed_version(key, one)
        if not one.suffix and one.id in noted:
            version = replace(version, marks=(*version.marks, Mark.PURGING))
        found.append(version)
    return found


def _filed_version(key: Key, one: Filed) -> Version:
    identity, time_ns = one.identity, one.time_ns
    if one.suffix == names.DELETED:
        return to_version(key, identity, time_ns, kind=VersionKind.TOMBSTONE)
    if one.suffix == names.REPLACED:
        gone = replace(identity, marks=(*identity.marks, Mark.REPLACED_OUTSIDE))
        return to_version(key, gone, time_ns)
    if one.suffix == names.PURGED:
        gone = replace(identity, marks=(*identity.marks, Mark.PURGED))
        return replace(
            to_version(key, gone, time_ns), token=Token(""), strong=True, purged=identity.purged
        )
    if not one.sound:
        about = one.path.lstat()
        changed = names.derive(about, key)
        version = to_version(key, identity, time_ns)
        return replace(
            version,
            token=Token(changed.id),
            strong=False,
            size=about.st_size,
            hashes=None,
            marks=(*identity.marks, Mark.CHANGED_AFTER),
        )
    return to_version(key, identity, time_ns)


def _moment(version: Version) -> tuple[int, str]:
    return version.time_ns, version.id


def _destroyed(versions: PathVersions, head: Identity) -> list[Version]:
    """What was head until another program wrote over its bytes in place."""
    own = names.carried(versions.plain, versions.folder) if head.derived else None
    if own is None or own.path != versions.key or any(one.id == own.id for one in versions.filed()):
        return []
    gone = replace(own, marks=(*own.marks, Mark.REPLACED_OUTSIDE))
    return [to_version(versions.key, gone, own.time_ns)]


def _to_entry(path: Path, about: os.stat_result, key: Key, folder: Path) -> Entry | None:
    mode, owner = stat.S_IMODE(about.st_mode), (about.st_uid, about.st_gid)
    if stat.S_ISDIR(about.st_mode):
        return Entry(
            key, EntryKind.DIRECTORY, 0, about.st_mtime_ns, mode=mode, uid=owner[0], gid=owner[1]
        )
    if stat.S_ISLNK(about.st_mode):
        target = str(path.readlink())
        return Entry(
            key,
            EntryKind.SYMLINK,
            len(target),
            about.st_mtime_ns,
            _link_token(path),
            mode=mode,
            uid=owner[0],
            gid=owner[1],
            target=target,
        )
    if not stat.S_ISREG(about.st_mode):
        return None
    identity = names.identify(path, about, key, folder)
    return Entry(
        key,
        EntryKind.FILE,
        about.st_size,
        about.st_mtime_ns,
        Token(identity.id),
        not identity.derived,
        VersionId(identity.id),
        mode,
        owner[0],
        owner[1],
    )


def _link_token(path: Path) -> Token:
    """What names a link: which one it is, and its text."""
    identity = f"{path.lstat().st_ino}\0{path.readlink()}"
    return Token(hashlib.sha256(os.fsencode(identity)).hexdigest()[:26])


def _link_version(path: Path, key: Key, write: Write) -> Version:
    return Version(
        key,
        write.version,
        VersionKind.CONTENT,
        write.time_ns,
        _link_token(path),
        size=len(os.fsencode(path.readlink())),
        write_id=write.write_id,
        is_head=True,
    )


def _with_parents(key: Key) -> Iterator[Key]:
    while key:
        yield key
        key = parent_of(key)


def _printable(key: str) -> str:
    return os.fsencode(key).decode("utf-8", "backslashreplace")


def _is_text(name: str) -> bool:
    """Whether a name can be said in UTF-8."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def _must(entry: Entry | None) -> Entry:
    assert entry is not None
    return entry


def _apply(path: Path, write: Write) -> None:
    if write.uid is not None or write.gid is not None:
        _own(path, write.uid, write.gid)
    if write.mode is not None and not path.is_symlink():
        path.chmod(write.mode)
    if write.mtime_ns is not None:
        os.utime(path, ns=(write.mtime_ns, write.mtime_ns), follow_symlinks=False)


def _own(target: int | Path, uid: int | None, gid: int | None) -> None:
    change: Callable[..., None] = os.fchown if isinstance(target, int) else os.lchown
    change(target, -1 if uid is None else uid, -1 if gid is None else gid)
