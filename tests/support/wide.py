"""A store with very many files, and what it costs to walk through all of it."""

from __future__ import annotations

import os
import urllib.parse
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.mounts import Mount, children
from vstorefs.stores.registry import is_object_store, open_bucket, resolve
from vstorefs.stores.retry import ask_again

_AT_ONCE = 24


def names_of(directories: int, files: int) -> list[str]:
    """The names of all files."""
    return [f"d{one:04d}/{number:04d}" for one in range(directories) for number in range(files)]


def fill(url: str, env: Mapping[str, str], names: list[str]) -> None:
    """Make empty objects, or files in a folder."""
    if not is_object_store(url):
        root = Path(urllib.parse.urlsplit(url).path)
        for name in names:
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).touch()
        return
    os.environ.update(env)
    bucket = open_bucket(resolve("wide", url, environ=env))

    def make(name: str) -> None:
        # The same again does no harm, and a busy server drops a connection now and then.
        ask_again(lambda: bucket.put(name, b"", metadata={}, content_type="text/plain"), 60)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(make, names))
    bucket.close()


def walked(mount: Mount) -> list[str]:
    """Every file of a mount, as `find` comes to it."""
    return [
        os.path.relpath(os.path.join(folder, name), mount.path)
        for folder, _, names in os.walk(mount.path)
        for name in names
    ]


def anonymous_bytes(mount: Mount) -> int:
    """Memory of the front and its workers that is not the page cache's."""
    found = 0
    for pid in [mount.pid, *children(mount.pid)]:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss_Anon:"):
                found += int(line.split()[1]) << 10
    return found
