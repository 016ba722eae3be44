"""Framing on a socket: four bytes of length, big-endian, then one message in msgpack."""

from __future__ import annotations

import socket
import threading
from typing import Any, Generic, TypeVar

import msgspec

M = TypeVar("M")

_LENGTH = 4
_READ_BYTES = 1 << 18
_encoder = msgspec.msgpack.Encoder()


def encode(message: Any) -> bytes:
    """One message, framed."""
    body = _encoder.encode(message)
    return len(body).to_bytes(_LENGTH, "big") + body


class Decoder(Generic[M]):
    """Turns what a socket gives into messages of one union of types."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[M] = msgspec.msgpack.Decoder(kind)
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[M]:
        """The messages that are complete with `data`.

        Raises: msgspec.MsgspecError for what is none.
        """
        self._buffer += data
        found = []
        at = 0
        while len(self._buffer) - at >= _LENGTH:
            end = at + _LENGTH + int.from_bytes(self._buffer[at : at + _LENGTH], "big")
            if len(self._buffer) < end:
                break
            with memoryview(self._buffer) as view:
                found.append(self._decoder.decode(view[at + _LENGTH : end]))
            at = end
        del self._buffer[:at]
        return found


class Channel(Generic[M]):
    """The worker's end: blocking, sends from any thread.

    What is sent is read back first as one of `sends`, if that is given: what a store answered may have
    got into it, and must not end the other side.
    """

    def __init__(self, sock: socket.socket, kind: Any, sends: Any = None) -> None:
        self._socket = sock
        self._decoder: Decoder[M] = Decoder(kind)
        self._reader = msgspec.msgpack.Decoder(sends) if sends is not None else None
        self._sending = threading.Lock()

    def send(self, message: Any) -> None:
        """Send one message.

        Raises: OSError when the other side is gone; msgspec.MsgspecError, ValueError or OverflowError for
        what it could not read, and then nothing is sent.
        """
        data = encode(message)
        if self._reader is not None:
            self._reader.decode(memoryview(data)[_LENGTH:])
        with self._sending:
            self._socket.sendall(data)

    def receive(self) -> list[M]:
        """The next messages, at least one; empty when the other side is gone."""
        while True:
            try:
                data = self._socket.recv(_READ_BYTES)
            except OSError:
                return []
            if not data:
                return []
            messages = self._decoder.feed(data)
            if messages:
                return messages
