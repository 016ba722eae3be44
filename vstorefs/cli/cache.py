"""`vstorefs cache`."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from vstorefs import errors, units
from vstorefs.cache.env import Cache
from vstorefs.cli import folders
from vstorefs.cli.output import show_json, show_line

DESCRIPTION = (
    "Show what the cache holds, or clear it. All mounts share it; they can stay mounted meanwhile."
)
EXAMPLES = """\
examples:
  vstorefs cache show
  vstorefs cache clear
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("action", choices=["show", "clear"], help="what to do")
    parser.add_argument("--json", action="store_true", help="print an object, for programs")
    folders.add_cache_dir(parser)


def run(options: argparse.Namespace) -> int:
    """Open the cache beside the mounts that use it."""
    folder = folders.cache_dir(options.cache_dir)
    if not (folder / "data.mdb").exists():
        raise errors.VstorefsError(f"there is no cache in {folder} yet; the first mount makes it")
    cache = Cache.open(folder, folders.cache_bytes(None, None, folder))
    try:
        freed = cache.clear() if options.action == "clear" else 0
        info = cache.info()
    finally:
        cache.close()
    if options.json:
        show_json(asdict(info) | {"dir": str(folder), "freed_bytes": freed})
    elif options.action == "clear":
        show_line(f"cleared {units.size(freed)} in {folder}")
    else:
        show_line(
            f"{folder}: {units.size(info.used_bytes)} of {units.size(info.limit_bytes)} "
            f"in {units.count(info.chunks, 'chunk')}; {units.size(info.file_bytes)} on disk"
        )
    return 0
