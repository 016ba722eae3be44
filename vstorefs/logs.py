"""The log: one line a message, `HH:MM:SS text`, written by a thread, without credentials."""

from __future__ import annotations

import logging
import logging.handlers
import os
import queue
import re
import sys
from collections.abc import Mapping
from pathlib import Path

from vstorefs import errors, files

_SECRET_NAMES = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY|_KEY$|CONNECTION_STRING")
_PATTERNS = (
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"), "****"),
    (
        re.compile(
            r"(?i)((?:X-Amz-(?:Signature|Credential|Security-Token)|sig|AWSAccessKeyId)=)[^&\s'\"]+"
        ),
        r"\1****",
    ),
    (re.compile(r"(?i)(authorization['\"]?\s*[:=]\s*)[^\r\n]+"), r"\1****"),
    (re.compile(r"(\w+://)[^/@\s]+@"), r"\1****@"),
)
_SHORTEST_SECRET = 6


class Redaction(logging.Filter):
    """Masks what looks like a credential, and the values of the environment's own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._values = [
            value
            for name, value in environ.items()
            if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET
        ]

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the message; everything passes."""
        record.msg, record.args = self.mask(record.getMessage()), None
        return True

    def mask(self, text: str) -> str:
        """The text without credentials."""
        for value in self._values:
            text = text.replace(value, "****")
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


class Log:
    """The running log of this process."""

    def __init__(self, listener: logging.handlers.QueueListener, target: logging.Handler) -> None:
        self._listener = listener
        self._target = target

    def stop(self) -> None:
        """Write what waits, and close the file."""
        self._listener.stop()
        self._target.close()


def start(level: int, file: Path | None) -> Log:
    """Log to a file, or to stderr.

    Nobody who logs waits for the disk. Raises: UsageError for a file that cannot be.
    """
    target: logging.Handler
    if file is None:
        target = logging.StreamHandler(sys.stderr)
    else:
        try:
            files.make_private(file.parent)
            os.close(os.open(file, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
            target = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise errors.UsageError(
                f"cannot write the log file {file}: {error.strerror}"
            ) from error
    target.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    lines: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    entrance = logging.handlers.QueueHandler(lines)
    entrance.addFilter(Redaction(os.environ))
    root = logging.getLogger()
    root.handlers[:] = [entrance]
    root.setLevel(level)
    listener = logging.handlers.QueueListener(lines, target)
    listener.start()
    return Log(listener, target)


def size_text(size: int) -> str:
    """A size for people, in decimal units with one digit: `28.9 kB`."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} PB"


def visible(text: str) -> str:
    """A text on one line in which every character can be seen; what cannot is written as its escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
