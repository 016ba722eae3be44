"""Disk writes of ours go to their end, or fail."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from vstorefs import files


def test_a_disk_that_takes_less_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda number, data, at: real(number, data[:3], at))
    number = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    files.write_all("test.write", number, b"0123456789", 2)
    os.close(number)
    assert (tmp_path / "f").read_bytes() == b"\0\0" + b"0123456789"


def test_a_disk_that_fills_up_midway_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.pwrite, []

    def filling(number: int, data: bytes, at: int) -> int:
        calls.append(at)
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(number, data[:3], at)

    monkeypatch.setattr(os, "pwrite", filling)
    number = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    with pytest.raises(OSError, match="No space left"):
        files.write_all("test.write", number, b"0123456789", 0)
    os.close(number)
    assert calls == [0, 3]
