"""Pools of real workers, that live or die."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import ROOT
from tests.support.runningpools import Deaths, Mortals, running
from tests.workers.asking import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Folders and a `file` store."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return Place(tmp_path / "place")


@pytest.fixture
def mortals(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mortals:
    """A pool of workers that die in the middle."""
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m tests.support.mortal_worker "$4"\n')
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    return lambda workers: running(place.start, workers)


@pytest.fixture
def deaths() -> Iterator[Deaths]:
    """Deaths of workers, while the test runs."""
    heard = Deaths()
    log = logging.getLogger("vstorefs.mount.backend.pool")
    log.addHandler(heard)
    yield heard
    log.removeHandler(heard)
