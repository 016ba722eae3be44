"""Framing: messages come out whole, whatever pieces the socket gives."""

from __future__ import annotations

import socket
import threading

import msgspec
import pytest

from vstorefs.model import StoreId
from vstorefs.workers import messages
from vstorefs.workers.channel import Channel, Decoder, encode


def _asks(count: int) -> list[messages.Ask]:
    return [messages.Ask(number, messages.Check(StoreId("s" * number))) for number in range(count)]


@pytest.mark.parametrize("piece", [1, 3, 7, 10_000])
def test_messages_come_out_whole_and_in_order(piece: int) -> None:
    decoder: Decoder[messages.ToWorker] = Decoder(messages.ToWorker)
    data = b"".join(encode(ask) for ask in _asks(20))
    found = []
    for at in range(0, len(data), piece):
        found += decoder.feed(data[at : at + piece])
    assert found == _asks(20)


def test_bytes_that_are_no_message_are_refused() -> None:
    decoder: Decoder[messages.ToWorker] = Decoder(messages.ToWorker)
    with pytest.raises(msgspec.MsgspecError):
        decoder.feed(b"\0\0\0\x02\xc1\xc1")


def test_threads_that_send_at_once_do_not_mix_their_messages() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        sender: Channel[messages.ToFront] = Channel(theirs, messages.ToFront)
        receiver: Channel[messages.ToFront] = Channel(ours, messages.ToFront)

        def send_often(one: messages.ToFront) -> None:
            for _ in range(10):
                sender.send(one)

        arrived = [messages.Progress(n, messages.Arrived(n, bytes(50_000))) for n in range(8)]
        threads = [threading.Thread(target=send_often, args=(one,)) for one in arrived]
        for thread in threads:
            thread.start()
        found: list[messages.ToFront] = []
        while len(found) < 80:
            found += receiver.receive()
        for thread in threads:
            thread.join()
    assert [found.count(one) for one in arrived] == [10] * 8
    assert len(found) == 80


def test_the_end_of_the_other_side_is_no_message() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours:
        assert Channel[messages.ToWorker](ours, messages.ToWorker).receive() == []
