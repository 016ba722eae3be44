"""Verify: what is wrong is told to be wrong, and nothing else."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.workers.fakes import FakeStore
from vstorefs.checksums import Claimant, claims_of_hashes
from vstorefs.model import Content, Hashes, Key, Version, VersionId, VersionKind
from vstorefs.state.fingerprints import Fingerprint
from vstorefs.workers.call import Call
from vstorefs.workers.jobs.context import WorkerContext
from vstorefs.workers.jobs.verify import verify
from vstorefs.workers.messages import Verify, VerifyOutcome

DATA = os.urandom(30_000)


def _hashes(data: bytes) -> Hashes:
    return Hashes(*(hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256")))


def _verified(
    context: WorkerContext, fake: FakeStore, recorded: Hashes | None
) -> tuple[VerifyOutcome, Content]:
    """What verify says of a version that has such a record."""
    content = fake.holds("a", DATA)
    key, name = Key("a"), VersionId("v")
    version = Version(
        key, name, VersionKind.CONTENT, 1, content.token, size=len(DATA), hashes=recorded
    )
    fake.histories_of = {key: (version,)}
    asked = Verify(content.store, key, (name,))
    (outcome,) = verify(context, asked, Call(lambda _: None)).outcomes
    return outcome, content


def _note(context: WorkerContext, fake: FakeStore, data: bytes) -> None:
    content = fake.holds("a", DATA)
    noted = Fingerprint(_hashes(data), read=True)
    context.fingerprints.put(content.store, content.key, content.token, noted)


@pytest.mark.parametrize("recorded", [True, False])
def test_hashes_of_a_damaged_read_are_corrected(
    context: WorkerContext, fake: FakeStore, *, recorded: bool
) -> None:
    """The record or the store confirms what is there."""
    _note(context, fake, b"damaged")
    if not recorded:
        fake.says = claims_of_hashes(Claimant.STORE, _hashes(DATA))
    outcome, content = _verified(context, fake, _hashes(DATA) if recorded else None)
    assert (outcome.problem, outcome.recorded, outcome.corrected) == ("", False, True)
    known = context.fingerprints.get(content.store, content.key, content.token)
    assert known is not None
    assert known.hashes == _hashes(DATA)


def test_a_record_that_the_store_contradicts_is_what_is_wrong(
    context: WorkerContext, fake: FakeStore
) -> None:
    fake.says = claims_of_hashes(Claimant.STORE, _hashes(DATA))
    outcome, _ = _verified(context, fake, _hashes(b"what it was"))
    assert outcome.problem.startswith("its record is wrong, its content is not")
    for each in (DATA, b"what it was"):
        assert _hashes(each).sha256 in outcome.problem


@pytest.mark.parametrize("who", ["the record", "this host"])
def test_what_nobody_confirms_is_damaged(context: WorkerContext, fake: FakeStore, who: str) -> None:
    if who == "this host":
        _note(context, fake, b"what it was")
    outcome, content = _verified(
        context, fake, _hashes(b"what it was") if who == "the record" else None
    )
    assert "is not its content" in outcome.problem
    assert _hashes(b"what it was").sha256 in outcome.problem
    known = context.fingerprints.get(content.store, content.key, content.token)
    assert known is None or known.hashes == _hashes(b"what it was")


def test_what_is_right_is_right(context: WorkerContext, fake: FakeStore) -> None:
    outcome, _ = _verified(context, fake, _hashes(DATA))
    assert (outcome.problem, outcome.recorded, outcome.corrected) == ("", False, False)
