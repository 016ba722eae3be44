"""What another program deletes without a trace can be brought back, as far as it was kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.mounts import Host

pytestmark = pytest.mark.mount


def test_a_file_that_another_program_deleted_is_restored(one_host: Host, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    mount = one_host.project(f'[stores.s]\nurl = "{store.as_uri()}"\nlisting-seconds = 0\n')
    for text in ("one", "two"):
        (mount / "s/f").write_text(text)
    first = mount.history("s/f")[0]["id"]
    (store / "f").unlink()
    assert not (mount / "s/f").exists()
    done = one_host.run("restore", "--version", first, mount / "s/f")
    assert "unchanged" not in done.stdout
    assert (mount / "s/f").read_text() == "one"
    assert (store / "f").read_text() == "one"
    (store / "f").unlink()
    assert not (mount / "s/f").exists()
    one_host.run("restore", mount / "s/f")
    assert (store / "f").read_text() == "one"
    mount.umount()
