"""ListDirectory, Find, Check and Look: what a store says of its names and of itself."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from vstorefs import errors
from vstorefs.cache.listings import CachedListing
from vstorefs.model import Entry, EntryKind
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.messages import (
    Check,
    Checked,
    Find,
    Found,
    ListDirectory,
    Listed,
    Look,
    Noted,
)


def check(context: WorkerContext, request: Check, _call: Call) -> Checked:
    """Ask a store what it can do. Raises: a StoreError."""
    return Checked(context.stores.get(request.store).capabilities())


def look(context: WorkerContext, request: Look, _call: Call) -> Noted:
    """See whether a store answers. Raises: a StoreError."""
    context.stores.get(request.store).look()
    return Noted()


def list_directory(context: WorkerContext, request: ListDirectory, _call: Call) -> Listed:
    """One directory, from the cache where that is young enough. Raises: a StoreError."""
    cached = context.listings.get(request.store, request.directory)
    if cached is not None and cached.listed_at >= request.not_before:
        return _answer(context, request, cached)
    listed_at = context.clock.monotonic_s()
    try:
        pages = list(context.stores.get(request.store).list(request.directory))
    except (errors.Unavailable, errors.Throttled) as error:
        if cached is None:
            raise
        return msgspec.structs.replace(
            _answer(context, request, cached), stale=True, why=error.message, origin=error.origin
        )
    listing = context.listings.put(
        request.store,
        request.directory,
        tuple(entry for page in pages for entry in page.entries),
        listed_at,
        complete=all(page.complete for page in pages),
        unshown=tuple(one for page in pages for one in page.unshown),
    )
    return _answer(context, request, listing)


def find(context: WorkerContext, request: Find, _call: Call) -> Found:
    """A name where a listing does not tell of all: a file, or a folder. Raises: a StoreError."""
    store = context.stores.get(request.store)
    try:
        found = store.stat(request.key)
    except errors.NotFound:
        try:
            list(store.list(request.key))
        except errors.NotFound:
            return Found(None)
        return Found(Entry(request.key, EntryKind.DIRECTORY))
    return Found(
        Entry(
            request.key,
            EntryKind.FILE,
            found.size,
            found.mtime_ns,
            found.token,
            found.strong,
            found.id,
            found.mode,
        )
    )


def _answer(context: WorkerContext, request: ListDirectory, listing: CachedListing) -> Listed:
    entries = _with_attributes(context, request, listing.entries)
    return Listed(entries, listing.listed_at, complete=listing.complete, unshown=listing.unshown)


def _with_attributes(
    context: WorkerContext, request: ListDirectory, entries: tuple[Entry, ...]
) -> tuple[Entry, ...]:
    """Add what this host knows where the store's listing has no attributes."""
    bare = [entry for entry in entries if entry.kind is EntryKind.FILE and entry.mode is None]
    if not bare:
        return entries
    prints = context.fingerprints.get_many(
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
