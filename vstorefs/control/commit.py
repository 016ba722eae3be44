"""The commit of the working directory, asked of git so that nothing which the repository itself configures is run.

A repository may lie in a store, and be somebody else's. What git would run of its configuration to answer these
questions: a file system monitor, filters of contents, hooks, and the same again in submodules.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from types import MappingProxyType

_GIT_S = 10.0
_THEIRS = {"local", "worktree"}
_NOTHING_RUNS = {"core.fsmonitor": "false", "core.hooksPath": os.devnull}


def commit() -> str | None:
    """The commit, with `+` where files differ from it; None where there is none, or no git."""
    found = _git("rev-parse", "HEAD")
    if found is None:
        return None
    changed = _git(
        *("status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"),
        settings=_without_filters(),
    )
    return found.strip() + ("+" if changed else "")


def _without_filters() -> dict[str, str]:
    """Settings that empty each filter which the repository configures; those of the user's own stay."""
    listed = _git("config", "-z", "--show-scope", "--name-only", "--get-regexp", r"^filter\.") or ""
    fields = listed.split("\0")
    theirs = [
        name for scope, name in zip(fields[::2], fields[1::2], strict=False) if scope in _THEIRS
    ]
    return {name: "false" if name.endswith(".required") else "" for name in theirs}


def _git(*arguments: str, settings: Mapping[str, str] = MappingProxyType({})) -> str | None:
    try:
        result = subprocess.run(
            # Where the directory lies in a mount, what git would note for itself became a version.
            ["git", "--no-optional-locks", *arguments],
            env={**os.environ, **_configured({**_NOTHING_RUNS, **settings})},
            check=True,
            capture_output=True,
            timeout=_GIT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return os.fsdecode(result.stdout)


def _configured(settings: Mapping[str, str]) -> dict[str, str]:
    """Settings as git takes them from the environment, whatever is in their names. Source: git-config(1)."""
    found = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (name, value) in enumerate(settings.items()):
        found |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return found
