"""What commands print: text for people, JSON for programs."""

from __future__ import annotations

import json
from typing import Any


def show_json(value: Any) -> None:
    """Print a value for programs."""
    print(json.dumps(value, indent=2, sort_keys=True))


def binary_size(size: int) -> str:
    """A size in binary units, as caches are given: `1.5 GiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024:
            return f"{size} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"
