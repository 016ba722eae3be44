"""How values of the ledger are read from the LMDB `state`: what cannot be one is as if it were not there.

An earlier release may have taken in what another host should never have written; it must end no mount.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def reader(kind: type[T]) -> Callable[[Any], T | None]:
    """What reads values of a kind: None for none, and for what is not one."""
    decode = msgspec.msgpack.Decoder(kind).decode

    def read(value: Any) -> T | None:
        if value is None:
            return None
        try:
            return decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return None

    return read
