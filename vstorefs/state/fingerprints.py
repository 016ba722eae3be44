"""What this host knows about contents.

Hashes, and attributes that a store's listing does not show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from vstorefs.model import Hashes, Key, StoreId, Token, WriteId
from vstorefs.state.env import State
from vstorefs.state.keys import print_key


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What is known of one content. `read` is True once its hashes were taken from a first read."""

    hashes: Hashes | None = None
    read: bool = False
    mode: int | None = None
    mtime_ns: int | None = None
    write_id: WriteId | None = None


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Fingerprint).decode


class Fingerprints:
    """All fingerprints of one state."""

    def __init__(self, state: State) -> None:
        self._state = state

    def get(self, store: StoreId, key: Key, token: Token) -> Fingerprint | None:
        """What is known of one content."""
        return self.get_many(store, [(key, token)])[0]

    def get_many(
        self, store: StoreId, contents: Sequence[tuple[Key, Token]]
    ) -> list[Fingerprint | None]:
        """What is known of many contents of a store, in their order."""
        with self._state.reading() as txn:
            values = [
                txn.get(print_key(store, key, token), db=self._state.prints)
                for key, token in contents
            ]
        return [_decode(value) if value is not None else None for value in values]

    def put(self, store: StoreId, key: Key, token: Token, fingerprint: Fingerprint) -> None:
        """Add to what is known: a None erases nothing."""
        with self._state.writing() as txn:
            self.add(txn, store, key, token, fingerprint)

    def add(
        self, txn: Any, store: StoreId, key: Key, token: Token, fingerprint: Fingerprint
    ) -> None:
        """The same, within a transaction of the caller's."""
        name = print_key(store, key, token)
        value = txn.get(name, db=self._state.prints)
        known = _decode(value) if value is not None else Fingerprint()
        merged = Fingerprint(
            fingerprint.hashes or known.hashes,
            fingerprint.read or known.read,
            known.mode if fingerprint.mode is None else fingerprint.mode,
            known.mtime_ns if fingerprint.mtime_ns is None else fingerprint.mtime_ns,
            fingerprint.write_id or known.write_id,
        )
        txn.put(name, _encode(merged), db=self._state.prints)

    def within(self, txn: Any, store: StoreId, key: Key, token: Token) -> Fingerprint | None:
        """What is known of one content, within a transaction of the caller's."""
        value = txn.get(print_key(store, key, token), db=self._state.prints)
        return _decode(value) if value is not None else None
