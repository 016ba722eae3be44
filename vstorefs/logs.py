"""The log: one record a line, as text or as JSON, written by a thread, without credentials.

    2026-11-26T02:31:52.123+01:00 INFO    /home/ada/data/train.csv: downloaded, 28.9 kB

The time is local, with its zone; the level is as wide as WARNING. What a message or a name holds can start no new
line and steer no terminal: it is written as its escape. Below its record stands a traceback, each line of it four
spaces in, so that only a record begins with a digit. In JSON a record is an object on a line of its own.
"""

from __future__ import annotations

import copy
import json
import logging
import logging.handlers
import os
import queue
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
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
_INDENT = "    "


class Format(Enum):
    """How a record is written; values are what a user types."""

    TEXT = "text"
    JSON = "json"


class Redaction:
    """Masks what looks like a credential, and the values of the environment's own."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._values = [
            value
            for name, value in environ.items()
            if _SECRET_NAMES.search(name) and len(value) >= _SHORTEST_SECRET
        ]

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


def start(level: int, file: Path | None, form: Format = Format.TEXT) -> Log:
    """Log to a file, or to stderr.

    Nobody who logs waits for the disk. Raises: UsageError for a file that cannot be.
    """
    target: logging.Handler
    if file is None:
        target = logging.StreamHandler(sys.stderr)
    else:
        try:
            files.make_private(file.parent)
            flags = os.O_CREAT | os.O_APPEND | os.O_WRONLY
            os.close(files.change("log.create", os.open, file, flags, 0o600))
            target = logging.FileHandler(file, encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise errors.UsageError(
                f"cannot write the log file {file}: {error.strerror}"
            ) from error
    target.setFormatter(_Line(form))
    records: queue.SimpleQueue[logging.LogRecord] = queue.SimpleQueue()
    root = logging.getLogger()
    root.handlers[:] = [_Entrance(records, Redaction(os.environ))]
    root.setLevel(level)
    listener = logging.handlers.QueueListener(records, target)
    listener.start()
    return Log(listener, target)


def relay(logger: str, level: int, message: str, exception: str) -> None:
    """Log what another process has logged; `exception` is its traceback, empty where there is none."""
    log = logging.getLogger(logger)
    if log.isEnabledFor(level):
        record = log.makeRecord(logger, level, "", 0, message, (), None)
        record.exc_text = exception or None
        log.handle(record)


def exception_of(record: logging.LogRecord) -> str:
    """A record's traceback as text; empty where there is none."""
    if record.exc_info and not record.exc_text:
        return logging.Formatter().formatException(record.exc_info)
    return record.exc_text or ""


def shown(line: str) -> str:
    """A line of a log as text, whichever format the log has: what is no record stays as it is."""
    try:
        return _to_text(json.loads(line))
    except (ValueError, TypeError, KeyError, AttributeError):
        return line


class _Entrance(logging.handlers.QueueHandler):
    """Where records come in: what they say is put together and masked here, and written elsewhere."""

    def __init__(self, records: queue.SimpleQueue[logging.LogRecord], redaction: Redaction) -> None:
        super().__init__(records)
        self._mask = redaction.mask

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """A record that needs nothing of this thread any more."""
        ready = copy.copy(record)
        ready.msg, ready.args = self._mask(record.getMessage()), None
        ready.exc_text, ready.exc_info = self._mask(exception_of(record)), None
        return ready


class _Line(logging.Formatter):
    def __init__(self, form: Format) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).astimezone()
        fields = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_text:
            fields["exception"] = record.exc_text
        return json.dumps(fields) if self._form is Format.JSON else _to_text(fields)


def _to_text(fields: Mapping[str, str]) -> str:
    lines = [f"{fields['time']} {fields['level']:7} {visible(fields['message'])}"]
    lines += [_INDENT + visible(line) for line in fields.get("exception", "").split("\n") if line]
    return "\n".join(lines)


def visible(text: str) -> str:
    """A text on one line in which every character can be seen; what cannot is written as its escape."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escape(one) for one in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
