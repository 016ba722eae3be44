"""What a program sees of a mount when a disk of its host refuses one change, in whichever process."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mounts import Mount, host
from tests.support.processes import ROOT, wait_until

pytestmark = [pytest.mark.mount, pytest.mark.faults]

# Before its close is promised: an error, then, means that nothing happened.
LABELS = (
    "staging.create",
    "staging.open",
    "staging.write",
    "staging.size",
    "staging.sync",
    "state.commit",
)
CASES = [(label, number) for label in LABELS for number in (errno.ENOSPC, errno.EIO)]
OLD = os.urandom(300_000)
NEW = b"new" + OLD[3:]


@pytest.fixture
def order(tmp_path: Path) -> Path:
    """Where it is said which change is refused next."""
    return tmp_path / "refused"


@pytest.fixture
def mount(tmp_path: Path, order: Path) -> Iterator[Mount]:
    """A mount with a file for each case."""
    store = tmp_path / "store"
    store.mkdir()
    for number in range(len(CASES)):
        (store / f"f{number}").write_bytes(OLD)
        os.utime(store / f"f{number}", (1_700_000_000, 1_700_000_000))
    refusing = {
        "PYTHONPATH": str(ROOT / "tests/support/refusing"),
        "VSTOREFS_TEST_REFUSED": str(order),
    }
    with host(tmp_path / "host", refusing) as one:
        yield one.mount(store.as_uri(), "--state-dir", tmp_path / "state")


def _write(path: Path) -> int:
    """Write over the beginning of a file; the errno of what was refused, 0 if nothing was."""
    try:
        with path.open("r+b", buffering=0) as file:
            file.write(b"new")
    except OSError as error:
        return error.errno or -1
    return 0


def test_a_refused_change_is_an_error_that_did_not_happen(
    mount: Mount, order: Path, tmp_path: Path
) -> None:
    for place, (label, number) in enumerate(CASES):
        path = mount / f"f{place}"
        order.write_text(f"{label} {number}")
        seen = _write(path)
        assert not order.exists(), f"{label} was not reached"
        history = mount.contents(f"f{place}")
        if seen:
            assert (seen, history) == (number, [OLD]), label
            assert _write(path) == 0
        else:
            # What refused was a commit that nobody waits for, and was made again.
            assert label == "state.commit"
        assert path.read_bytes() == NEW
        assert mount.contents(f"f{place}") == [OLD, NEW]
    mount.umount()
    left = tmp_path / "state" / "staging"
    wait_until(
        lambda: not [one for one in left.rglob("*") if one.is_file()], "end of what was staged"
    )
    assert not (tmp_path / "state" / "unpromised").exists()
