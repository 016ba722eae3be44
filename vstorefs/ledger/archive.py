"""Where a project's ledger lies: small objects in the default store, each written once and never changed.

    .vstorefs/runs/<time>-<id>.json                     the manifest of a run that has ended
    .vstorefs/ledger/checkpoints/<time>-<id>@<n>.json   that of one that goes on, the newest `n` counts
    .vstorefs/ledger/bundles/<id>.json.gz               many manifests in short, for hosts that know none
    .vstorefs/ledger/acks/<time>-<id>.json              a change that somebody accepted
    .vstorefs/ledger/kept/<time>-<id>.json              a run that somebody wants kept, or does not any more

Names are below `.vstorefs/`. Nothing here needs more than "create if absent": names are never used twice.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from vstorefs import errors, files
from vstorefs.clock import utc
from vstorefs.model import HIDDEN_FOLDER, StoreSpec
from vstorefs.stores.bucket import Bucket
from vstorefs.stores.ids import new_id
from vstorefs.stores.local.disk import rename_absent, translated
from vstorefs.stores.local.place import Place
from vstorefs.stores.registry import folder_of, is_local, is_object_store, open_bucket
from vstorefs.stores.retry import ask_again

RUNS = "runs/"
CHECKPOINTS = "ledger/checkpoints/"
BUNDLES = "ledger/bundles/"
ACKS = "ledger/acks/"
KEPT = "ledger/kept/"
_JSON = "application/json"
_ASK_S = 10.0


@dataclass(frozen=True, slots=True)
class Named:
    """An object's name, and when it was written by the clock of the store."""

    name: str
    written: datetime


class Archive(Protocol):
    """The objects of one project; safe from many threads."""

    def names(self, prefix: str) -> Iterator[Named]:
        """Objects whose names begin so, in order. Raises: Denied, Unavailable."""
        ...

    def get(self, name: str) -> bytes:
        """One object. Raises: NotFound, Denied, Unavailable."""
        ...

    def add(self, name: str, data: bytes) -> None:
        """Write an object; one that is there already stays. Raises: Denied, NotSupported, Unavailable."""
        ...

    def remove(self, name: str) -> None:
        """Remove what is not needed any more. One that is gone is no error. Raises: Denied, Unavailable."""
        ...


def open_archive(spec: StoreSpec) -> Archive:
    """The archive in a store. Raises: NotSupported where the kind can only be read; a StoreError."""
    if is_local(spec) or is_object_store(spec.url):
        archive = FolderArchive(spec) if is_local(spec) else BucketArchive(open_bucket(spec))
        return ReadOnlyArchive(archive, spec.alias) if spec.read_only else archive
    raise errors.NotSupported("the default store can only be read", store=spec.alias)


class BucketArchive:
    """In an object store."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def names(self, prefix: str) -> Iterator[Named]:
        """See `Archive`."""
        start = len(HIDDEN_FOLDER) + 1
        pages = ask_again(lambda: list(self._bucket.list(f"{HIDDEN_FOLDER}/{prefix}")), _ASK_S)
        return (
            Named(one.name[start:], utc(one.modified_ns)) for page in pages for one in page.objects
        )

    def get(self, name: str) -> bytes:
        """See `Archive`."""
        return ask_again(lambda: self._bucket.get(f"{HIDDEN_FOLDER}/{name}"), _ASK_S)

    def add(self, name: str, data: bytes) -> None:
        """See `Archive`. It looks first: some stores ignore the condition, and would keep every try."""
        key = f"{HIDDEN_FOLDER}/{name}"
        with contextlib.suppress(errors.AlreadyExists):
            ask_again(lambda: self._put(key, data), _ASK_S)

    def _put(self, key: str, data: bytes) -> None:
        try:
            self._bucket.stat(key)
        except errors.NotFound:
            self._bucket.put(key, data, metadata={}, content_type=_JSON, absent=self._bucket.atomic)

    def remove(self, name: str) -> None:
        """See `Archive`. Where the bucket keeps versions, the version goes, and leaves no marker."""
        key = f"{HIDDEN_FOLDER}/{name}"
        with contextlib.suppress(errors.NotFound):
            self._bucket.delete(key, self._bucket.stat(key).version)


class ReadOnlyArchive:
    """What others have written, where nothing is to be written."""

    def __init__(self, archive: Archive, alias: str) -> None:
        self._archive = archive
        self._alias = alias

    def names(self, prefix: str) -> Iterator[Named]:
        """See `Archive`."""
        return self._archive.names(prefix)

    def get(self, name: str) -> bytes:
        """See `Archive`."""
        return self._archive.get(name)

    def add(self, name: str, data: bytes) -> None:
        """See `Archive`. Raises: NotSupported, always."""
        raise errors.NotSupported("the default store is mounted read-only", store=self._alias)

    def remove(self, name: str) -> None:
        """See `Archive`. Raises: NotSupported, always."""
        raise errors.NotSupported("the default store is mounted read-only", store=self._alias)


class FolderArchive:
    """In a directory."""

    def __init__(self, spec: StoreSpec) -> None:
        self._alias = spec.alias
        root = folder_of(spec)
        self._folder = root / HIDDEN_FOLDER
        self._place = Place(spec.alias, root)

    def names(self, prefix: str) -> Iterator[Named]:
        """See `Archive`."""
        folder, _, start = prefix.rpartition("/")
        found = []
        self._place.look("list")
        with translated(self._alias, prefix, "list"):
            try:
                listing = list((self._folder / folder).iterdir())
            except FileNotFoundError:
                return iter(())
            for one in listing:
                if one.name.startswith(start) and not one.name.startswith("."):
                    with contextlib.suppress(FileNotFoundError):
                        written = utc(one.stat().st_mtime_ns)
                        found.append(Named(f"{folder}/{one.name}", written))
        return iter(sorted(found, key=lambda one: one.name))

    def get(self, name: str) -> bytes:
        """See `Archive`."""
        with translated(self._alias, name, "read"):
            return (self._folder / name).read_bytes()

    def add(self, name: str, data: bytes) -> None:
        """See `Archive`. Complete and on disk before it has its name."""
        with (
            self._place.held("create", agree=False) as root,
            translated(self._alias, name, "create"),
        ):
            path = root / HIDDEN_FOLDER / name
            files.change("ledger.make", path.parent.mkdir, parents=True, exist_ok=True)
            scratch = path.with_name(f".{new_id()}")
            try:
                with files.change("ledger.create", scratch.open, "xb") as file:
                    files.change("ledger.write", file.write, data)
                    file.flush()
                    files.change("ledger.sync", os.fsync, file.fileno())
                files.change("ledger.mode", scratch.chmod, 0o444)
                with contextlib.suppress(FileExistsError):
                    rename_absent(scratch, path)
                files.sync_folder(path.parent)
            finally:
                files.change("ledger.clear", scratch.unlink, missing_ok=True)

    def remove(self, name: str) -> None:
        """See `Archive`."""
        with (
            self._place.held("remove", agree=False) as root,
            translated(self._alias, name, "remove"),
        ):
            files.change("ledger.remove", (root / HIDDEN_FOLDER / name).unlink, missing_ok=True)
