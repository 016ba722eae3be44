"""A worker that dies in the middle: `python -m tests.support.mortal_worker FD`.

Fetch      after two chunks, unless they were the last ones
Hash       after it has got further than any before it, or as far as all of them where it is asked for sums
Publish    at once, unless it is asked to look first
Find       never: it is refused, as Denied
Known, Record    never: the answer holds the worker's process id
Check      never, and writes a line into the log
ListDirectory    never, but what it says is no message
Log        after the first page
HistoryNames     never: it is answered when nothing else has come for a moment
others     at once
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from collections.abc import Iterator

from vstorefs.model import Capabilities, Hashes
from vstorefs.workers import messages
from vstorefs.workers.channel import Channel

_DEATH = 70
_MOMENT_S = 0.2


class Dying(Exception):
    """The worker's last moment."""


def main(number: int) -> None:
    """Answer until the front is gone, or death comes."""
    sock = socket.socket(fileno=number)
    channel: Channel[messages.ToWorker] = Channel(sock, messages.ToWorker)
    waiting: list[int] = []
    while batch := _received(sock, channel, waiting):
        for message in batch:
            if isinstance(message, messages.Ping):
                channel.send(messages.Pong())
            if isinstance(message, messages.Ask):
                if isinstance(message.request, messages.ListDirectory):
                    channel.send("what is this?")
                    continue
                if isinstance(message.request, messages.HistoryNames):
                    waiting.append(message.number)
                    continue
                for said in _answer(message.number, message.request):
                    channel.send(said)


def _received(
    sock: socket.socket, channel: Channel[messages.ToWorker], waiting: list[int]
) -> list[messages.ToWorker]:
    while waiting and not select.select([sock], [], [], _MOMENT_S)[0]:
        channel.send(messages.Reply(waiting.pop(0), messages.Names(())))
    return channel.receive()


def _answer(number: int, request: messages.AnyRequest) -> Iterator[messages.ToFront]:
    if isinstance(request, messages.Fetch):
        until = min(request.first + 2, request.last)
        for chunk in range(request.first, until):
            yield messages.Progress(number, messages.Arrived(chunk))
        if until < request.last:
            raise Dying
    if isinstance(request, messages.Hash):
        yield messages.Progress(number, messages.Hashed(1 if request.sums else time.monotonic_ns()))
    if isinstance(request, messages.Log):
        yield messages.Progress(number, messages.Rows(b"[]"))
        raise Dying
    if isinstance(request, messages.Check):
        yield messages.LogLine("mortal", 30, "that is odd")
    yield messages.Reply(number, _last_words(request))


def _last_words(request: messages.AnyRequest) -> messages.Answer:
    match request:
        case messages.Fetch():
            return messages.Fetched(0)
        case messages.Publish(look=True):
            return messages.Published(unchanged=True)
        case messages.Find(store=store, key=key):
            return messages.Failure("Denied", "not for you", store, key, "list")
        case messages.Known():
            return messages.HashesKnown(Hashes(str(os.getpid()), "", ""), read=True)
        case messages.Record():
            return messages.Recorded((os.getpid(),))
        case messages.Check():
            return messages.Checked(Capabilities(writable=True))
        case _:
            raise Dying


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Dying:
        # Without a word, and without closing anything.
        os._exit(_DEATH)
