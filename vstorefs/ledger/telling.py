"""Warnings as programs are told of them. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from vstorefs.ledger import changes
from vstorefs.ledger.manifest import ChangeWarning


def told(warning: ChangeWarning) -> dict[str, Any]:
    """A warning, with its words and its path in the mount."""
    about: dict[str, Any] = msgspec.to_builtins(warning)
    return about | {"text": changes.text(warning), "path": warning.place.shown}
