"""The log's form, and what it never shows."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from tests.support.mounts import RECORD
from vstorefs import logs

Written = Callable[..., str]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Logs what a function logs, and gives the text of the file."""

    def write(act: Callable[[logging.Logger], None], form: logs.Format = logs.Format.TEXT) -> str:
        root = logging.getLogger()
        handlers, level = root.handlers[:], root.level
        log = logs.start(logging.INFO, tmp_path / "log", form)
        try:
            act(logging.getLogger("x"))
        finally:
            log.stop()
            root.handlers[:] = handlers
            root.setLevel(level)
        return (tmp_path / "log").read_text()

    return write


def fail(log: logging.Logger) -> None:
    try:
        raise ValueError("first\n2026-11-26T02:31:52.123+01:00 INFO    second\x1b[2J")
    except ValueError:
        log.exception("it failed")


def test_a_record_is_a_line_with_date_zone_and_level(written: Written, tmp_path: Path) -> None:
    def act(log: logging.Logger) -> None:
        log.info("%s: md5 sum: %s", "/data/f", "abc")
        log.warning("100 % sure")
        log.debug("not wanted")

    first, second = written(act).splitlines()
    assert re.fullmatch(RECORD, first)
    assert first[29:] == " INFO    /data/f: md5 sum: abc"
    assert second[29:] == " WARNING 100 % sure"
    assert datetime.fromisoformat(first[:29]).utcoffset() is not None
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_no_credentials(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-itself")

    def act(log: logging.Logger) -> None:
        log.info(
            "GET https://user:pw@host/?X-Amz-Signature=abcdef with the-secret-itself and AKIAABCDEFGHIJKLMNOP"
        )
        try:
            raise ValueError("refused: the-secret-itself")
        except ValueError:
            log.exception("it failed")

    for form in logs.Format:
        text = written(act, form)
        assert "refused: ****" in text
        for secret in ("pw", "abcdef", "the-secret-itself", "AKIA"):
            assert secret not in text


def test_a_message_starts_no_line_and_steers_no_terminal(written: Written) -> None:
    text = written(lambda log: log.info("a\nb\r\x1b[2J\x85\u2028\u202e\udcff\x00 ä"))
    assert text[29:] == " INFO    a\\nb\\r\\x1b[2J\\x85\\u2028\\u202e\\udcff\\x00 ä\n"


def test_a_traceback_stands_indented_below_its_record(written: Written) -> None:
    record, *trace = written(fail).splitlines()
    assert record[29:] == " ERROR   it failed"
    assert trace[0] == "    Traceback (most recent call last):"
    assert trace[-2:] == [
        "    ValueError: first",
        "    2026-11-26T02:31:52.123+01:00 INFO    second\\x1b[2J",
    ]
    assert [line for line in trace if not line.startswith("    ")] == []


def test_json_has_a_record_a_line(written: Written) -> None:
    def act(log: logging.Logger) -> None:
        log.info("a\nb\u2028 %s", "\udcff")
        fail(log)

    text = written(act, logs.Format.JSON)
    one, other = (json.loads(line) for line in text.splitlines())
    assert list(one) == ["time", "level", "logger", "message"]
    assert (one["level"], one["logger"], one["message"]) == ("INFO", "x", "a\nb\u2028 \udcff")
    assert datetime.fromisoformat(one["time"]).utcoffset() is not None
    assert list(other) == ["time", "level", "logger", "message", "exception"]
    assert other["exception"].startswith("Traceback (most recent call last):\n")
    assert other["exception"].endswith("second\x1b[2J")


def test_json_is_shown_as_the_text_would_be(written: Written) -> None:
    text, data = written(fail), written(fail, logs.Format.JSON)[:-1].split("\n")[-1]
    assert logs.shown(data)[29:] == text[29:-1]
    for line in ("", "plain", "12", "[1]", '{"time": 1}', '{"a": "b"}'):
        assert logs.shown(line) == line


def test_what_another_process_logged_keeps_its_logger_and_traceback(written: Written) -> None:
    def act(log: logging.Logger) -> None:
        logs.relay("worker.jobs", logging.ERROR, "100 % lost", "Traceback\nOSError")
        logs.relay("worker.jobs", logging.DEBUG, "not wanted", "")

    fields = json.loads(written(act, logs.Format.JSON))
    del fields["time"]
    assert fields == {
        "level": "ERROR",
        "logger": "worker.jobs",
        "message": "100 % lost",
        "exception": "Traceback\nOSError",
    }
