"""Accepting a change: what a path has now is what it should have. Recorded with who and when, and why."""

from __future__ import annotations

from dataclasses import dataclass

from vstorefs import errors
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.manifest import Place, Seen
from vstorefs.model import Key
from vstorefs.state.env import Wanted, always
from vstorefs.stores.base import Store


@dataclass(frozen=True, slots=True)
class Decision:
    """Why, and who says so; `wanted`: whether it still is, asked before the first one is recorded."""

    why: str
    user: str
    wanted: Wanted = always


def accept(
    ledger: Ledger, store: Store, alias: str, path: Key, decision: Decision
) -> tuple[int, int]:
    """Accept what a path has now, or everything below it that is warned of.

    Gives how many paths were accepted, and how many warnings that ends. Raises: NotFound where there is nothing to
    accept; a StoreError. Nothing was accepted then, unless it is the journal that failed midway.
    """
    found = {one.place.path for one in ledger.warnings_below(store.spec.id, path)}
    # What a store has is asked before anything is recorded, for that may fail, and take long.
    accepted = [(_place(store, alias, one), _now(store, one)) for one in sorted(found)]
    place = _place(store, alias, path)
    now = _now(store, path) if path else None
    if path and (now is not None or ledger.of_path(place).used is not None):
        accepted.append((place, now))
    if not accepted:
        raise errors.NotFound(
            "there is no such file, no run has used one, and nothing below is warned of", key=path
        )
    return len(accepted), sum(
        ledger.acknowledge(one, content, decision.why, decision.user, decision.wanted)
        for one, content in accepted
    )


def _place(store: Store, alias: str, path: Key) -> Place:
    return Place(store=store.spec.id, alias=alias, path=path)


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
