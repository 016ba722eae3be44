"""Every request of a wing goes over the wire, and names what answers it."""

from __future__ import annotations

import msgspec
import pytest

from vstorefs.workers import messages
from vstorefs.workers.channel import Decoder, encode


def test_the_package_offers_every_request_and_its_answer() -> None:
    offered = {getattr(messages, name) for name in messages.__all__}
    requests = {
        one for one in offered if isinstance(one, type) and issubclass(one, messages.Request)
    }
    assert requests == {messages.Request, *messages.REQUESTS}
    assert {kind.answer_type() for kind in messages.REQUESTS} <= offered


@pytest.mark.parametrize("kind", messages.REQUESTS)
def test_a_request_and_its_answer_are_told_from_all_others(kind: type[messages.AnyRequest]) -> None:
    config = kind.__struct_config__
    answer = kind.answer_type().__struct_config__
    assert config.frozen
    assert (config.tag, answer.tag) == (kind.__name__, kind.answer_type().__name__)


def test_what_is_no_request_is_refused() -> None:
    decoder: Decoder[messages.ToWorker] = Decoder(messages.ToWorker)
    ask = messages.Ask(1, messages.EndAbandoned())
    assert decoder.feed(encode(ask)) == [ask]
    with pytest.raises(msgspec.MsgspecError):
        decoder.feed(encode(messages.Ask(2, messages.Fetched(1))))  # type: ignore[arg-type]
    reply = messages.Reply(1, messages.Checked(None))  # type: ignore[arg-type]
    with pytest.raises(msgspec.MsgspecError):
        Decoder[messages.ToFront](messages.ToFront).feed(encode(reply))
