"""Keys of the cache: made from what is immutable, so that nothing in it is ever wrong.

A chunk's key is 16 bytes of a hash of (store identity, key, token), then its number, 4 bytes
big-endian. A listing's is a hash of (store identity, directory) and the number that no chunk has.
"""

from __future__ import annotations

import hashlib

from vstorefs.model import Content, Key, StoreId

PREFIX_BYTES = 16
"""How long the prefix of a content's chunks is."""
_LISTING = 0xFFFFFFFF


def content_prefix(content: Content) -> bytes:
    """What the keys of a content's chunks begin with: 16 bytes."""
    return _hash("content", content.store, content.key, content.token)


def chunk_key(prefix: bytes, number: int) -> bytes:
    """The key of one chunk: 20 bytes."""
    return prefix + number.to_bytes(4, "big")


def listing_key(store: StoreId, directory: Key, scope: str = "") -> bytes:
    """The key of a directory's listing: 20 bytes. `scope` tells apart those that do not show what is newest."""
    return chunk_key(_hash("listing", store, directory, scope), _LISTING)


def _hash(*parts: str) -> bytes:
    digest = hashlib.blake2b(digest_size=PREFIX_BYTES)
    for part in parts:
        data = part.encode("utf-8", "surrogateescape")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.digest()
