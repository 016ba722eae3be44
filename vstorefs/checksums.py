"""What is claimed of a content's bytes, by whom, and what follows from bytes that came. Pure, but for the digests.

One confirmation by the store or by the record that was written with a content outweighs every other claim: a tool
that copies our metadata to other bytes leaves a record that is wrong, some servers' ETags only look like an MD5, and
what this host noted may stem from bytes that were damaged on their way.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from vstorefs.model import Hashes

_DIGITS = {"sha256": 64, "sha1": 40, "md5": 32, "crc32": 8}
"""The algorithms that are compared, the best one first, and how many hex digits each gives."""


class Claimant(Enum):
    """Who makes a claim; values are shown to people."""

    STORE = "the store's checksum"
    ETAG = "the ETag"
    RECORD = "the record that was written with it"
    HOST = "what this host has recorded"
    AGAIN = "the same bytes read once more"


@dataclass(frozen=True, slots=True)
class Claim:
    """That a whole content has a digest (lower-case hex)."""

    claimant: Claimant
    algorithm: str
    digest: str


Claims = tuple[Claim, ...]
Told = Callable[[Claims], None]
"""Told what a store says of the whole content that it gives bytes of, before the first of them."""


def claims_of_hashes(claimant: Claimant, hashes: Hashes | None) -> Claims:
    """Recorded hashes as claims; what has been garbled claims nothing."""
    if hashes is None:
        return ()
    named = (("sha256", hashes.sha256), ("sha1", hashes.sha1), ("md5", hashes.md5))
    return tuple(one for name, digest in named for one in claims_of_hex(claimant, name, digest))


def claims_of_hex(claimant: Claimant, algorithm: str, digest: str | None) -> Claims:
    """One claim, if the digest is one of that algorithm, else none."""
    text = (digest or "").lower()
    is_digest = len(text) == _DIGITS.get(algorithm) and set(text) <= set("0123456789abcdef")
    return (Claim(claimant, algorithm, text),) if is_digest else ()


def claims_of_base64(claimant: Claimant, algorithm: str, digest: str | bytes | None) -> Claims:
    """One claim of a digest that is written in base64, else none."""
    try:
        raw = base64.b64decode(digest or b"", validate=True)
    except (binascii.Error, ValueError):
        return ()
    return claims_of_hex(claimant, algorithm, raw.hex())


def digests_of_hashes(hashes: Hashes) -> dict[str, str]:
    """The digests that hashing a content gives, by algorithm."""
    return {"sha256": hashes.sha256, "sha1": hashes.sha1, "md5": hashes.md5}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What claims say to the digests that were found.

    `found` are the digests, `against` the claims that they contradict; `confirmed`: the store or the record has them.
    """

    found: tuple[tuple[str, str], ...]
    against: Claims = ()
    confirmed: bool = False

    @property
    def is_wrong(self) -> bool:
        """Whether the bytes cannot be taken for the content."""
        return bool(self.against) and not self.confirmed

    def stands_after(self, earlier: Judgement | None) -> bool:
        """Whether they can be taken for it because they came twice, and nothing but an ETag speaks against them."""
        if earlier is None or any(one.claimant is not Claimant.ETAG for one in self.against):
            return False
        before, now = dict(earlier.found), dict(self.found)
        both = before.keys() & now.keys()
        return bool(both) and all(before[name] == now[name] for name in both)

    def text(self) -> str:
        """What is wrong, for people: both digests of each claim."""
        found = dict(self.found)
        return "; ".join(
            f"its {one.algorithm} is {found[one.algorithm]}, and {one.digest} by {one.claimant.value}"
            for one in self.against
        )


def best_of(claims: Iterable[Claim]) -> Claims:
    """Of each claimant the claim by its best algorithm: comparing the others would say the same."""
    ranks = list(_DIGITS)
    best: dict[Claimant, Claim] = {}
    for one in claims:
        other = best.get(one.claimant)
        if other is None or ranks.index(one.algorithm) < ranks.index(other.algorithm):
            best[one.claimant] = one
    return tuple(best.values())


def judge(claims: Iterable[Claim], found: dict[str, str]) -> Judgement:
    """Compare digests with claims; those of an algorithm that was not computed say nothing."""
    comparable = best_of(one for one in claims if one.algorithm in found)
    against = tuple(one for one in comparable if one.digest != found[one.algorithm])
    confirmed = any(
        one.claimant is not Claimant.HOST
        for one in comparable
        if one.digest == found[one.algorithm]
    )
    return Judgement(tuple(sorted(found.items())), against, confirmed)


class Comparison:
    """One pass of a whole content's bytes, with the digests that its claims need.

    `known` is claimed beforehand; `told` adds what the store says before the first byte. Belongs to one thread.
    """

    def __init__(self, known: Iterable[Claim] = ()) -> None:
        self._known = tuple(known)
        self._claims: Claims | None = None
        self._said: Claims = ()
        self._digests: dict[str, hashlib._Hash] = {}
        self._crc = 0

    def told(self, claims: Claims) -> None:
        """What the store says; where a broken answer goes on it says the same again."""
        self._said = claims

    @property
    def claims(self) -> Claims:
        """All that is claimed."""
        return (*self._known, *self._said)

    def through(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The same blocks, digested."""
        for block in blocks:
            self.update(block)
            yield block

    def update(self, block: bytes) -> None:
        """Digest what comes next."""
        if self._claims is None:
            self._claims = best_of(self.claims)
            names = {one.algorithm for one in self._claims} - {"crc32"}
            self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        for digest in self._digests.values():
            digest.update(block)
        if any(one.algorithm == "crc32" for one in self._claims):
            self._crc = zlib.crc32(block, self._crc)

    def judged(self) -> Judgement:
        """What the claims say to the bytes that came, all of them by now."""
        claims = self._claims or ()
        found = {name: digest.hexdigest() for name, digest in self._digests.items()}
        if any(one.algorithm == "crc32" for one in claims):
            found["crc32"] = f"{self._crc:08x}"
        return judge(claims, found)
