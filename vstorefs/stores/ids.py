"""Identities of versions and writes."""

from __future__ import annotations

import hashlib
import secrets

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_LENGTH = 26


def new_id() -> str:
    """26 characters 0-9a-z from 128 random bits: no two are ever the same."""
    return to_id(secrets.randbits(128))


def derived_id(text: str) -> str:
    """An id that is the same wherever it is made from the same text."""
    return to_id(int.from_bytes(hashlib.sha256(text.encode()).digest()[:16]))


def to_id(number: int) -> str:
    """A number below 2**128 in the form of an id."""
    digits = []
    for _ in range(_LENGTH):
        number, digit = divmod(number, 36)
        digits.append(_DIGITS[digit])
    return "".join(digits)


def is_id(text: str) -> bool:
    """Whether a text has the form of an id."""
    return len(text) == _LENGTH and not set(text) - set(_DIGITS)
