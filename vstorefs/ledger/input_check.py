"""The inputs of a run beside what the stores have now.

A token or a checksum that the store tells decides where it can. Where it cannot, the content is read, and its hashes
are kept, so that the next comparison need not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from vstorefs import errors
from vstorefs.digests import Digests
from vstorefs.ledger.changes import Difference, compare
from vstorefs.ledger.ledger import Ledger
from vstorefs.ledger.manifest import ChangeWarning, Input, Manifest, Seen
from vstorefs.model import Hashes, Key, Mark, StoreId, Version
from vstorefs.state.fingerprints import Fingerprint, Fingerprints
from vstorefs.stores.base import Store

_AT_ONCE = 8
_GONE = {Mark.REPLACED_OUTSIDE, Mark.PURGED, Mark.PURGING}
Paths = tuple[tuple[StoreId, Key], ...]


class InputCheck:
    """Compares one run's inputs with the stores; `store_of` opens a store of the project."""

    def __init__(
        self, ledger: Ledger, fingerprints: Fingerprints, store_of: Callable[[StoreId], Store]
    ) -> None:
        self._ledger = ledger
        self._fingerprints = fingerprints
        self._store_of = store_of

    def changed(self, whole: Manifest, paths: Paths) -> Iterator[ChangeWarning | None]:
        """For each input that is asked for what there is to warn of, or None. Raises: a StoreError."""
        wanted = [use for use in whole.inputs if not use.pinned and is_asked(use, paths)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield from pool.map(lambda use: self._compare(whole, use), wanted)

    def _compare(self, whole: Manifest, use: Input) -> ChangeWarning | None:
        warning = self._ledger.compare(whole.run, use, self._now(use))
        if warning is None or self._is_kept(use):
            return warning
        return replace(warning, lost=True)

    def _is_kept(self, use: Input) -> bool:
        """Whether the store still has the content that was used."""
        return any(
            use.content.version in {one.id, one.token} and one.token and not _GONE & set(one.marks)
            for one in self._store_of(use.place.store).history(use.place.path)
        )

    def _now(self, use: Input) -> Seen | None:
        store = self._store_of(use.place.store)
        try:
            found = store.stat(use.place.path)
        except errors.NotFound:
            return None
        now = Seen(
            token=found.token,
            size=found.size,
            version=found.id,
            hashes=found.hashes or self._known(use, found),
            strong=found.strong,
        )
        if compare(use.content, now) is not Difference.OPEN:
            return now
        if use.content.hashes is not None and use.content.hashes.md5 == now.token:
            # An ETag that is the md5 of the content proves that it is the same; another one proves nothing.
            return Seen(
                token=now.token, size=now.size, version=now.version, hashes=use.content.hashes
            )
        return Seen(
            token=now.token,
            size=now.size,
            version=now.version,
            hashes=self._read(store, found) if use.content.hashes is not None else None,
            strong=now.strong,
        )

    def _known(self, use: Input, found: Version) -> Hashes | None:
        known = self._fingerprints.get(use.place.store, use.place.path, found.token)
        return known.hashes if known is not None else None

    def _read(self, store: Store, found: Version) -> Hashes:
        digests = Digests()
        try:
            for block in store.read(found.key, found.token, 0, found.size, version=found.id):
                digests.update(block)
        finally:
            hashes = digests.finish()
        self._fingerprints.put(store.spec.id, found.key, found.token, Fingerprint(hashes))
        return hashes


def is_asked(use: Input, paths: Paths) -> bool:
    """Whether an input is at or below one of some paths; without paths all are."""
    if not paths:
        return True
    place = use.place
    return any(
        place.store == store
        and (not path or place.path == path or place.path.startswith(f"{path}/"))
        for store, path in paths
    )
