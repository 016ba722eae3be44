"""How keys and values of the LMDB `state` are written; every column's meaning and invariants.

database       key                                   value
`journal`      seq, 8 bytes big-endian               JournalEntry, msgpack; `seq` 0 inside, the key
has it
`writes`       write id, ASCII                       seq of the entry that carries it; so that
recording twice is once
`prints`       blake2b-16 of store, key, token       Fingerprint, msgpack
`probes`       store id, ASCII                       what a probe found, when, with which software
"""

from __future__ import annotations

import hashlib

from vstorefs.model import Key, StoreId, Token


def seq_key(seq: int) -> bytes:
    """Key of a journal entry: entries sort in the order they were promised."""
    return seq.to_bytes(8, "big")


def print_key(store: StoreId, key: Key, token: Token) -> bytes:
    """Key of what is known about one content: 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (store, key, token):
        data = part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()
