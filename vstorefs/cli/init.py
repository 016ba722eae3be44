"""`vstorefs init`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from vstorefs import errors, files, projectfile, projectsources
from vstorefs.cli.output import note_line, show_json, show_line
from vstorefs.stores import registry

DESCRIPTION = "Write a project file, with comments. Asks for its stores, unless they are given."
EXAMPLES = """\
examples:
  vstorefs init                                           asks, and writes vstorefs.toml
  vstorefs init --store data=s3://bucket/mnist --store out=file:///srv/results
  vstorefs init --schema > vstorefs.schema.json           for editors that check TOML files
  vstorefs mount -c vstorefs.toml ~/data                  what comes next
"""
_HEAD = """\
# A project of vstorefs: the stores that one mount shows, each as a directory.
# Mount it with: vstorefs mount -c {file} DIR
# No credentials here: they are found where the providers' own tools look.
# Every setting: docs/reference/project-file.md; for editors: vstorefs init --schema

project = {name}
default = {default}            # the store for the project's own records
# write = "through"           # close() waits for the store; "back": for the local journal only
# scratch = ["*.partial"]     # temporary names: uploaded some seconds late, unless renamed
"""
_STORE = """
[stores.{alias}]
url = {url}
{read_only}
# listing-seconds = 60         # how long listings are cached
# endpoint = "https://…"       # if it is not the provider's default
# anonymous = true             # for public stores
"""
_FOOT = """
# [cache]
# size = "50 GB"

# [hash]
# whole-below = "256 MiB"      # files that were read in part are read to their end and hashed, up to this size
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        default=Path("vstorefs.toml"),
        metavar="FILE",
        help="default: vstorefs.toml",
    )
    parser.add_argument("--project", metavar="NAME", help="the project's name")
    parser.add_argument(
        "--store",
        action="append",
        default=[],
        metavar="NAME=URL",
        help="a store; nothing is asked then",
    )
    parser.add_argument(
        "--schema", action="store_true", help="print the JSON schema of project files"
    )


def run(options: argparse.Namespace) -> int:
    """Ask, write, and say what comes next."""
    if options.schema:
        show_json(projectfile.schema())
        return 0
    if options.file.exists():
        raise errors.UsageError(f"{options.file} exists already; choose another name")
    stores = dict(_given(one) for one in options.store) or _asked()
    name = options.project
    if name is None:
        name = Path.cwd().name if options.store else _ask("name of the project", Path.cwd().name)
    text = _text(options.file, name, stores)
    try:
        files.change("project.write", options.file.write_text, text, "utf-8")
    except OSError as error:
        raise errors.UsageError(f"cannot write {options.file}: {error.strerror}") from error
    try:
        projectsources.load(options.file, os.environ)
    except errors.UsageError:
        files.change("project.remove", options.file.unlink)
        raise
    show_line(
        f"{options.file} written; mount it with: vstorefs mount -c {shlex.quote(str(options.file))} DIR"
    )
    return 0


def _given(text: str) -> tuple[str, str]:
    alias, equals, url = text.partition("=")
    if not equals:
        raise errors.UsageError(f"{text!r} is not a store; write --store NAME=URL")
    registry.resolve(alias, url, environ=os.environ)
    return alias, url


def _asked() -> dict[str, str]:
    schemes = ", ".join(f"{scheme}://" for scheme in registry.SCHEMES)
    note_line(f"A store is a bucket, container, directory or web root ({schemes}).")
    stores: dict[str, str] = {}
    while True:
        url = _ask("URL of a store" if not stores else "another store (empty to finish)", "")
        if not url and stores:
            return stores
        try:
            registry.resolve("store", url, environ=os.environ)
        except errors.UsageError as error:
            note_line(str(error))
            continue
        alias = _ask("name of its directory in the mount", f"data{len(stores) + 1}")
        stores[alias] = url


def _ask(question: str, default: str) -> str:
    sys.stderr.write(f"{question}{f' [{default}]' if default else ''}: ")
    sys.stderr.flush()
    try:
        return input().strip() or default
    except EOFError:
        sys.stderr.write("\n")
        raise errors.UsageError("not a terminal; name the stores with --store NAME=URL") from None


def _text(file: Path, name: str, stores: dict[str, str]) -> str:
    writable = [alias for alias, url in stores.items() if not registry.only_read(url)]
    default = (writable or list(stores))[0]
    tables = [
        _STORE.format(
            alias=_key(alias),
            url=json.dumps(url),
            read_only="# read-only = true             # allow no change"
            if alias in writable
            else "read-only = true               # a web root is, by nature",
        )
        for alias, url in stores.items()
    ]
    head = _HEAD.format(
        file=shlex.quote(file.name), name=json.dumps(name), default=json.dumps(default)
    )
    return head + "".join(tables) + _FOOT


def _key(alias: str) -> str:
    return alias if alias.isascii() and alias.replace("-", "").isalnum() else json.dumps(alias)
