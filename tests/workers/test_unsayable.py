"""What a store answers may be nothing that a message can hold: one job fails, and the front goes on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.workers.asking import Place
from vstorefs.model import Entry, EntryKind, Key, Token
from vstorefs.workers import messages
from vstorefs.workers.call import Call
from vstorefs.workers.channel import Channel, Decoder
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.lanes import Lane
from vstorefs.workers.main import Worker
from vstorefs.workers.registry import JOBS

NO_SIZE: Any = None


def found(size: int, name: str = "f") -> messages.Found:
    return messages.Found(Entry(Key(name), EntryKind.FILE, size, 0, Token("t")))


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(20)
        yield ours, theirs


def asked(
    place: Place,
    ends: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
    answer: messages.Answer,
    report: messages.Report | None = None,
) -> list[messages.ToFront]:
    """What a front hears of a worker whose job answers so, up to the reply; read as a front reads it."""
    ours, theirs = ends

    def job(_context: WorkerContext, _request: messages.Check, call: Call) -> messages.Answer:
        if report is not None:
            call.report(report)
        return answer

    monkeypatch.setitem(cast("dict[Any, Any]", JOBS), messages.Check, (job, Lane.ALONE))
    channel: Channel[messages.ToWorker] = Channel(theirs, messages.ToWorker, messages.ToFront)
    worker = Worker(channel, place.start)
    worker._begin(7, messages.Check(place.spec.id))
    decoder: Decoder[messages.ToFront] = Decoder(messages.ToFront)
    heard: list[messages.ToFront] = []
    while not any(isinstance(one, messages.Reply) for one in heard):
        heard += decoder.feed(ours.recv(1 << 16))
    return heard


@pytest.mark.parametrize(
    "answer",
    [found(NO_SIZE), found(10**25), found(-(2**70)), found(1, "\udcff")],
    ids=["no size", "too large", "too small", "no UTF-8"],
)
def test_an_answer_that_cannot_be_told_is_a_failure(
    answer: messages.Answer,
    place: Place,
    ends: tuple[socket.socket, socket.socket],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (reply,) = asked(place, ends, monkeypatch, answer)
    assert isinstance(reply, messages.Reply)
    assert reply.number == 7
    assert isinstance(reply.answer, messages.Failure)
    assert reply.answer.kind == "Bug"


def test_a_report_that_cannot_be_told_fails_its_job(
    place: Place, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    report: Any = messages.Arrived(NO_SIZE)
    (reply,) = asked(place, ends, monkeypatch, found(1), report)
    assert isinstance(reply, messages.Reply)
    assert isinstance(reply.answer, messages.Failure)


def test_what_can_be_told_is(
    place: Place, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = asked(place, ends, monkeypatch, found(2**62), messages.Arrived(1))
    assert heard == [
        messages.Progress(7, messages.Arrived(1)),
        messages.Reply(7, found(2**62)),
    ]
