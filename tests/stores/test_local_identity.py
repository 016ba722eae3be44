"""What a file of a `file` store says that it is, where its path is longer than a file system lets an xattr be."""

from __future__ import annotations

import os
from pathlib import Path

from vstorefs.model import Key
from vstorefs.stores.local import names


def identity_of(file: Path, key: Key, identity: str) -> names.Identity:
    about = file.stat()
    return names.Identity(identity, 0, about.st_size, about.st_mtime_ns, key)


def test_a_file_with_a_long_path_is_known_again(tmp_path: Path) -> None:
    file, folder = tmp_path / "f", tmp_path / "versions"
    file.write_bytes(b"content")
    folder.mkdir()
    key = Key("/".join(["n" * 200] * 20))
    names.stamp(file, folder, identity_of(file, Key("short"), "1" * 26))
    names.stamp(file, folder, identity_of(file, key, "2" * 26))
    assert names.identify(file, file.stat(), key, folder).id == "2" * 26


def test_a_long_path_in_a_directory_that_keeps_long_xattrs(tmp_path: Path) -> None:
    """However long the path: whether xattrs take it is the file system's to say."""
    folder = tmp_path / "versions"
    folder.mkdir()
    for size in (10, 1000, 2000, 3000, 3500, 3900, 4050):
        file = tmp_path / f"f{size}"
        file.write_bytes(os.urandom(10))
        key = Key("n" * size)
        names.stamp(file, folder, identity_of(file, key, "3" * 26))
        assert names.identify(file, file.stat(), key, folder).id == "3" * 26
