"""Reading from servers that only give wholes: one answer is read on and on, by whoever wants the next of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import requests

from vstorefs import errors
from vstorefs.model import Token

_BLOCK = 1 << 20
_MOST = 8
_PATIENCE_S = 2.0

PinnedUrl = tuple[str, Token]
Get = Callable[[str, dict[str, str]], requests.Response]
Fits = Callable[[requests.Response], bool]


class _Stream:
    """One answer and how far it has been read."""

    def __init__(self) -> None:
        self.turn = threading.Condition()
        self.busy = False
        self.answer: requests.Response | None = None
        self.blocks: Iterator[bytes] = iter(())
        self.at = 0
        self.rest = b""

    def drop(self) -> None:
        if self.answer is not None:
            self.answer.close()
        self.answer = None


class Streams:
    """Open answers by address and token; the least used are closed."""

    def __init__(self, get: Get) -> None:
        self._get = get
        self._lock = threading.Lock()
        self._streams: OrderedDict[PinnedUrl, _Stream] = OrderedDict()

    def read(self, place: PinnedUrl, fits: Fits, start: int, end: int) -> Iterator[bytes]:
        """Bytes [start, end) of an address.

        Who wants what lies further on waits a moment for those before. Raises: Changed; errors of `requests`.
        """
        stream = self._stream(place)
        with stream.turn:
            stream.turn.wait_for(lambda: not stream.busy and stream.at >= start, _PATIENCE_S)
            stream.turn.wait_for(lambda: not stream.busy)
            stream.busy = True
        done = False
        try:
            if stream.answer is None or stream.at > start:
                self._begin(stream, place, fits)
            yield from _through(stream, start, end)
            done = True
        finally:
            with stream.turn:
                if not done:
                    stream.drop()
                stream.busy = False
                stream.turn.notify_all()

    def _begin(self, stream: _Stream, place: PinnedUrl, fits: Fits) -> None:
        stream.drop()
        answer = self._get(place[0], {})
        if not answer.ok or not fits(answer):
            answer.close()
            raise errors.Changed("the server has other content now", operation="read")
        stream.answer, stream.at, stream.rest = answer, 0, b""
        stream.blocks = answer.iter_content(_BLOCK)

    def _stream(self, place: PinnedUrl) -> _Stream:
        with self._lock:
            stream = self._streams.setdefault(place, _Stream())
            self._streams.move_to_end(place)
            idle = [key for key, one in self._streams.items() if not one.busy and key != place]
            for key in idle[: max(0, len(self._streams) - _MOST)]:
                self._streams.pop(key).drop()
            return stream

    def close(self) -> None:
        """Close all answers."""
        with self._lock:
            for stream in self._streams.values():
                stream.drop()
            self._streams.clear()


def _through(stream: _Stream, start: int, end: int) -> Iterator[bytes]:
    while stream.at < end:
        block = stream.rest or next(stream.blocks, b"")
        if not block:
            raise errors.Unavailable("the server ended the content early", operation="read")
        skip = min(max(0, start - stream.at), len(block))
        take = block[skip : skip + max(0, end - stream.at - skip)]
        stream.rest = block[skip + len(take) :]
        stream.at += skip + len(take)
        if take:
            yield take
