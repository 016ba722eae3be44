"""The log's form, and what it never shows."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import pytest

from vstorefs import logs


def test_lines_have_a_time_and_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-itself")
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    log = logs.start(logging.INFO, tmp_path / "log")
    try:
        logging.getLogger("x").info("%s: md5 sum: %s", "/data/f", "abc")
        logging.getLogger("x").info(
            "GET https://user:pw@host/?X-Amz-Signature=abcdef with the-secret-itself and AKIAABCDEFGHIJKLMNOP"
        )
    finally:
        log.stop()
        root.handlers[:] = handlers
        root.setLevel(level)
    first, second = (tmp_path / "log").read_text().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d /data/f: md5 sum: abc", first)
    for secret in ("pw", "abcdef", "the-secret-itself", "AKIA"):
        assert secret not in second
    assert (tmp_path / "log").stat().st_mode & 0o077 == 0


def test_sizes_for_people() -> None:
    assert [logs.size_text(size) for size in (0, 999, 1000, 28_900, 999_999, 57_600_000_000)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "28.9 kB",
        "1.0 MB",
        "57.6 GB",
    ]
