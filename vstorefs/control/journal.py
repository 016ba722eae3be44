"""What `vstorefs journal` asks of a mount about changes that were set aside. Each has its number in the journal."""

from __future__ import annotations

import msgspec

from vstorefs.control.protocol import Request


class Decided(msgspec.Struct, frozen=True):
    """The changes of which it is so; the others are not this mount's, or not set aside any more."""

    numbers: tuple[int, ...]


class RetryChanges(Request[Decided], frozen=True, tag="retry"):
    """Try changes again that were set aside."""

    numbers: tuple[int, ...]


class DropChanges(Request[Decided], frozen=True, tag="drop"):
    """Give changes up that were set aside, for good, and their content with them."""

    numbers: tuple[int, ...]
