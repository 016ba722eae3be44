"""A mount's record, for control sockets without a mount behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vstorefs import files, projectsources
from vstorefs.state import mounts
from vstorefs.state.mounts import MountRecord


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MountRecord]:
    """A mount that this process claims to be."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    point = str(tmp_path / "point")
    found = MountRecord(
        mount_point=point,
        pid=os.getpid(),
        start=files.process_start(os.getpid()) or 0,
        socket=str(mounts.socket_path(point)),
        encoded_project=mounts.encoded(projectsources.for_url(tmp_path.as_uri(), {})),
        cache_dir="",
        state_dir="",
        log_file=None,
        read_only=False,
    )
    mounts.write(found)
    yield found
    mounts.remove(point)
