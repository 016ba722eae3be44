"""What workers do for readers, in this process: contents in a dict, chunks into a real cache, real hashes."""

from __future__ import annotations

import hashlib

import trio

from tests.support.pools import Call, ScriptedPool
from vstorefs.cache.chunks import ChunkWriter
from vstorefs.cache.env import Cache
from vstorefs.cache.keys import chunk_key, content_prefix
from vstorefs.cache.values import checksum
from vstorefs.model import CHUNK_BYTES, Content, Hashes, Key, StoreId, Token
from vstorefs.workers import messages


def hashes_of(data: bytes) -> Hashes:
    """The hashes of a content."""
    return Hashes(*(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")))


class Contents:
    """Answers Fetch, Hash, Known and Release of a pool. `cached` is False where the cache takes nothing."""

    def __init__(self, pool: ScriptedPool, cache: Cache, store: StoreId) -> None:
        self.cache = cache
        self.store = store
        self.cached = True
        self.hashed: dict[Content, Hashes] = {}
        self._data: dict[tuple[Key, Token], bytes] = {}
        pool.answers(messages.Fetch, self.fetch)
        pool.answers(messages.Hash, self.hash)
        pool.answers(messages.Known, self.known)
        pool.answers(messages.Release, messages.Noted())

    def holds(self, name: str, data: bytes, *, strong: bool = True) -> Content:
        """Put a content into the store."""
        token = Token(hashlib.md5(data).hexdigest())
        content = Content(self.store, Key(name), token, len(data), strong=strong)
        self._data[content.key, content.token] = data
        return content

    def spoil(self, content: Content) -> None:
        """Let the store give other bytes for a content than it has."""
        data = self._data[content.key, content.token]
        self._data[content.key, content.token] = bytes(255 - byte for byte in data)

    def drop(self, content: Content, chunk: int) -> None:
        """Let the cache lose a chunk."""
        ChunkWriter(self.cache).drop(chunk_key(content_prefix(content), chunk))

    def chunk(self, content: Content, number: int) -> bytes:
        """One chunk of a content."""
        data = self._data[content.key, content.token]
        return data[number * CHUNK_BYTES : (number + 1) * CHUNK_BYTES]

    async def fetch(self, call: Call) -> messages.Answer:
        """Bring in chunks, one a turn of the loop."""
        request = call.request
        assert isinstance(request, messages.Fetch)
        downloaded = 0
        for number in range(request.first, request.last):
            await trio.lowlevel.checkpoint()
            downloaded += len(self.chunk(request.content, number))
            call.report(self.arrived(request, number))
        return messages.Fetched(downloaded)

    def arrived(self, request: messages.Fetch, number: int) -> messages.Arrived:
        """Bring in one chunk of a request: into the cache, if it takes it."""
        data = self.chunk(request.content, number)
        key = chunk_key(content_prefix(request.content), number)
        writer = ChunkWriter(self.cache)
        if request.anew:
            writer.drop(key)
        kept = self.cached and request.keep and writer.put(key, data)
        return messages.Arrived(number, None if kept else data)

    async def hash(self, call: Call) -> messages.Answer:
        """Go through the chunks as they are told to be available."""
        request = call.request
        assert isinstance(request, messages.Hash)
        chunks = -(-request.content.size // CHUNK_BYTES)
        until = request.available
        call.report(messages.Hashed(until))
        while until < chunks:
            remark = await call.hear()
            if not isinstance(remark, messages.Available):
                return messages.HashDone(None)
            until = remark.until
            call.report(messages.Hashed(until))
        return self.hashes(request)

    def hashes(self, request: messages.Hash) -> messages.HashDone:
        """The answer to a Hash that was not given up."""
        content = request.content
        hashes = self.hashed[content] = hashes_of(self._data[content.key, content.token])
        return messages.HashDone(hashes, sums=self.sums(content) if request.sums else b"")

    def sums(self, content: Content) -> bytes:
        """The checksums of a content's chunks, 8 bytes each."""
        prefix = content_prefix(content)
        return b"".join(
            checksum(chunk_key(prefix, number), self.chunk(content, number))
            for number in range(-(-content.size // CHUNK_BYTES))
        )

    async def known(self, call: Call) -> messages.Answer:
        """Whether a content was hashed here."""
        request = call.request
        assert isinstance(request, messages.Known)
        await trio.lowlevel.checkpoint()
        hashes = self.hashed.get(request.content)
        return messages.HashesKnown(hashes, read=hashes is not None)
