"""A worker that dies in the middle: `python -m tests.support.mortal_worker FD`.

Fetch      after two chunks, unless they were the last ones
Hash       after it has got further than any before it, or as far as all of them where it is asked for sums
Publish    at once, unless it is asked to look first
Find       never: it is refused, as Denied
Known, Record    never: the answer holds the worker's process id
Record of DEADLY, of DEADLY_WRITTEN    at once, or when the journal has it
Record of REFUSED    when the journal has it; it is a failure where that has it already
FindRecorded     never: the answer is what the journal has; but at once where one asked for is of UNREADABLE
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
from pathlib import Path

from vstorefs.model import Capabilities, Hashes, Key
from vstorefs.state.env import State
from vstorefs.state.journal import Journal
from vstorefs.workers import messages
from vstorefs.workers.channel import Channel

DEADLY, DEADLY_WRITTEN, UNREADABLE = Key("deadly"), Key("deadly-written"), Key("unreadable")
REFUSED = Key("refused")
_DEATH = 70
_MOMENT_S = 0.2


class Dying(Exception):
    """The worker's last moment."""


def main(number: int) -> None:
    """Answer until the front is gone, or death comes."""
    sock = socket.socket(fileno=number)
    channel: Channel[messages.ToWorker] = Channel(sock, messages.ToWorker)
    waiting: list[int] = []
    journals: list[Journal] = []
    while batch := _received(sock, channel, waiting):
        for message in batch:
            if isinstance(message, messages.Start):
                journals.append(Journal(State.open(Path(message.state_dir))))
            if isinstance(message, messages.Ping):
                channel.send(messages.Pong())
            if isinstance(message, messages.Ask):
                if isinstance(message.request, messages.ListDirectory):
                    channel.send("what is this?")
                    continue
                if isinstance(message.request, messages.HistoryNames):
                    waiting.append(message.number)
                    continue
                for said in _answer(message.number, message.request, journals[0]):
                    channel.send(said)


def _received(
    sock: socket.socket, channel: Channel[messages.ToWorker], waiting: list[int]
) -> list[messages.ToWorker]:
    while waiting and not select.select([sock], [], [], _MOMENT_S)[0]:
        channel.send(messages.Reply(waiting.pop(0), messages.Names(())))
    return channel.receive()


def _answer(
    number: int, request: messages.AnyRequest, journal: Journal
) -> Iterator[messages.ToFront]:
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
    yield messages.Reply(number, _last_words(request, journal))


def _last_words(request: messages.AnyRequest, journal: Journal) -> messages.Answer:
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
            return _record(request, journal)
        case messages.FindRecorded(records):
            return _find_recorded(records, journal)
        case messages.Check():
            return messages.Checked(Capabilities(writable=True))
        case _:
            raise Dying


def _paths(*records: messages.Record) -> set[Key]:
    return {entry.path for one in records for entry in one.entries}


def _record(request: messages.Record, journal: Journal) -> messages.Answer:
    if _paths(request) & {DEADLY, UNREADABLE}:
        raise Dying
    if DEADLY_WRITTEN in _paths(request):
        journal.record(request.entries, request.drop)
        raise Dying
    if REFUSED in _paths(request):
        if journal.recorded(request.entries, request.drop) is not None:
            return messages.Failure("Unavailable", "the disk is full")
        journal.record(request.entries, request.drop)
        raise Dying
    return messages.Recorded((os.getpid(),))


def _find_recorded(
    records: tuple[messages.Record, ...], journal: Journal
) -> messages.RecordedFound:
    if UNREADABLE in _paths(*records):
        raise Dying
    found = [journal.recorded(one.entries, one.drop) for one in records]
    return messages.RecordedFound(
        tuple(messages.Recorded(seqs) if seqs is not None else None for seqs in found)
    )


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Dying:
        # Without a word, and without closing anything.
        os._exit(_DEATH)
