"""Whether the program that opened a file still holds it for writing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from vstorefs.mount.writing.opener import opener_of, still_writes


def where(path: Path) -> tuple[str, int]:
    about = path.stat()
    return f"{os.major(about.st_dev)}:{os.minor(about.st_dev)}", about.st_ino


def test_a_duplicate_counts_and_a_closed_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "f"
    opener = opener_of(os.getpid())
    with path.open("w") as file:
        assert still_writes(opener, *where(path))
        copy = os.dup(file.fileno())
    assert still_writes(opener, *where(path))
    os.close(copy)
    assert not still_writes(opener, *where(path))


def test_a_reader_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    with path.open("rb"):
        assert not still_writes(opener_of(os.getpid()), *where(path))


def test_a_file_of_another_mount_with_the_same_number_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("w"):
        _, inode = where(path)
        assert not still_writes(opener_of(os.getpid()), "0:0", inode)


def test_a_thread_stands_for_its_process(tmp_path: Path) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(opener_of(threading.get_native_id())))
    thread.start()
    thread.join()
    assert found == [opener_of(os.getpid())]


def test_a_process_that_is_gone_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.touch()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        opener = opener_of(process.pid)
        assert opener is not None
        process.communicate(b"\n")
    assert not still_writes(opener, *where(path))
    assert opener_of(0) is None
    assert opener_of(process.pid) is None
