"""How keys and values of the LMDB `state` are written; every column's meaning and invariants.

database       key                                   value
`journal`      seq, 8 bytes big-endian               JournalEntry, msgpack; `seq` 0 inside, the key
has it
`writes`       write id, ASCII                       seq of the entry that carries it; so that
recording twice is once
`writes`       "=", write id                         seq of an entry that made no version, and the token
that its store had for the same content
`prints`       blake2b-16 of store, key, token       Fingerprint, msgpack
`probes`       store id, ASCII                       what a probe found, when, with which software
`runs`         project, start in us, run id          Run, msgpack; the newest of a project come last
`run_ids`      project, run id                       start in us
`open_runs`    run id, kind, digest                  what a run that goes on has used, made, been warned of
`uses`         digest of project, store, path        the newest use of a path, and what was made of it last
`contents`     as `prints`                           how many runs used a content, the last one, who made it
`warnings`     project, store, path, time, run       ChangeWarning, msgpack, until it is acknowledged
`acks`         as `uses`                             Acknowledgement, msgpack, the newest
`manifests`    run id                                a manifest, compressed: this host's own, and fetched ones
`ledger`       project, word, name                   the highest sequence, bundles taken in, what is to be sent

Databases from `runs` on belong to `vstorefs.ledger.index`, which has their keys and values.
"""

from __future__ import annotations

import hashlib

from vstorefs.model import Key, StoreId, Token, WriteId


def seq_key(seq: int) -> bytes:
    """Key of a journal entry: entries sort in the order they were promised."""
    return seq.to_bytes(8, "big")


def same_key(write: WriteId) -> bytes:
    """Key of what is known of a write that made no version; write ids begin with no such sign."""
    return b"=" + write.encode()


def print_key(store: StoreId, key: Key, token: Token) -> bytes:
    """Key of what is known about one content: 16 bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in (store, key, token):
        data = part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()
