"""Publish: whatever the store answered, the cache shows no listing from before."""

from __future__ import annotations

from typing import cast

import pytest

from tests.workers.fakes import FakeStore
from vstorefs import errors
from vstorefs.model import JournalEntry, Key, Operation, VersionId, Write, WriteId
from vstorefs.versions.publish import Publisher
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.publish import publish
from vstorefs.workers.messages import Publish


class _Unclear:
    """A publisher whose answer was lost."""

    def publish(self, entry: JournalEntry, *, look: bool, overdue: bool) -> None:
        raise errors.Unavailable("no answer; it may have happened")


def test_after_an_unclear_answer_the_listing_is_asked_for_again(
    context: WorkerContext, fake: FakeStore
) -> None:
    write = Write(WriteId("w"), VersionId("v"), 1, None)
    entry = JournalEntry(1, context.session, fake.spec.id, Operation.REMOVE, Key("d/a"), write)
    context.listings.put(fake.spec.id, Key("d"), (), 1.0)
    context.listings.put(fake.spec.id, Key("other"), (), 1.0)
    context.publisher = cast("Publisher", _Unclear())
    with pytest.raises(errors.Unavailable):
        publish(context, Publish(entry, look=False), Call(lambda _: None))
    assert context.listings.get(fake.spec.id, Key("d")) is None
    assert context.listings.get(fake.spec.id, Key("other")) is not None
