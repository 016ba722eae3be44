"""A mount that other users may enter: each of them sees what the modes allow, in the past as in the present."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounts import Mount, host
from tests.support.processes import wait_until
from tests.support.s3server import S3Server

pytestmark = [
    pytest.mark.mount,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user"),
]

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A directory that every user can reach, as those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="vstorefs-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["file", "s3"])
def mount(request: pytest.FixtureRequest, open_folder: Path) -> Iterator[Mount]:
    env: dict[str, str] = {}
    url = (open_folder / "store").as_uri()
    (open_folder / "store").mkdir()
    if request.param == "s3":
        server: S3Server = request.getfixturevalue("moto_server")
        bucket = f"b{os.urandom(6).hex()}"
        server.client().create_bucket(Bucket=bucket)
        env, url = server.env, f"s3://{bucket}"
    with host(open_folder / "host", env) as one:
        one.folder.chmod(0o755)
        yield one.mount("--allow-other", url)


def as_nobody(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )


def may_read(path: Path) -> bool:
    result = as_nobody("cat", path)
    assert result.returncode == 0 or "Permission denied" in result.stderr, result.stderr
    return result.returncode == 0


def write(path: Path, text: str, mode: int) -> None:
    """As a program with a umask does: nobody ever sees it with another mode."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    os.write(number, text.encode())
    os.close(number)


def test_an_old_version_is_as_private_as_the_file_was(mount: Mount) -> None:
    for text in ("first", "second"):
        write(mount / "secret", text, 0o600)
        write(mount / "public", text, 0o644)
    mount.host.run("flush")
    assert (may_read(mount / "secret"), may_read(mount / "public")) == (False, True)
    for name, allowed in (("secret", False), ("public", True)):
        history = mount / ".versions" / name
        found = sorted(path.name for path in history.iterdir())
        assert len(found) == 6
        told = {one: may_read(history / one) for one in found}
        assert told == dict.fromkeys(found, allowed) | {"WARNINGS": told["WARNINGS"]}
    assert (mount / ".versions/secret/latest").read_text() == "second", "its owner reads it"


def test_a_version_that_was_public_stays_so_and_what_tells_of_all_is_for_who_may_read_all(
    mount: Mount,
) -> None:
    write(mount / "f", "public", 0o644)
    mount.host.run("flush")
    (mount / "f").chmod(0o600)
    write(mount / "f", "private", 0o600)
    mount.host.run("flush")
    history = mount / ".versions/f"
    first, second = sorted(path for path in history.iterdir() if path.name.startswith("20"))
    assert not may_read(second)
    assert not may_read(history / "HISTORY")
    assert not may_read(history / "history.json")
    assert first.read_text() == "public"


def test_what_is_in_a_private_directory_is_private_below_versions_too(mount: Mount) -> None:
    (mount / "d").mkdir(mode=0o700)
    write(mount / "d/f", "inside", 0o644)
    mount.host.run("flush")
    then = mount / ".versions/@now/d"
    # A time without a fraction is the beginning of its second.
    wait_until(lambda: then.exists() and then.stat().st_mode & 0o777 == 0o700, "a later second")
    for place in ("d/.versions", "d/.versions/f", ".versions/@now/d"):
        listed = as_nobody("ls", mount / place)
        assert "Permission denied" in listed.stderr, place
    assert as_nobody("ls", mount / ".versions").returncode == 0
    assert not may_read(mount / ".versions/@WARNINGS")
