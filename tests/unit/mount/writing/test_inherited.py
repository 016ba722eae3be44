"""What a dead mount left is sent, and its staging files go when nothing needs them any more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.frontparts import STORE, front, published
from tests.support.promising import entry_of
from vstorefs.model import SessionId, Staged
from vstorefs.mount.writing.inherited import Inherited
from vstorefs.state.staging import StagingArea

pytestmark = pytest.mark.trio


async def test_a_staging_file_that_two_entries_name_goes_with_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[str] = []
    monkeypatch.setattr(
        "vstorefs.mount.writing.inherited.remove_later", lambda _area, name: removed.append(name)
    )
    async with front(tmp_path) as parts:
        area = StagingArea(tmp_path, SessionId("dead"))
        name = area.create()
        staged = Staged(name, 7, ((0, 7),), None)
        first, second = (
            replace(entry_of(path, STORE, seq=seq), staged=staged)
            for seq, path in ((101, "f"), (102, "f"))
        )
        inherited = Inherited(
            parts.pool,  # type: ignore[arg-type] # it stands where the workers do
            parts.uploads,
            area,
            parts.namespace,
            {STORE: parts.root},
        )
        parts.uploads.adopt([first, second], inherited.callbacks_of)
        await parts.pool.publish(published("f", "t1", 7))
        assert removed == []
        await parts.pool.publish(published("f", "t2", 7))
        assert removed == [name]
