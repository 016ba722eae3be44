"""Where the records of mounts lie: in a directory that is this user's alone, whatever others have made beforehand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from vstorefs import errors
from vstorefs.state import mounts

NOBODY = 65534


@pytest.fixture
def usual(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What stands for the directory in /tmp; there is no runtime directory of the session."""
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(mounts, "_SHARED", tmp_path / "shared")
    (tmp_path / "shared").mkdir(mode=0o1777)
    return tmp_path / f"shared/vstorefs-{os.getuid()}"


def test_it_is_made_for_the_user_alone(usual: Path) -> None:
    assert mounts.runtime_dir() == usual
    assert usual.stat().st_mode & 0o777 == 0o700
    assert mounts.runtime_dir() == usual


@pytest.mark.parametrize("what", ["open", "another's", "link", "file", "dangling"])
def test_what_another_user_made_is_left_and_another_place_taken(
    usual: Path, tmp_path: Path, what: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    if what in {"open", "another's"}:
        usual.mkdir(mode=0o700)
        usual.chmod(0o777 if what == "open" else 0o700)
        os.chown(usual, os.getuid() if what == "open" else NOBODY, -1)
    elif what == "link":
        usual.symlink_to(elsewhere)
    elif what == "dangling":
        usual.symlink_to(tmp_path / "nowhere")
    else:
        usual.touch()
    found = mounts.runtime_dir()
    assert found.parent == tmp_path / "state/vstorefs"
    assert found.stat().st_mode & 0o777 == 0o700
    assert list(elsewhere.iterdir()) == []
    assert not (tmp_path / "nowhere").exists()
    assert mounts.runtime_dir() == found


def test_a_session_s_own_directory_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "vstorefs").mkdir()
    (tmp_path / "vstorefs").chmod(0o755)
    with pytest.raises(errors.UsageError, match="not a private directory of yours"):
        mounts.runtime_dir()
