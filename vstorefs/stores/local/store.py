"""The `file` kind: a directory whose versions this directory's modules keep themselves, below `.vstorefs/`.

Other programs see and may change the plain files at any time; see `versions.py` for how nothing is
lost then, and `names.py` for where things lie. A token is a version's id; it is weak where it was
derived from size and times.

The store is put together here, from what each module does on the one `Root`: `listing.py` and
`histories.py` look, `contents.py` reads, `publishing.py` makes versions of files, `links.py` and
`attributes.py` change what has none. What changes something does so below the directory that `Root.held`
holds open.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from vstorefs import errors, files
from vstorefs.checksums import Told
from vstorefs.clock import Clock, SystemClock
from vstorefs.model import (
    DEFAULT_FOLDER_MODE,
    Capabilities,
    Entry,
    Key,
    Purger,
    StoreSpec,
    Token,
    Version,
    VersionId,
    Write,
)
from vstorefs.stores.base import Condemned, Erased, Fix, Page, Same
from vstorefs.stores.local.attributes import set_attributes
from vstorefs.stores.local.contents import Contents
from vstorefs.stores.local.disk import translated
from vstorefs.stores.local.histories import Histories
from vstorefs.stores.local.links import Links
from vstorefs.stores.local.listing import Listing
from vstorefs.stores.local.publishing import Publishing
from vstorefs.stores.local.root import Root
from vstorefs.stores.local.versions import Step


class LocalStore:
    """One directory of this machine."""

    def __init__(
        self, spec: StoreSpec, *, clock: Clock | None = None, step: Step = lambda _: None
    ) -> None:
        self.spec = spec
        self._root = Root(spec, clock or SystemClock(), step)
        self._listing = Listing(self._root)
        self._histories = Histories(self._root, self._listing)
        self._contents = Contents(self._root)

    @property
    def root(self) -> Path:
        """The directory."""
        return self._root.path

    def capabilities(self) -> Capabilities:
        """See `base.Store`."""
        return self._root.capabilities()

    # --- reading

    def look(self) -> None:
        """See `base.Store`."""
        self._root.look("look")

    def list(self, directory: Key) -> Iterator[Page]:
        """See `base.Store`."""
        return self._listing.list(directory)

    def stat(self, key: Key, version: VersionId | None = None) -> Version:
        """See `base.Store`."""
        return self._histories.stat(key, version)

    def read(
        self,
        key: Key,
        token: Token,
        start: int,
        end: int,
        *,
        version: VersionId | None = None,
        told: Told | None = None,
    ) -> Iterator[bytes]:
        """See `base.Store`. A directory says nothing of its contents."""
        del version, told
        return self._contents.read(key, token, start, end)

    def versions(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return self._listing.versions(directory)

    def paths(self, directory: Key) -> Iterator[Key]:
        """See `base.Store`."""
        return self._listing.paths(directory)

    def history(self, key: Key) -> tuple[Version, ...]:
        """See `base.Store`."""
        return self._histories.history(key)

    def histories(self, directory: Key) -> Iterator[tuple[Key, tuple[Version, ...]]]:
        """See `base.Store`. Nothing is missing here."""
        return self._histories.histories(directory)

    def as_of(self, directory: Key, moment_ns: int) -> Iterator[Entry]:
        """See `base.Store`."""
        return self._histories.as_of(directory, moment_ns)

    def find_write(self, key: Key, write: Write) -> Version | None:
        """See `base.Store`. What a dead process left undone is finished first."""
        with self._root.held("find") as root:
            Histories(root, Listing(root)).finish(key)
        return self._histories.find_write(key, write)

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
        with (
            translated(self.spec.alias, key, "put"),
            self._root.held("put") as root,
            source.open("rb") as file,
        ):
            return Publishing(root).publish(key, file.fileno(), write, overdue=overdue)

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
        with translated(self.spec.alias, key, "copy"), self._root.held("copy") as root:
            plain = root.path / key
            if plain.is_symlink():
                return Links(root).put(target, str(plain.readlink()), write)
            return Publishing(root).copy(key, token, target, write)

    def remove(self, key: Key, write: Write, *, fix: Fix | None = None) -> Version | None:
        """See `base.Store`. A symlink has no versions: it is gone."""
        del fix
        with translated(self.spec.alias, key, "remove"), self._root.held("remove") as root:
            versions = root.versions(key)
            if versions.plain.is_symlink():
                Links.remove(versions.plain, write)
                return None
            if not versions.plain.exists() and not versions.folder.exists():
                return None
            with versions.locked(exclusive=True):
                return versions.remove(write)

    def make_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        with translated(self.spec.alias, key, "mkdir"), self._root.held("mkdir") as root:
            path = root.path / key
            files.change("file.make", path.mkdir)
            mode = DEFAULT_FOLDER_MODE if write.mode is None else write.mode
            try:
                files.change("file.mode", path.chmod, mode)
            except OSError:
                # Made with another mode it would be taken for made at the next try.
                with suppress(OSError):
                    files.change("file.clear", path.rmdir)
                raise
            files.sync_folder(path.parent)

    def remove_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`."""
        del write
        with translated(self.spec.alias, key, "rmdir"), self._root.held("rmdir") as root:
            try:
                files.change("file.remove-directory", (root.path / key).rmdir)
            except FileNotFoundError:
                return

    def set_attributes(self, key: Key, write: Write) -> Entry:
        """See `base.Store`."""
        with self._root.held("attributes") as root:
            return set_attributes(root, key, write)

    def make_symlink(self, key: Key, target: str, write: Write) -> Version:
        """See `base.Store`."""
        with self._root.held("symlink") as root:
            return Links(root).make(key, target, write)

    def keep_directory(self, key: Key, write: Write) -> None:
        """See `base.Store`: directories are real here."""

    def purge(self, condemned: Sequence[Condemned], purger: Purger) -> tuple[Erased, ...]:
        """See `base.Store`."""
        with self._root.held("purge") as root:
            return tuple(self._purge(root, one.version, purger) for one in condemned)

    def _purge(self, root: Root, version: Version, purger: Purger) -> Erased:
        versions = root.versions(version.key)
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
