"""Why something cannot be had from a bucket: it was never there, was replaced since, or was purged."""

from __future__ import annotations

from vstorefs import errors
from vstorefs.model import Key, Token
from vstorefs.versions.layouts.recordstore import RecordStore


def not_found(alias: str, key: Key, operation: str) -> errors.NotFound:
    """There is nothing at a path of the store of that alias."""
    return errors.NotFound(
        "no such file, or no such version of it",
        store=alias,
        key=key,
        operation=operation,
    )


def changed(
    record_store: RecordStore, key: Key, operation: str = "read", token: Token | None = None
) -> errors.Changed:
    """Content that is not there any more; if `token` was purged, that is said. Raises: a StoreError."""
    notes = record_store.notes(key) if token is not None else []
    why = next(
        (
            f"this version was purged by {body.purged.by}; its hashes are in its history"
            for _, body in notes
            if body.purged is not None and body.purged.token == token
        ),
        "the store has other content now and no longer this one",
    )
    return errors.Changed(why, store=record_store.alias, key=key, operation=operation)
