"""Two contents compared line by line, where they are text and not too long for it."""

from __future__ import annotations

import difflib
from pathlib import Path

from vstorefs import errors, units
from vstorefs.versions.history.comparison import text_of

LIMIT_BYTES = 2 << 20
LIMIT_LINES = 20_000


def compared(one: Path, other: Path, one_label: str, other_label: str) -> str:
    """A unified diff, or one line that says why there is none. Raises: VstorefsError."""
    lines = []
    for text in (_text(one), _text(other)):
        if isinstance(text, _NoText):
            return f"({text.why})\n"
        lines.append(text.splitlines(keepends=True))
        if len(lines[-1]) > LIMIT_LINES:
            return f"(too long for a line diff: over {LIMIT_LINES} lines)\n"
    found = difflib.unified_diff(lines[0], lines[1], one_label, other_label)
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in found
    )


class _NoText:
    def __init__(self, why: str) -> None:
        self.why = why


def _text(path: Path) -> str | _NoText:
    try:
        if path.stat().st_size > LIMIT_BYTES:
            return _NoText(f"too large for a line diff: over {units.size(LIMIT_BYTES)}")
        data = path.read_bytes()
    except OSError as error:
        raise errors.VstorefsError(f"cannot read {path}: {error.strerror or error}") from error
    text = text_of(data)
    return text if text is not None else _NoText("binary")
