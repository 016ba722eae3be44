"""What claims say to the digests of bytes that came."""

from __future__ import annotations

import base64
import hashlib
import zlib

import pytest

from vstorefs.checksums import (
    Claim,
    Claimant,
    Claims,
    Comparison,
    claims_of_base64,
    claims_of_hashes,
    claims_of_hex,
    judge,
)
from vstorefs.model import Hashes

RIGHT, WRONG = b"the content", b"The content"
ALGORITHMS = ["sha256", "sha1", "md5", "crc32"]


def digest(algorithm: str, data: bytes = RIGHT) -> str:
    if algorithm == "crc32":
        return f"{zlib.crc32(data):08x}"
    return hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()


def compared(data: bytes, *known: Claim, said: Claims = ()) -> Comparison:
    comparison = Comparison(known)
    comparison.told(said)
    for at in range(0, len(data), 3):
        comparison.update(data[at : at + 3])
    return comparison


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("claimant", Claimant)
def test_bytes_are_what_is_claimed_or_are_not(algorithm: str, claimant: Claimant) -> None:
    claims = claims_of_hex(claimant, algorithm, digest(algorithm).upper())
    right, wrong = compared(RIGHT, said=claims).judged(), compared(WRONG, *claims).judged()
    assert (right.is_wrong, right.against) == (False, ())
    assert wrong.is_wrong
    for each in (digest(algorithm), digest(algorithm, WRONG), claimant.value):
        assert each in wrong.text()


def test_what_nobody_claims_anything_of_is_not_wrong() -> None:
    assert not compared(WRONG).judged().is_wrong


@pytest.mark.parametrize("confirms", [Claimant.STORE, Claimant.ETAG, Claimant.RECORD])
@pytest.mark.parametrize("against", Claimant)
def test_one_confirmation_outweighs_the_others(confirms: Claimant, against: Claimant) -> None:
    claims = (
        *claims_of_hex(against, "sha1", digest("sha1", WRONG)),
        *claims_of_hex(confirms, "md5", digest("md5")),
    )
    judged = compared(RIGHT, *claims).judged()
    if confirms is not against:
        assert judged.against == claims[:1]
        assert not judged.is_wrong


def test_what_this_host_noted_confirms_nothing() -> None:
    claims = (
        *claims_of_hex(Claimant.HOST, "md5", digest("md5", WRONG)),
        *claims_of_hex(Claimant.STORE, "md5", digest("md5")),
    )
    assert compared(WRONG, *claims).judged().is_wrong


def test_only_an_etag_is_given_up_for_bytes_that_came_twice() -> None:
    etag = claims_of_hex(Claimant.ETAG, "md5", digest("md5", WRONG))
    record = claims_of_hex(Claimant.RECORD, "md5", digest("md5", WRONG))
    first, second = compared(RIGHT, *etag).judged(), compared(RIGHT, *etag).judged()
    assert second.stands_after(first)
    assert not first.stands_after(None)
    assert not second.stands_after(compared(b"other", *etag).judged())
    both = compared(RIGHT, *etag, *record).judged()
    assert not both.stands_after(both)


@pytest.mark.parametrize("garbled", ["", "x", "0" * 31, "g" * 32, "0" * 33, "'" * 32, "é" * 32])
def test_what_has_been_garbled_claims_nothing(garbled: str) -> None:
    assert claims_of_hex(Claimant.STORE, "md5", garbled) == ()
    assert claims_of_base64(Claimant.STORE, "md5", garbled) == ()
    hashes = Hashes(garbled, garbled, garbled)
    assert claims_of_hashes(Claimant.RECORD, hashes) == ()


def test_a_digest_in_base64() -> None:
    raw = hashlib.sha256(RIGHT).digest()
    wanted = (Claim(Claimant.STORE, "sha256", raw.hex()),)
    assert claims_of_base64(Claimant.STORE, "sha256", base64.b64encode(raw).decode()) == wanted
    assert claims_of_base64(Claimant.STORE, "sha256", base64.b64encode(raw)) == wanted
    assert claims_of_base64(Claimant.STORE, "sha256", None) == ()
    assert claims_of_base64(Claimant.STORE, "md5", base64.b64encode(raw).decode()) == ()


def test_what_was_not_computed_says_nothing() -> None:
    claims = claims_of_hex(Claimant.STORE, "crc32", digest("crc32", WRONG))
    assert not judge(claims, {"md5": digest("md5")}).is_wrong
