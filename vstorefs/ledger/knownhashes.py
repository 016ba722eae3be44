"""What is said of contents, completed by the hashes that this host has come to know since."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from vstorefs.ledger.manifest import Earlier, Manifest, Place, Seen
from vstorefs.state.fingerprints import Fingerprints


class KnownHashes:
    """Looks contents up in the transaction of its caller."""

    def __init__(self, fingerprints: Fingerprints) -> None:
        self._fingerprints = fingerprints

    def content(self, txn: Any, place: Place, content: Seen) -> Seen:
        """A content with the hashes that this host knows."""
        if content.hashes is not None or not content.token:
            return content
        found = self._fingerprints.within(txn, place.store, place.path, content.token)
        if found is None or found.hashes is None:
            return content
        return replace(content, hashes=found.hashes)

    def earlier(self, txn: Any, place: Place, known: Earlier | None) -> Earlier | None:
        """The same for an earlier use of a path, where there is one."""
        if known is None:
            return None
        content = self.content(txn, place, known.content)
        return known if content is known.content else replace(known, content=content)

    def manifest(self, txn: Any, whole: Manifest) -> Manifest:
        """The same for all that a run has used and made."""
        return replace(
            whole,
            inputs=tuple(
                replace(one, content=self.content(txn, one.place, one.content))
                for one in whole.inputs
            ),
            outputs=tuple(
                replace(one, content=self.content(txn, one.place, one.content))
                for one in whole.outputs
            ),
        )
