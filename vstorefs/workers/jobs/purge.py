"""Purge: bytes of versions are removed from the store, and from this host's cache."""

from __future__ import annotations

from collections.abc import Iterator

from vstorefs import errors
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.model import (
    CHUNK_BYTES,
    Key,
    Mark,
    StoreId,
    Version,
    VersionId,
    VersionKind,
    parent_of,
)
from vstorefs.stores.base import Condemned
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.publish import history_of
from vstorefs.workers.messages import Purge, Purged, PurgeOutcome


def purge(context: WorkerContext, request: Purge, _call: Call) -> Purged:
    """Purge versions, and forget what this host has of them. Raises: a StoreError."""
    store = context.stores.get(request.store)
    histories = {
        key: history_of(context, request.store, key) for key in {key for key, _ in request.versions}
    }
    condemned = []
    outcomes: dict[tuple[Key, VersionId], PurgeOutcome] = {}
    for key, wanted in request.versions:
        found = _condemned(histories[key], wanted)
        if isinstance(found, Condemned):
            condemned.append(found)
        else:
            outcomes[key, wanted] = PurgeOutcome(key, wanted, found)
    for one in store.purge(condemned, request.purger):
        version = one.version
        error = _said(one.error) if one.error is not None else ""
        outcomes[version.key, version.id] = PurgeOutcome(version.key, version.id, error, one.kept)
        if one.error is None:
            context.chunks.drop_all(_chunks(request.store, version))
            now_s = context.clock.monotonic_s()
            context.listings.forget(request.store, parent_of(version.key), now_s)
    return Purged(tuple(outcomes[one] for one in request.versions))


def _condemned(history: tuple[Version, ...], wanted: VersionId) -> Condemned | str:
    """A version with its place, or why it cannot be purged; nothing where it was."""
    for rank, version in enumerate(history):
        if version.id != wanted or version.kind is not VersionKind.CONTENT:
            continue
        if Mark.PURGED in version.marks:
            # Asked again, by another worker in the place of one that died.
            return ""
        if version.is_head:
            return "it is what the file shows now; it was not deleted"
        behind = history[rank + 1] if rank + 1 < len(history) else None
        is_deletion = behind is not None and behind.kind is VersionKind.TOMBSTONE
        return Condemned(version, rank, behind if is_deletion else None)
    return "there is no such version any more"


def _said(error: errors.StoreError) -> str:
    if isinstance(error, errors.Denied):
        return f"the store keeps it: {error.message}, and whether a retention rule or a legal hold is on it"
    return error.message


def _chunks(store: StoreId, version: Version) -> Iterator[bytes]:
    prefix = content_prefix(version.content(store))
    return (chunk_key(prefix, chunk) for chunk in range(-(-version.size // CHUNK_BYTES)))
