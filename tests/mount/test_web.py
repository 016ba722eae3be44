"""Web addresses as programs on a mount see them, when a server fails or a file changes under a reader."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.mounts import host
from tests.support.webservers import LIARS_TRUTH, liar

pytestmark = [pytest.mark.mount, pytest.mark.stores]


def head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


@pytest.mark.parametrize("way", ["", "poor/"])
def test_a_file_that_changes_in_the_middle_of_a_read(
    way: str, web: Callable[[Path], str], tmp_path: Path
) -> None:
    """What was read is the old one's beginning; the rest is an error, and the next open sees the new one."""
    root = tmp_path / "root"
    root.mkdir()
    old, new = os.urandom(1 << 20) * 192, os.urandom(1 << 20) * 192
    (root / "f").write_bytes(old)
    os.utime(root / "f", (1_600_000_000, 1_600_000_000))
    url = web(root)
    with host(tmp_path / "host") as one:
        mount = one.mount(f"{url}{way}")
        with (mount / "f").open("rb", buffering=0) as file:
            got = file.read(1 << 20)
            (root / "other").write_bytes(new)
            os.utime(root / "other", (1_700_000_000, 1_700_000_000))
            os.replace(root / "other", root / "f")
            with pytest.raises(OSError) as caught:  # noqa: PT012 — which of the reads fails is open
                while block := file.read(1 << 20):
                    got += block
        assert caught.value.errno in {errno.ESTALE, errno.EIO}
        assert got == old[: len(got)]
        mount.wait_for_log("the server has other content now")
        assert head(mount / "f") == new[:100]


def test_a_server_that_says_wrong_lengths(tmp_path: Path) -> None:
    with liar() as url, host(tmp_path / "host") as one:
        names = ("honest", "long", "no-number", "short-range")
        files = ", ".join(f'"{name}" = "{url}{name}"' for name in names)
        mount = one.project(f"[stores.w]\nfiles = {{ {files} }}\n")
        assert sorted(os.listdir(mount / "w")) == sorted(names)
        for name in names[:3]:
            assert (mount / "w" / name).read_bytes() == LIARS_TRUTH
        with pytest.raises(OSError, match="Input/output error"):
            (mount / "w/short-range").read_bytes()
        mount.wait_for_log("the server ended the content early")
        assert "Traceback" not in mount.log()
