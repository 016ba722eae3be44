"""ListDirectory and Check: what a store says of its names and of itself."""

from __future__ import annotations

from dataclasses import replace

from vstorefs import errors
from vstorefs.model import Entry, EntryKind
from vstorefs.workers.jobs.setting import Setting
from vstorefs.workers.messages import Check, Checked, ListDirectory, Listed


def check(setting: Setting, request: Check) -> Checked:
    """Ask a store what it can do. Raises: a StoreError."""
    return Checked(setting.stores.get(request.store).capabilities())


def list_directory(setting: Setting, request: ListDirectory) -> Listed:
    """One directory, from the cache where that is young enough. Raises: a StoreError."""
    cached = setting.listings.get(request.store, request.directory)
    if cached is not None and cached.listed_at >= request.not_before:
        return Listed(_with_attributes(setting, request, cached.entries), cached.listed_at)
    listed_at = setting.clock.monotonic_s()
    try:
        store = setting.stores.get(request.store)
        entries = tuple(entry for page in store.list(request.directory) for entry in page.entries)
    except (errors.Unavailable, errors.Throttled):
        if cached is None:
            raise
        return Listed(
            _with_attributes(setting, request, cached.entries), cached.listed_at, stale=True
        )
    setting.listings.put(request.store, request.directory, entries, listed_at)
    return Listed(_with_attributes(setting, request, entries), listed_at)


def _with_attributes(
    setting: Setting, request: ListDirectory, entries: tuple[Entry, ...]
) -> tuple[Entry, ...]:
    """Add what this host knows where the store's listing has no attributes."""
    bare = [entry for entry in entries if entry.kind is EntryKind.FILE and entry.mode is None]
    if not bare:
        return entries
    prints = setting.fingerprints.get_many(
        request.store, [(entry.key, entry.token) for entry in bare]
    )
    known = {
        entry.key: replace(entry, mode=found.mode, mtime_ns=found.mtime_ns or entry.mtime_ns)
        for entry, found in zip(bare, prints, strict=True)
        if found is not None
    }
    return tuple(
        known.get(entry.key, entry) if entry.kind is EntryKind.FILE else entry for entry in entries
    )
