"""Accepting a change: what a path has now is what it should have. Recorded with who and when, and why."""

from __future__ import annotations

from vstorefs import errors
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.manifest import Place, Seen
from vstorefs.model import Key
from vstorefs.stores.base import Store


def accept(
    ledger: Ledger, store: Store, alias: str, path: Key, why: str, user: str
) -> tuple[int, int]:
    """Accept what a path has now, or everything below it that is warned of.

    Gives how many paths were accepted, and how many warnings that ends. Raises: NotFound where there is nothing to
    accept; a StoreError.
    """
    below = {one.place.path for one in ledger.warnings_below(store.spec.id, path)}
    ended = 0
    for one in sorted(below):
        place = Place(store=store.spec.id, alias=alias, path=one)
        ended += ledger.acknowledge(place, _now(store, one), why, user)
    place = Place(store=store.spec.id, alias=alias, path=path)
    now = _now(store, path) if path else None
    is_known = now is not None or ledger.of_path(place).used is not None
    if path and is_known:
        return len(below) + 1, ended + ledger.acknowledge(place, now, why, user)
    if not below:
        raise errors.NotFound(
            "there is no such file, no run has used one, and nothing below is warned of", key=path
        )
    return len(below), ended


def _now(store: Store, path: Key) -> Seen | None:
    try:
        found = store.stat(path)
    except errors.NotFound:
        return None
    return Seen(
        token=found.token,
        size=found.size,
        version=found.id,
        hashes=found.hashes,
        strong=found.strong,
    )
